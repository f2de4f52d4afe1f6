from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.data.formats.quoted import Quoted
from taskrunner.data.formats.quoting import QuotedDecoder, QuotedEncoder, Quoting
from taskrunner.errors import TaskError

Rows = Sequence[Sequence[str | None]]

VALUES = st.one_of(
    st.none(),
    st.text(st.sampled_from('a,;"\n\r\\.\ufeffN é😀'), max_size=6),
    st.text(st.characters(codec="utf-8"), max_size=6),
)
TABLES = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(VALUES, min_size=width, max_size=width), max_size=6)
)


def encode(rows: Rows, quoting: Quoting = Quoting()) -> bytes:  # noqa: B008  it is frozen
    return QuotedEncoder(quoting).encode(rows)


def decode(
    data: bytes, *, size: int = 1 << 20, quoting: Quoting | None = None, most: int = 1 << 20
) -> list[list[str | None]]:
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    decoder = QuotedDecoder(quoting or Quoting(), source="s3://b/k", most=most)
    return [list(row) for batch in decoder.decode(pieces) for row in batch]


@pytest.mark.parametrize(
    ("row", "data"),
    [
        (["a", "b"], b"a,b\n"),
        (["", None], b'"",\n'),
        ([None], b"\n"),
        (["a,b", 'say "x"'], b'"a,b","say ""x"""\n'),
        (["one\ntwo", "a\rb"], b'"one\ntwo","a\rb"\n'),
        ([" x ", "\\N", "NULL"], b" x ,\\N,NULL\n"),
        (["\\."], b'"\\."\n'),
        (["\\.", "x"], b"\\.,x\n"),
        (["\ufeffmark", "\ufeff"], '"\ufeffmark",\ufeff\n'.encode()),
        ([""], b'""\n'),
    ],
)
def test_rows_as_bytes(row: list[str | None], data: bytes) -> None:
    assert encode([row]) == data
    assert decode(data) == [row]


@given(TABLES, st.integers(1, 9), st.sampled_from([Quoting(), Quoting(separator=";", quote="a")]))
def test_every_table_comes_back(table: Rows, size: int, quoting: Quoting) -> None:
    assert decode(encode(table, quoting), size=size, quoting=quoting) == table


@given(TABLES)
def test_other_readers_see_the_same_texts(table: Rows) -> None:
    """But for NULL, which they take for the empty text, and the lines of a single one of those."""
    found = list(csv.reader(io.StringIO(encode(table).decode(), newline="")))
    assert [row for row in found if row] == [
        [value or "" for value in row] for row in table if len(row) > 1 or row[0] is not None
    ]


def test_windows_line_ends_a_mark_and_a_missing_newline_are_taken() -> None:
    data = '\ufeffa,"b\r\nc"\r\n"d",\r\n,x'.encode()
    assert decode(data) == [["a", "b\r\nc"], ["d", None], [None, "x"]]
    assert decode(data, size=1) == decode(data)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b'a,b\nc,"d\ne,f\n', "row 2, column 2, has quotes that are not closed before the file"),
        (b'a,b\n"c"x,d\n', "row 2, column 1, has text behind a quote that closes its value"),
        (b'a,b\nc,d"e"\n', "row 2, column 2, has a quote in a value that does not begin with one"),
        (b"a,b\nc\rd,e\n", "row 2, column 1, has a carriage return outside of quotes"),
        (b"a,b\nc\n", "row 2 has 1 values, wanted 2"),
        (b'"a\nb",c\nd\n', r"row 2 \(line 3\) has 1 values, wanted 2"),
        (b"a,b\nc,d\xff\n", r"row 2, column 2, is not UTF-8 text \(bytes ff\)"),
        (b"a,b\nc,\xc3", r"row 2, column 2, is not UTF-8 text \(bytes c3\)"),
    ],
)
@pytest.mark.parametrize("size", [1, 5, 100])
def test_what_is_wrong_is_told_with_its_place(data: bytes, problem: str, size: int) -> None:
    with pytest.raises(TaskError, match=f"^s3://b/k: {problem}"):
        decode(data, size=size)


def test_a_row_without_an_end_does_not_fill_the_memory() -> None:
    with pytest.raises(TaskError, match="row 2, column 2, has no end within 1 MiB; its quotes are"):
        decode(b'a,b\nc,"' + b"x\n" * (1 << 20), size=1000, most=1 << 20)
    with pytest.raises(TaskError, match=r"row 1, column 1, has no end within 1 MiB$"):
        decode(b"x" * (2 << 20), size=1000, most=1 << 20)


def test_the_first_row_ends_behind_its_quotes() -> None:
    form = Quoted()
    assert form.first_end(b'"a\nb",c\nd') == 8
    assert form.first_end(b'"a\nb",c') == 0
    assert form.first_end(b"") == 0
