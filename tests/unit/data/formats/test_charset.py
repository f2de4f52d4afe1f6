from __future__ import annotations

import codecs

import pytest

from taskrunner.data.formats.charset import Charset, charset_of, refuse_character
from taskrunner.errors import PermanentTaskError, TaskError
from taskrunner.testing.activity_environment import new_object, new_task

TEXT = "é,ñ\n€?\n".replace("€", "e")


def charset(name: str | None) -> Charset:
    fields = {} if name is None else {"charset": name}
    task = new_task("CopyActivity", {}, new_object("Format", "CSV", fields))
    return charset_of(task.object("Format"))


@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize("name", ["latin-1", "cp1252", "utf-16", "UTF-16-LE", "utf-32", "cp437"])
def test_a_text_is_utf8_inside(name: str, size: int) -> None:
    data = TEXT.encode(name)
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    assert b"".join(charset(name).to_utf8(pieces, source="x")).decode() == TEXT


def test_a_byte_order_mark_says_which_utf16_it_is() -> None:
    for mark, name in ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        found = b"".join(charset("utf-16").to_utf8([mark + TEXT.encode(name)], source="x"))
        assert found.decode() == TEXT
    encoder = charset("utf-16").encoder()
    assert (encoder.encode("a") + encoder.encode("b")).decode("utf-16") == "ab"
    assert charset("utf-8-sig").encoder().encode("a") == codecs.BOM_UTF8 + b"a"


def test_utf8_is_what_it_is_without_the_field() -> None:
    assert charset(None).is_utf8
    assert charset("UTF8") == charset(None)
    assert not charset("utf-8-sig").is_utf8
    assert list(charset(None).to_utf8([b"\xff"], source="x")) == [b"\xff"]


@pytest.mark.parametrize(
    "name", ["", "klingon", "base64", "rot13", "idna", "punycode", "undefined"]
)
def test_what_is_no_character_set_is_refused(name: str) -> None:
    with pytest.raises(PermanentTaskError, match=f"CSV 'Format', field 'charset': found '{name}'"):
        charset(name)


@pytest.mark.parametrize(
    ("name", "data", "problem"),
    [
        ("ascii", b"a\nb\nc\xe9d\n", r"line 3 is not ascii text \(bytes e9\)"),
        ("cp1252", b"a\n\x81", r"line 2 is not cp1252 text \(bytes 81\)"),
        ("utf-16", b"\xff\xfea\0\n\0b", r"line 2 is not utf-16 text \(bytes 62\)"),
    ],
)
def test_what_is_no_text_is_told_with_its_line(name: str, data: bytes, problem: str) -> None:
    with pytest.raises(TaskError, match=f"^x: {problem}$"):
        list(charset(name).to_utf8([data], source="x"))


def test_a_character_that_the_set_has_not_is_told_with_its_place() -> None:
    rows: list[list[str | None]] = [["é", None], ["x", "😀y"]]
    error = refuse_character(charset("latin-1"), rows, ["a", "b"], target="out", rows_before=7)
    assert str(error) == (
        "out: row 9, column 'b': '😀y' has the character '😀', which iso8859-1 has not; wanted "
        "another charset"
    )
    error = refuse_character(charset("ascii"), [["x", "é"]], (), target="out", rows_before=0)
    assert "row 1, column 2: 'é'" in str(error)
