from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.data.formats.base import Column
from taskrunner.data.formats.parquet import Parquet
from taskrunner.data.formats.registry import format_of
from taskrunner.errors import PermanentTaskError, TaskError
from taskrunner.testing.activity_environment import new_object, new_task

pa: Any = pytest.importorskip("pyarrow", reason="Parquet is an extra: pip install pyarrow")
pq: Any = pytest.importorskip("pyarrow.parquet")


def written(types: Sequence[str], *rows: Sequence[str | None]) -> bytes:
    columns = [Column(name=f"c{n}", type=kind) for n, kind in enumerate(types)]
    writer = Parquet().writer(columns)
    return b"".join([writer.begin(), *(writer.encode([row]) for row in rows), writer.end()])


def read(data: bytes, form: Parquet | None = None) -> list[list[str | None]]:
    pieces = [data[start : start + 1000] for start in range(0, len(data), 1000)]
    batches = (form or Parquet()).decode(pieces, source="s3://b/k")
    return [list(row) for batch in batches for row in batch]


@pytest.mark.parametrize(
    ("kind", "arrow", "values"),
    [
        ("int2", "int16", ["-32768", "32767"]),
        ("int4", "int32", ["-2147483648", "2147483647"]),
        ("int8", "int64", ["-9223372036854775808", "9223372036854775807"]),
        ("bigint unsigned", "uint64", ["18446744073709551615"]),
        ("int unsigned", "int64", ["4294967295"]),
        ("tinyint", "int16", ["-128", "127"]),
        ("numeric(38,10)", "decimal128(38, 10)", ["-1234567890123456789012345678.1234567891"]),
        ("decimal(65,0)", "decimal256(65, 0)", ["9" * 65, "0"]),
        ("numeric(5,2)", "decimal128(5, 2)", ["0.00", "-999.99"]),
        ("numeric", "string", ["NaN", "1" * 90]),
        ("float8", "double", ["0.1", "1e+300", "5e-324", "NaN", "Infinity", "-Infinity", "-0.0"]),
        ("float4", "float", ["0.1", "3.402823466e+38", "1e-45", "NaN", "-Infinity", "16777216"]),
        ("bool", "bool", ["true", "false"]),
        ("bytea", "binary", ["\\x", "\\x00ff5c"]),
        ("date", "date32[day]", ["0001-01-01", "2024-02-29", "9999-12-31"]),
        ("time", "time64[us]", ["00:00:00", "23:59:59.999999", "12:00:00.5"]),
        ("timestamp", "timestamp[us]", ["0001-01-01 00:00:00", "9999-12-31 23:59:59.999999"]),
        ("timestamptz", "timestamp[us, tz=UTC]", ["2026-02-13 02:00:00.5+00"]),
        ("text", "string", ["", "NULL", "é😀", "\0"]),
        ("json", "string", ['{"a" :  1}']),
        ("", "string", ["1"]),
    ],
)
def test_values_are_what_their_types_are(kind: str, arrow: str, values: list[str]) -> None:
    data = written([kind], *[[value] for value in values], [None])
    assert str(pq.read_schema(io.BytesIO(data)).field("c0").type) == arrow
    assert read(data) == [*[[value] for value in values], [None]]


@pytest.mark.parametrize(
    ("kind", "value", "wanted"),
    [
        ("int2", "32768", "a value that it has a place for"),
        ("int4", "1.5", "a whole number"),
        ("numeric(5,2)", "NaN", "a decimal number"),
        ("numeric(5,2)", "1000", "at most 5 digits, 2 of them behind the point"),
        ("numeric(5,2)", "0.001", "at most 5 digits, 2 of them behind the point"),
        ("float8", "1e400", "a number that a double has"),
        ("float4", "16777217", "a number that a single has"),
        ("float4", "0.123456789012", "a number that a single has"),
        ("float4", "1e39", "a number that a single has"),
        ("float8", "x", "a number"),
        ("bool", "yes", "true or false"),
        ("date", "infinity", "a date from 0001-01-01 to 9999-12-31"),
        ("date", "0000-00-00", "a date that the calendar has"),
        ("date", "2020-00-15", "a date that the calendar has"),
        ("time", "24:00:00", "a time from 00:00:00 to 23:59:59.999999"),
        ("time", "-838:59:59", "a time from 00:00:00 to 23:59:59.999999"),
        ("timestamp", "infinity", "a date and time from"),
        ("timestamp", "2026-02-13 02:00:00+00", "a date and time from"),
        ("timestamptz", "0044-03-15 12:00:00+00 BC", "a date and time from"),
    ],
)
def test_what_a_type_has_no_place_for_is_refused(kind: str, value: str, wanted: str) -> None:
    with pytest.raises(PermanentTaskError, match=r"row 2, column 'c0' \(.*\): found '") as caught:
        written([kind], [None], [value])
    assert f"wanted {wanted}" in str(caught.value)


@given(
    st.lists(
        st.tuples(
            st.none() | st.integers(-(2**63), 2**63 - 1).map(str),
            st.none() | st.decimals(-999, 999, places=3).map(str),
            st.none() | st.floats(allow_nan=False, allow_infinity=False).map(repr),
            st.none() | st.binary(max_size=4).map(lambda value: "\\x" + value.hex()),
            st.none() | st.dates().map(str),
            st.none() | st.text(st.characters(codec="utf-8"), max_size=5),
        ).map(list),
        max_size=6,
    )
)
def test_every_table_comes_back(table: list[list[str | None]]) -> None:
    types = ["int8", "numeric(6,3)", "float8", "bytea", "date", "text"]
    assert read(written(types, *table)) == table


def test_no_rows_and_many() -> None:
    assert read(written(["int4"])) == []
    table = [[str(n), "x" * (n % 7)] for n in range(2500)]
    data = written(["int4", "text"], *table)
    assert read(data) == table


def test_rows_come_in_groups() -> None:
    """What is full is given away: memory does not grow with the rows."""
    writer = Parquet().writer([Column(name="a")])
    given = [writer.encode([["x" * (1 << 20)]] * 8) for _ in range(8)]
    assert [bool(data) for data in given] == [False, False, False, True] * 2
    data = b"".join([*given, writer.end()])
    assert pq.ParquetFile(io.BytesIO(data)).num_row_groups == 2


def test_columns_are_found_by_their_names() -> None:
    data = written(["int4", "text"], ["1", "a"])
    opened = Parquet().open([data], source="s", names=("c1", "c0"))
    assert (opened.columns, [list(b) for b in opened.batches]) == (("c1", "c0"), [[("a", "1")]])
    opened.close()
    described = new_object("Format", "Parquet", {"column": "c1 STRING"})
    form = format_of(new_task("CopyActivity", {}, described).object("Format"))
    assert isinstance(form, Parquet)
    assert read(data, form) == [["a"]]
    assert form.encode([["x"]])[:4] == b"PAR1"
    with pytest.raises(TaskError, match="s has the columns c0, c1; wanted c0, c2"):
        Parquet().open([data], source="s", names=("c0", "c2"))
    with pytest.raises(TaskError, match="s has the columns c0, c1; wanted c0"):
        Parquet().open([data], source="s", names=("c0",))


def test_what_others_have_written_is_read() -> None:
    table = pa.table(
        {
            "ns": pa.array([1_000_000_001], pa.timestamp("ns")),
            "tz": pa.array([0], pa.timestamp("ms", tz="Europe/Paris")),
            "dictionary": pa.array(["a"]).dictionary_encode(),
            "large": pa.array(["b"], pa.large_string()),
            "fixed": pa.array([b"\x00\x01"], pa.binary(2)),
            "half": pa.array([0.5], pa.float16()),
            "nothing": pa.nulls(1),
        }
    )
    sink = io.BytesIO()
    pq.write_table(table, sink)
    assert read(sink.getvalue()) == [
        [
            "1970-01-01 00:00:01.000000001",
            "1970-01-01 00:00:00+00",
            "a",
            "b",
            "\\x0001",
            "0.5",
            None,
        ]
    ]


def test_what_has_no_text_is_refused() -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"n": [1], "l": [[1, 2]]}), sink)
    with pytest.raises(TaskError, match="s3://b/k, column 'l': found the type list"):
        read(sink.getvalue())


@pytest.mark.parametrize("cut", [0, 3, 50, -1, -9])
def test_what_is_damaged_is_told(cut: int) -> None:
    data = written(["int4", "text"], *[[str(n), "x"] for n in range(99)])
    with pytest.raises(TaskError, match=r"^s3://b/k: the Parquet data cannot be read"):
        read(data[:cut])


def test_what_is_wrong_with_columns() -> None:
    with pytest.raises(PermanentTaskError, match="list them in the data format's field 'column'"):
        Parquet().writer([])
    with pytest.raises(PermanentTaskError, match="the column 'a' is there twice"):
        Parquet().writer([Column(name="a"), Column(name="a")])
    writer = Parquet().writer([Column(name="a")])
    writer.encode([["1", "2"]])
    with pytest.raises(TaskError, match="a row has 2 values, wanted 1"):
        writer.end()
