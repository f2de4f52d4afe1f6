from __future__ import annotations

import codecs

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from taskrunner.data.formats.encoding import Decoder, Encoder, Escapes
from taskrunner.errors import TaskError

CSV = Escapes()
DIALECTS = [
    CSV,
    Escapes(separator="\t"),
    Escapes(separator="|", record_separator=";", escape="^"),
    Escapes(separator="\x01", record_separator="\n", escape="x"),
    Escapes(separator=",", record_separator="\r"),
    Escapes(separator="\r", record_separator="\n"),
    Escapes(separator="😀", record_separator="é", escape="~"),
    Escapes(separator="\t", also="\r"),
    Escapes(separator="]", record_separator="^", escape="-"),
]
NASTY = [
    "", r"\N", "NULL", "\\", "\\\\", ",", "\t", "\n", "\r", "\r\n", "\0", '"', "a,b", "é", "😀",
    "\N{BOM}", "\u2028", "\x85", "N", "x", "^", "|", ";", "]", "-", "\\n", "a\\", "a\r",
]  # fmt: skip
texts = st.one_of(
    st.none(),
    st.sampled_from(NASTY),
    st.text(st.sampled_from("\\,\t\n\r|;^x\x01N~-]a\0é😀"), max_size=8),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
)


def decode(data: bytes, escapes: Escapes = CSV, *, size: int = 1 << 20) -> list[list[str | None]]:
    chunks = [data[start : start + size] for start in range(0, len(data), size)]
    decoder = Decoder(escapes, source="s3://bucket/key")
    return [list(row) for batch in decoder.decode(chunks) for row in batch]


@st.composite
def tables(draw: st.DrawFn) -> list[list[str | None]]:
    width = draw(st.integers(1, 5))
    return draw(st.lists(st.lists(texts, min_size=width, max_size=width), max_size=8))


@given(tables(), st.sampled_from(DIALECTS), st.integers(1, 7))
@settings(max_examples=10 * settings().max_examples)
@example([["a\r"]], CSV, 1)
@example([[r"\N", None, "", "NULL"]], CSV, 3)
@example([[None], [""], ["\n"]], CSV, 1)
def test_every_table_comes_back(table: list[list[str | None]], escapes: Escapes, size: int) -> None:
    assert decode(Encoder(escapes).encode(table), escapes, size=size) == table


@pytest.mark.parametrize(
    ("row", "line"),
    [
        (["1", "two", "3.50"], b"1,two,3.50\n"),
        ([None, "", "NULL", r"\N"], b"\\N,,NULL,\\\\N\n"),
        (["a,b", "c\nd", "e\\f"], b"a\\,b,c\\\nd,e\\\\f\n"),
        (['say "hi"', "tab\there"], b'say "hi",tab\there\n'),
        (["mid\rdle", "last\r"], b"mid\rdle,last\\\r\n"),
        (["é😀"], "é😀\n".encode()),
        ([""], b"\n"),
    ],
)
def test_the_bytes_are_those_of_the_dialect(row: list[str | None], line: bytes) -> None:
    assert Encoder(CSV).encode([row]) == line


def test_tabs_separate_in_tsv_and_commas_do_not() -> None:
    assert Encoder(Escapes(separator="\t")).encode([["a,b", "c\td"]]) == b"a,b\tc\\\td\n"


def test_nothing_is_nothing() -> None:
    assert Encoder(CSV).encode([]) == b""
    assert decode(b"") == []


def test_windows_line_ends_are_taken() -> None:
    assert decode(b"a,b\r\nc,\r\n") == [["a", "b"], ["c", ""]]


def test_the_last_line_needs_no_end() -> None:
    assert decode(b"a,b\nc,d") == [["a", "b"], ["c", "d"]]


def test_an_escape_frees_any_character_of_its_meaning() -> None:
    assert decode(b'\\a\\",\\\\\n') == [['a"', "\\"]]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"a,b\nc\n", "row 2 has 1 values, wanted 2"),
        (b"a\n1,2\n", "row 2 has 2 values, wanted 1"),
        (b"a,b\n\n", "row 2 has 1 values"),
        (b"a\nb\n\xff\n", r"row 3 is not UTF-8 text \(bytes ff\)"),
        (b"a\nb\xc3", "row 2 is not UTF-8 text"),
        (b"a\nb\\", "row 2 ends with an escape character"),
    ],
)
def test_bad_rows_are_named(data: bytes, words: str) -> None:
    with pytest.raises(TaskError, match=words) as caught:
        decode(data)
    assert "s3://bucket/key" in str(caught.value)


def test_a_record_without_end_does_not_fill_the_memory() -> None:
    chunks = (b"x" * (1 << 20) for _ in range(1000))
    decoder = Decoder(CSV, source="s3://bucket/key")
    with pytest.raises(TaskError, match="no end within 64 MiB"):
        list(decoder.decode(chunks))


def test_the_column_of_a_record_without_end_is_named() -> None:
    chunks = [b"1,2\n3,a\\,b,", b"x" * 2048, b"x" * (1 << 20)]
    decoder = Decoder(CSV, source="s3://bucket/key", most=1 << 20)
    with pytest.raises(TaskError, match=r"row 2 has no end within 1 MiB \(column 3\)"):
        list(decoder.decode(chunks))


def test_a_batch_of_long_rows_is_short() -> None:
    data = b"x" * (300 << 10) + b",y\n"
    batches = list(Decoder(CSV, source="s").decode([data] * 9))
    assert [len(batch) for batch in batches] == [4, 4, 1]


def test_a_value_of_nothing_but_escapes_comes_back() -> None:
    """It must not be looked at from its start for each of them: here that would be for ever."""
    value = "\n" * (1 << 16) + "," * (1 << 16) + "\\" * (1 << 16)
    data = Encoder(CSV).encode([[value, "b"]])
    assert decode(data) == [[value, "b"]]
    assert decode(data, size=1 << 10) == [[value, "b"]]


def test_a_byte_order_mark_is_escaped_wherever_a_file_may_begin() -> None:
    one, two = ["\ufeffa", "\ufeffb"], ["\ufeffc", None]
    together = Encoder(CSV).encode([one, two])
    assert together == Encoder(CSV).encode([one]) + Encoder(CSV).encode([two])
    assert together == "\\\ufeffa,\ufeffb\n\\\ufeffc,\\N\n".encode()


def test_the_first_rows_come_before_the_last_bytes() -> None:
    decoder = Decoder(CSV, source="s")
    taken = []

    def chunks() -> object:
        for n in range(10):
            taken.append(n)
            yield b"1,2\n" * 1000

    first = next(decoder.decode(chunks()))  # type: ignore[arg-type]
    assert len(first) == 1000
    assert taken == [0]


def test_a_byte_order_mark_is_skipped_at_the_very_start_only() -> None:
    data = "\ufeffa,\ufeffb\n\ufeffc,d\n".encode()
    for size in (1, 2, 3, len(data)):
        chunks = [data[n : n + size] for n in range(0, len(data), size)]
        batches = Decoder(Escapes(), source="s").decode(chunks)
        assert [row for batch in batches for row in batch] == [["a", "\ufeffb"], ["\ufeffc", "d"]]


def test_a_text_that_begins_with_a_byte_order_mark_comes_back() -> None:
    rows: list[list[str | None]] = [["\ufeffa", None], ["\ufeff", "b"]]
    data = Encoder(Escapes()).encode(rows)
    assert not data.startswith(codecs.BOM_UTF8)
    assert [list(batch) for batch in Decoder(Escapes(), source="s").decode([data])] == [rows]


def test_the_beginning_of_a_byte_order_mark_is_no_text() -> None:
    with pytest.raises(TaskError, match="row 1 is not UTF-8"):
        list(Decoder(Escapes(), source="s").decode([codecs.BOM_UTF8[:2]]))
