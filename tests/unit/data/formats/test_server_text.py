from __future__ import annotations

import pytest

from taskrunner.data.formats.encoding import Escapes
from taskrunner.data.formats.server_text import FromCopy, is_plain, with_marks_escaped

CSV = Escapes()
TSV = Escapes(separator="\t")


@pytest.mark.parametrize(
    ("escapes", "written", "wanted"),
    [
        (CSV, rb"a,b", b"a,b"),
        (CSV, rb"\N,\\N,x\\N", rb"\N,\\N,x\\N"),
        (CSV, rb"a\,b,c\\,d", rb"a\,b,c\\,d"),
        (CSV, rb"a\nb,c\\nd,e\\\nf", b"a\\\nb,c\\\\nd,e\\\\\\\nf"),
        (CSV, rb"tab\there,\b\f\v", b"tab\there,\b\f\v"),
        (TSV, rb"tab\there" + b"\t" + rb"a,b", b"tab\\\there\ta,b"),
        (CSV, rb"mid\rdle,end\r", b"mid\rdle,end\\\r"),
        (CSV, rb"\r\n,\r\r", b"\r\\\n,\r\\\r"),
        (CSV, "é😀,\ufeff".encode(), "é😀,\ufeff".encode()),
    ],
)
def test_lines_of_copy_in_the_dialect(escapes: Escapes, written: bytes, wanted: bytes) -> None:
    assert FromCopy(escapes)(written + b"\n") == wanted + b"\n"


def test_marks_are_escaped_where_a_row_begins() -> None:
    assert with_marks_escaped("\ufeffa,\ufeffb\n\ufeffc\n".encode()) == (
        "\\\ufeffa,\ufeffb\n\\\ufeffc\n".encode()
    )


@pytest.mark.parametrize("separator", [",", "\t", "|", "\x01", " ", "Q", '"'])
def test_what_servers_can_write(separator: str) -> None:
    assert is_plain(Escapes(separator=separator))


@pytest.mark.parametrize(
    "escapes",
    [
        *(Escapes(separator=c) for c in ("a", "0", ".", "N", "\r", "é", "\0")),
        Escapes(escape="^"),
        Escapes(record_separator=";"),
        Escapes(also="\r"),
    ],
)
def test_what_servers_cannot_write(escapes: Escapes) -> None:
    assert not is_plain(escapes)
