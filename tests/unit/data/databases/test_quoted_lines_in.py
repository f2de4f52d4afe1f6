"""What goes as lines of RFC 4180 is what goes by rows: the same values, or the same refusal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from itertools import groupby

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from taskrunner.data.databases.base import Target, TargetColumn
from taskrunner.data.databases.lines_in import FileRows
from taskrunner.data.databases.quoted_lines_in import (
    QuotedLinesIn,
    quoted_pattern,
    whole_quoted_lines,
)
from taskrunner.data.fitting.numbers import Binary
from taskrunner.data.fitting.rules import OnLossyValue
from taskrunner.data.fitting.texts import Words
from taskrunner.data.formats.encoding import Decoder, Escapes
from taskrunner.data.formats.quoting import QuotedDecoder, Quoting
from taskrunner.errors import TaskError
from tests.unit.data.databases.test_lines_in import (
    COLUMNS,
    FAILING,
    TARGET,
    Files,
    kept_rows,
    within,
)

CSV = Quoting()
TEXT = Escapes(separator="\t", also="\r")


def file_rows(files: Files, *, width: int | None = None, at_start: bool = True) -> FileRows:
    def opened() -> Iterator[tuple[str, nullcontext[Iterator[bytes]]]]:
        for name, chunks in files:
            yield name, nullcontext(iter(chunks))

    return FileRows(
        batches=[],
        escapes=CSV,
        width=width,
        files=opened,
        count=lambda rows: None,
        at_start=at_start,
    )


def lines_of(
    source: FileRows, columns: Sequence[TargetColumn] = COLUMNS, target: Target = TARGET
) -> QuotedLinesIn:
    return QuotedLinesIn(source, columns, target, quoting=CSV, written=TEXT)


def by_lines(files: Files, target: Target, width: int | None) -> list[list[str | None]] | str:
    """What a server would read; or why it is given nothing."""
    found: list[list[str | None]] = []
    try:
        for dialect, data in lines_of(file_rows(files, width=width), target=target).told_pieces():
            if isinstance(dialect, Quoting):
                # The server knows neither marks nor, before version 18, this in the midst of data.
                assert rb"\." not in data.replace(b'"\n', b"\n").splitlines()
                batches = QuotedDecoder(CSV, source="it", lines_before=1).decode([data])
            else:
                batches = Decoder(TEXT, source="it", at_start=False).decode([data])
            found += [list(row) for batch in batches for row in batch]
    except TaskError as error:
        return str(error)
    return found


def by_rows(files: Files, target: Target, width: int | None) -> list[list[str | None]] | str:
    def batches() -> Iterator[list[Sequence[str | None]]]:
        known = None
        for name, chunks in files:
            for batch in QuotedDecoder(CSV, source=name, width=width).decode(chunks):
                known = known or len(batch[0])
                if len(batch[0]) != known:
                    raise TaskError(f"{name}: rows have {len(batch[0])} values")
                yield batch

    return kept_rows(batches(), COLUMNS, target)


LINES = [
    b"1,2.50,ab,text\n", b"2,,,\n", b'3,0,"",""\n', b"4,1.999,abc,x\n", b"5,1,abcde ,x\n",
    b'6,1,"a,b","c\nd"\n', b'"7","1","a""b","x"\n', b'8,1,a,"b\n\\.\nc"\n', b"9,1,a,b\r\n",
    b'10,1,"a\rb","c\r\n"\n', b"11,1,a\n", b"12,1,a,b,c\n", b"13,1,abcdefg,x\n",
    b"14,1,\xc3\xa9\xc3\xa9\xc3\xa9,\xf0\x9f\x98\x80\n", b'15,1,"\xff",x\n',
    b"\xef\xbb\xbf16,1,a,b\n", b",1,a,b\n", b"17,1e3,a,b\n", b"18,x,a,b\n", b"\n", b'"',
    b"19,1,a,b", b"20,1,a,\0\t\n", b"\\.\n", b'"\xef\xbb\xbf21",1,a,b\n', b'22,1,a"b,c\n',
    b'23,1,"a"b,c\n', b'24,"",a,b\n',
]  # fmt: skip
texts = st.lists(st.one_of(st.sampled_from(LINES), st.just(LINES[0])), max_size=8).map(b"".join)


@given(
    contents=st.lists(texts, min_size=1, max_size=2),
    size=st.integers(1, 60),
    target=st.sampled_from([TARGET, FAILING]),
    width=st.sampled_from([None, None, 4, 3]),
)
@settings(max_examples=2 * settings().max_examples)
@example([b'1,2,a,"b\n\\.\n"\n2,2,a,b\n'], 8, TARGET, None)
@example([b"1,2,a,b", b"2,2,a,b\n"], 3, TARGET, None)
def test_lines_are_what_rows_are(
    contents: list[bytes], size: int, target: Target, width: int | None
) -> None:
    files = [
        (f"file{n}", [data[i : i + size] for i in range(0, len(data), size)])
        for n, data in enumerate(contents)
    ]
    lines, rows = by_lines(files, target, width), by_rows(files, target, width)
    # Of two faults it may be another one that is found first.
    assert lines == rows or (isinstance(lines, str) and isinstance(rows, str))


def test_good_lines_are_passed_on_as_they_are() -> None:
    data = b'1,2.50,ab,"te,x""t"\n2,,"","two\nlines"\n' * 10_000
    source = file_rows([("f", [data[i : i + 70_000] for i in range(0, len(data), 70_000)])])
    columns = [replace(COLUMNS[0], null_becomes=None), *COLUMNS[1:]]
    pieces = list(lines_of(source, columns).told_pieces())
    assert b"".join(piece for _, piece in pieces) == data
    assert {dialect for dialect, _ in pieces} == {CSV}


def test_windows_line_ends_are_no_reason_to_look_at_rows() -> None:
    source = file_rows([("f", [b"1,2,a,b\r\n" * 100])])
    assert list(lines_of(source).told_pieces()) == [(CSV, b"1,2,a,b\n" * 100)]


def test_only_what_has_to_be_looked_at_is_written_anew() -> None:
    good, odd = b"1,2,ab,x\n" * 1000, b'2,2,ab,"b\n\\.\n"\n'
    pieces = list(lines_of(file_rows([("f", [good, odd, good])])).told_pieces())
    assert [dialect for dialect, _ in groupby(d for d, _ in pieces)] == [CSV, TEXT, CSV]
    assert b"".join(data for _, data in pieces) == good + b"2\t2\tab\tb\\\n\\\\.\\\n\n" + good


def test_rows_are_told_by_their_lines_behind_a_header() -> None:
    source = file_rows([("f", [b"1,2,ab,x\n", b"1,2,ab\n"])], at_start=False)
    with pytest.raises(TaskError, match=r"^f: row 2 \(line 3\) has 3 values, wanted 4"):
        list(lines_of(source).told_pieces())


@pytest.mark.parametrize("quoting", [Quoting(separator="-"), Quoting(quote="E"), CSV])
def test_characters_that_numbers_have_are_no_good_for_lines(quoting: Quoting) -> None:
    assert (quoted_pattern(COLUMNS, quoting) is None) == (quoting != CSV)


def test_a_rule_that_nobody_has_thought_of_is_no_good_for_lines() -> None:
    assert quoted_pattern([TargetColumn(name="w", type="e", rule=Words(("a",)))], CSV) is None
    assert quoted_pattern([], CSV) is None


@pytest.mark.parametrize("value", ["12.5", '"12.5"'])
def test_a_value_that_is_none_is_found_behind_many_that_could_be_read_in_two_ways(
    value: str,
) -> None:
    many = [TargetColumn(name="x", type="double", rule=Binary(8))] * 60
    found = quoted_pattern([*many, COLUMNS[0]], CSV)
    assert found is not None
    row = ",".join([value] * 60)
    with within(20):
        assert found.holds(f"{row},1\n".encode())
        assert not found.holds(f"{row},one\n".encode())


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
def test_pieces_end_where_rows_end(size: int) -> None:
    data = b'a,"b\nc"\n"""\n"\n' + b"\n" * 3 + b'x"y\nz"\nrest"\n'
    pieces = list(whole_quoted_lines([data[i : i + size] for i in range(0, len(data), size)], b'"'))
    assert b"".join(pieces) == data
    for piece in pieces[:-1]:
        assert piece.endswith(b"\n")
        assert piece.count(b'"') % 2 == 0


def test_quotes_without_end_do_not_fill_the_memory() -> None:
    taken = []

    def chunks() -> Iterator[bytes]:
        yield b'1,2,a,b\n2,2,a,"b\n'
        for number in range(1000):
            taken.append(number)
            yield b"x,\n" * (1 << 16)

    source = file_rows([("f", chunks())])  # type: ignore[list-item]
    loading = QuotedLinesIn(source, COLUMNS, TARGET, quoting=CSV, written=TEXT, most=1 << 20)
    with pytest.raises(
        TaskError, match=r"f: row 2, column 4, has no end within 1 MiB; its quotes are not closed"
    ):
        list(loading.told_pieces())
    assert len(taken) < 10


def test_the_rule_of_nulls() -> None:
    columns = [TargetColumn(name="id", type="int", null_becomes="0")]
    target = Target(table="t", on_lossy_value=OnLossyValue.FAIL)
    with pytest.raises(TaskError, match="NULL would be stored as 0"):
        list(lines_of(file_rows([("f", [b'x\n\n""\n'])]), columns, target).told_pieces())
    found = list(lines_of(file_rows([("f", [b'x\n""\n'])]), columns, target).told_pieces())
    assert found == [(CSV, b'x\n""\n')]
