"""What goes as lines is what goes by rows: the same values, or the same refusal."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from types import FrameType

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from taskrunner.data.databases.base import Batch, Target, TargetColumn
from taskrunner.data.databases.lines_in import (
    FileRows,
    LinesIn,
    all_but,
    lines_of_rows,
    row_pattern,
    whole_lines,
)
from taskrunner.data.fitting.columns import Fitting
from taskrunner.data.fitting.numbers import Binary, Scaled
from taskrunner.data.fitting.rules import OnLossyValue, Rule
from taskrunner.data.fitting.texts import Length, Words, Year
from taskrunner.data.fitting.times import Interval, Temporal
from taskrunner.data.formats.encoding import Decoder, Escapes
from taskrunner.errors import TaskError

CSV = Escapes()
COLUMNS = [
    TargetColumn(name="id", type="int", rule=Scaled(), null_becomes="0"),
    TargetColumn(name="amount", type="numeric(9,2)", rule=Scaled(2)),
    TargetColumn(name="note", type="varchar(5)", rule=Length(5)),
    TargetColumn(name="rest", type="text"),
]
TARGET = Target(table="t", on_lossy_value=OnLossyValue.TRUNCATE)
FAILING = replace(TARGET, on_lossy_value=OnLossyValue.FAIL)
Files = Sequence[tuple[str, Sequence[bytes]]]


def file_rows(files: Files, *, escapes: Escapes = CSV, width: int | None = None) -> FileRows:
    def opened() -> Iterator[tuple[str, nullcontext[Iterator[bytes]]]]:
        for name, chunks in files:
            yield name, nullcontext(iter(chunks))

    return FileRows(batches=[], escapes=escapes, width=width, files=opened, count=lambda rows: None)


def by_lines(
    files: Files,
    columns: Sequence[TargetColumn] = COLUMNS,
    target: Target = TARGET,
    *,
    escapes: Escapes = CSV,
    width: int | None = None,
) -> list[list[str | None]] | str:
    """What a server would read; or why it is given nothing."""
    written = replace(escapes, also="\r")
    source = file_rows(files, escapes=escapes, width=width)
    try:
        pieces = list(LinesIn(source, columns, target, written=written).pieces())
    except TaskError as error:
        return str(error)
    # Nothing but these escapes is the same to a server.
    rows = Decoder(written, source="it", most=1 << 30).decode([b"x\n", b"".join(pieces)][1:])
    return [list(row) for batch in rows for row in batch]


def by_rows(
    files: Files,
    columns: Sequence[TargetColumn] = COLUMNS,
    target: Target = TARGET,
    *,
    escapes: Escapes = CSV,
    width: int | None = None,
) -> list[list[str | None]] | str:
    def batches() -> Iterator[list[Sequence[str | None]]]:
        known = None
        for name, chunks in files:
            for batch in Decoder(escapes, source=name, width=width).decode(chunks):
                known = known or len(batch[0])
                if len(batch[0]) != known:
                    found = len(batch[0])
                    raise TaskError(f"{name}: rows have {found} values, those before {known}")
                yield batch

    return kept_rows(batches(), columns, target)


def kept_rows(
    batches: Iterable[Batch], columns: Sequence[TargetColumn], target: Target
) -> list[list[str | None]] | str:
    """What the columns keep of some rows, looked at one batch after the other; or why not."""
    found: list[list[str | None]] = []
    fitting: Fitting | None = None
    try:
        for batch in batches:
            if fitting is None:
                policy, count = target.on_lossy_value, len(batch[0])
                fitting = Fitting.of_rows(columns, (), policy, table="t", width=count)
            rows = fitting.fit(batch, first=len(found) + 1)
            if any("\0" in value for row in rows for value in row if value is not None):
                fitting.refuse("\0", rows, first=len(found) + 1)
            found += map(list, rows)
    except TaskError as error:
        return str(error)
    return found


LINES = [
    b"1,2.50,ab,text\n", b"2,\\N,\\N,\\N\n", b"3,0,,\n", b"4,1.999,abc,x\n", b"5,1,abcde ,x\n",
    b"6,1,a\\,b,c\\\nd\n", b"7,1,a\\\\,\\\\N\n", b"8,1,\\n,\\.\n", b"9,1,a,b\r\n",
    b"10,1,a\rb,c\\\r\n", b"11,1,a\n", b"12,1,a,b,c\n", b"13,1,abcdefg,x\n",
    b"14,1,\xc3\xa9\xc3\xa9\xc3\xa9,\xf0\x9f\x98\x80\n",
    b"15,1,\xff,x\n", b"\xef\xbb\xbf16,1,a,b\n", b"\\N,1,a,b\n", b"17,1e3,a,b\n", b"18,x,a,b\n",
    b"\n", b"\\", b"19,1,a,b", b"20,1,a,\0\t\n", b"\\.\n", b"21,1,\\\xef\xbb\xbf,b\n",
]  # fmt: skip
texts = st.lists(st.one_of(st.sampled_from(LINES), st.just(LINES[0])), max_size=8).map(b"".join)


@given(
    contents=st.lists(texts, min_size=1, max_size=2),
    size=st.integers(1, 60),
    target=st.sampled_from([TARGET, FAILING]),
    width=st.sampled_from([None, None, 4, 3]),
)
@settings(max_examples=2 * settings().max_examples)
@example([b"1,2,a,b\n\xef\xbb\xbf2,2,a,b\n"], 8, TARGET, None)
@example([b"1,2,a,b", b"2,2,a,b\n"], 3, TARGET, None)
def test_lines_are_what_rows_are(
    contents: list[bytes], size: int, target: Target, width: int | None
) -> None:
    files = [
        (f"file{n}", [data[i : i + size] for i in range(0, len(data), size)])
        for n, data in enumerate(contents)
    ]
    lines = by_lines(files, COLUMNS, target, width=width)
    rows = by_rows(files, COLUMNS, target, width=width)
    # Of two faults it may be another one that is found first.
    assert lines == rows or (isinstance(lines, str) and isinstance(rows, str))


@pytest.mark.parametrize(
    "data",
    [
        b"1,2,ab,x\n2,1.999,ab,x\n",
        b"1,2,ab,x\n2,2,ab\n",
        b"1,2,ab,x\n2,2,\xff,x\n",
        b"1,2,ab,x\n\\N,2,a,x\n",
        b"1,2,ab\n",
        b"1,2,ab,x\\",
        b"1,2,ab,x\n2,2,ab,x,y\n",
    ],
)
def test_what_is_wrong_is_told_as_by_rows(data: bytes) -> None:
    files = [("first", [b"1,2,a,b\n"] * 3), ("second", [data])]
    told = by_lines(files, COLUMNS, FAILING)
    assert isinstance(told, str)
    assert told == by_rows(files, COLUMNS, FAILING)


def test_good_lines_are_passed_on_as_they_are() -> None:
    data = b"1,2.50,ab,te\\,xt\n2,\\N,\\N,\\N\n" * 10_000
    source = file_rows([("f", [data[i : i + 70_000] for i in range(0, len(data), 70_000)])])
    columns = [replace(COLUMNS[0], null_becomes=None), *COLUMNS[1:]]
    loading = LinesIn(source, columns, TARGET, written=replace(CSV, also="\r"))
    assert b"".join(loading.pieces()) == data


def test_only_what_has_to_be_looked_at_is_written_anew() -> None:
    good, odd = b"1,2,ab,x\n" * 1000, b"2,2,ab,b\\ad\r\n"
    source = file_rows([("f", [good, odd, good])])
    pieces = LinesIn(source, COLUMNS, TARGET, written=replace(CSV, also="\r")).pieces()
    assert b"".join(pieces) == good + b"2,2,ab,bad\n" + good


@pytest.mark.parametrize("separator", ["-", ":", " ", "+", "E"])
def test_a_separator_that_numbers_have_is_no_good_for_lines(separator: str) -> None:
    times = [TargetColumn(name="t", type="timestamp", rule=Temporal())]
    assert row_pattern(times, Escapes(separator=separator)) is None
    assert row_pattern(times, CSV) is not None


def test_a_rule_that_nobody_has_thought_of_is_no_good_for_lines() -> None:
    words = TargetColumn(name="w", type="enum", rule=Words(("a,b", "c")))
    assert row_pattern([words], CSV) is None
    assert row_pattern([], CSV) is None


def test_texts_of_a_length_and_words_are_lines() -> None:
    columns = [
        TargetColumn(name="note", type="varchar(5)", rule=Length(5)),
        TargetColumn(name="word", type="enum", rule=Words(("x", "xy"))),
        TargetColumn(name="year", type="year", rule=Year()),
    ]
    found = row_pattern(columns, CSV)
    assert found is not None
    good = b"a\\,\\\n\\\\b,x,2026\n,xy,0000\n\\N,\\N,\\N\nabcde,x,2026\n\\\\N,x,2026\n"
    assert found.holds(good)
    assert found.count(good) == 5
    for bad in (
        b"abcde\\,,x,2026\n",
        b"a\\b,x,2026\n",
        b"a,X,2026\n",
        b"a,xyx,2026\n",
        b"a,x,26\n",
    ):
        assert not found.holds(bad)


def test_numbers_of_all_kinds_are_lines() -> None:
    columns = [TargetColumn(name="x", type="double", rule=Binary(8))]
    found = row_pattern(columns, CSV)
    assert found is not None
    assert found.holds(b"-12.5\n1\n")
    assert not found.holds(b"-12.5\n0.12345678901234567\n")


@contextmanager
def within(cpu_s: float) -> Iterator[None]:
    """Fails where something takes for ever: the library of regular expressions can be ended."""

    def end(number: int, frame: FrameType | None) -> None:
        raise AssertionError(f"not done within {cpu_s} s of CPU time")

    before = signal.signal(signal.SIGVTALRM, end)
    signal.setitimer(signal.ITIMER_VIRTUAL, cpu_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


@pytest.mark.parametrize(
    ("rule", "value"),
    [(Length(200), "abc"), (Binary(8), "12.5"), (Interval(), "1234:00:00"), (None, "abc")],
)
def test_a_value_that_is_none_is_found_behind_many_that_could_be_read_in_two_ways(
    rule: Rule | None, value: str
) -> None:
    many = [TargetColumn(name="x", type="x", rule=rule)] * 60
    found = row_pattern([*many, COLUMNS[0]], CSV)
    assert found is not None
    row = ",".join([value] * 60)
    with within(20):
        assert found.holds(f"{row},1\n".encode())
        assert not found.holds(f"{row},one\n".encode())


@pytest.mark.parametrize("characters", ["\0", ",\\\n\r\0", "abc", "\x7f~"])
def test_a_class_of_all_bytes_but_some(characters: str) -> None:
    found = re.compile(all_but(characters).encode("latin-1"))
    every = [bytes([byte]) for byte in range(256)]
    assert b"".join(b for b in every if not found.fullmatch(b)) == bytes(
        sorted(characters.encode())
    )


def test_rows_become_lines_and_are_counted_over_batches() -> None:
    good: list[Batch] = [[["1", "2", "a,", "x"], ["2", None, "", "\n"]], [["3", "4", "b", "c"]]]
    lines = list(lines_of_rows(good, COLUMNS, TARGET, written=CSV))
    assert [(some.data, some.rows) for some in lines] == [
        (b"1,2,a\\,,x\n2,\\N,,\\\n\n", 2),
        (b"3,4,b,c\n", 1),
    ]
    for bad, words in (("1.999", "row 4, column 'amount'"), ("1\0", "row 4, column 'amount'")):
        batches = [*good, [["4", bad, "b", "c"]]]
        with pytest.raises(TaskError, match=words):
            list(lines_of_rows(batches, COLUMNS, FAILING, written=CSV))
    assert (
        len(
            list(
                lines_of_rows([[["1", "2", "\0", ""]]], COLUMNS, TARGET, written=CSV, without=None)
            )
        )
        == 1
    )


def test_rows_are_counted() -> None:
    found = row_pattern(COLUMNS[2:], CSV)
    assert found is not None
    data = b"a,b\n" + b"c,d\\\ne\n" + b"f,g\\\\\n" + b"h,i\\\\\\\nj\n" + b"\\N,\n"
    assert found.holds(data)
    assert found.count(data) == 5
    assert found.count(b"a,b\n") == 1


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
def test_pieces_end_where_rows_end(size: int) -> None:
    data = b"a,b\\\nc\n" + b"\\\\\n" + b"\\\\\\\nd\n" + b"\n" * 3 + b"rest\\\n"
    pieces = list(whole_lines([data[i : i + size] for i in range(0, len(data), size)]))
    assert b"".join(pieces) == data
    for piece in pieces[:-1]:
        assert piece.endswith(b"\n")
        assert (len(piece[:-1]) - len(piece[:-1].rstrip(b"\\"))) % 2 == 0


def test_a_row_without_end_does_not_fill_the_memory() -> None:
    chunk = b"x" * (1 << 18)
    taken = []

    def chunks() -> Iterator[bytes]:
        for number in range(1000):
            taken.append(number)
            yield chunk

    source = file_rows([("f", chunks())])  # type: ignore[list-item]
    pieces = LinesIn(source, COLUMNS[3:], TARGET, written=CSV, most=1 << 20).pieces()
    with pytest.raises(TaskError, match="f: row 1 has no end within 1 MiB"):
        next(pieces)
    assert len(taken) < 8
