from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.data.formats.base import Column
from taskrunner.data.formats.json_lines import JsonLines
from taskrunner.data.formats.registry import format_of
from taskrunner.errors import PermanentTaskError, TaskError
from taskrunner.testing.activity_environment import new_object, new_task

TYPES = ["int4", "numeric", "float8", "bool", "jsonb", "text", ""]


def make(*columns: str) -> JsonLines:
    described = new_object("Format", "JsonLines", {"column": list(columns)})
    found = format_of(new_task("CopyActivity", {}, described).object("Format"))
    assert isinstance(found, JsonLines)
    return found


def written(types: Sequence[str], *rows: Sequence[str | None]) -> str:
    columns = [Column(name=f"c{n}", type=kind) for n, kind in enumerate(types)]
    return JsonLines().writer(columns).encode(rows).decode()


def read(
    data: bytes | str, *, size: int = 1 << 20, form: JsonLines | None = None
) -> list[list[str | None]]:
    data = data.encode() if isinstance(data, str) else data
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    opened = (form or JsonLines()).open(pieces, source="s3://b/k")
    return [list(row) for batch in opened.batches for row in batch]


def test_values_are_what_their_types_are() -> None:
    row = ["1", "0.10", "1e+300", "t", '{"a":  [1]}', '{"b"}', None]
    assert written(TYPES, row) == (
        '{"c0":1,"c1":0.10,"c2":1e+300,"c3":true,"c4":{"a":  [1]},"c5":"{\\"b\\"}","c6":null}\n'
    )
    assert read(written(TYPES, row)) == [[*row[:3], "true", *row[4:]]]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("numeric", "NaN"),
        ("float8", "Infinity"),
        ("int", "00042"),
        ("numeric", ".5"),
        ("bool", "perhaps"),
        ("json", '"text"'),
        ("json", "null"),
        ("json", '{"a":\n1}'),
        ("json", '{"a":1} '),
        ("json", "{not json}"),
        ("json", '{"a": NaN}'),
        ("text", "true"),
        ("text", "1"),
        ("", '\u2028\x00\x7f"\\/é😀'),
    ],
)
def test_what_json_has_no_own_form_for_is_a_string(kind: str, value: str) -> None:
    line = written([kind], [value])
    assert json.loads(line) == {"c0": value}
    assert read(line) == [[value]]


@given(
    st.lists(
        st.lists(
            st.one_of(
                st.none(),
                st.text(st.characters(codec="utf-8"), max_size=5),
                st.sampled_from(["-0", "1e5", "[1, 2]", '{"a": {"a": "}"}}', "[", "NaN", ""]),
                st.decimals().map(str),
            ),
            min_size=6,
            max_size=6,
        ),
        min_size=1,
        max_size=5,
    ),
    st.integers(1, 40),
)
def test_every_table_comes_back(table: list[list[str | None]], size: int) -> None:
    types = ["int4", "numeric(9,2)", "double", "jsonb", "text", ""]
    data = written(types, *table)
    assert read(data, size=size) == table
    for line in data.split("\n")[:-1]:
        json.loads(line)


def test_names_may_come_in_any_order_and_be_missing() -> None:
    data = b'\xef\xbb\xbf{"a": 1, "b": "x"}\r\n\n {"b":true}\n{"b": null, "a": [1,  {"c": "]"}]}'
    for size in (1, 1000):
        assert read(data, size=size) == [["1", "x"], [None, "true"], ['[1,  {"c": "]"}]', None]]
    assert JsonLines().open([data], source="s").columns == ("a", "b")
    assert JsonLines().open([b"\n"], source="s").columns == ()
    assert JsonLines().open([data], source="s", names=("b", "a")).columns == ("b", "a")
    assert read(data, form=make("b STRING")) == [["x"], ["true"], [None]]


def test_the_listed_columns_have_types() -> None:
    assert make("id INT", "name STRING").encode([["1", "2"]]) == b'{"id":1,"name":"2"}\n'
    with pytest.raises(PermanentTaskError, match="list them in the data format's field 'column'"):
        make().encode([["1"]])
    with pytest.raises(PermanentTaskError, match="the column 'a' is there twice"):
        JsonLines().writer([Column(name="a"), Column(name="a")])


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b'{"a":1}\n{"a":1', "row 2, character 7 is not JSON: Expecting ',' delimiter"),
        (b'{"a":1}\n{"a":"x}', "row 2, character 6 is not JSON: Unterminated string"),
        (b'{"a":1}\n[1]', "row 2 is no JSON object"),
        (b'{"a":1}\n"a"', "row 2 is no JSON object"),
        (b'{"a":1}\n{"a":NaN}', "row 2 is not JSON: NaN is no number"),
        (b'{"a":1}\n{"a":1,"a":2}', "row 2 is not JSON: the name 'a' is there twice"),
        (b'{"a":1}\n{"a":[],"a":2}', "row 2 is not JSON: the name 'a' is there twice"),
        (b'{"a":1}\n{"b":2}', "row 2 has the name 'b', which rows before it have not"),
        (b'{"a":1}\n{"a":"\\ud800"}', "row 2 is not JSON: half a surrogate pair"),
        (b'{"a":1}\n{"a":"\xff"}', r"row 2, byte 7, is not UTF-8 text \(bytes ff\)"),
        (b'{"a":1}\n' + b"[" * 100_000, "row 2 is nested too deeply"),
        (b"PAR1\x00", "row 1, character 1 is not JSON: Expecting value"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(data: bytes, problem: str) -> None:
    with pytest.raises(TaskError, match=f"^s3://b/k: {problem}"):
        read(data, size=5)


def test_a_line_without_an_end_does_not_fill_the_memory() -> None:
    with pytest.raises(TaskError, match="row 2 has no end within 1 MiB"):
        read(b'{"a":1}\n"' + b"x" * (2 << 20), size=1000, form=JsonLines(most=1 << 20))
