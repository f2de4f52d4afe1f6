from __future__ import annotations

from collections.abc import Sequence

import pytest

from taskrunner.data.formats.regex import RegEx
from taskrunner.data.formats.registry import format_of
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError
from taskrunner.testing import new_task

LOG = r"(?<host>\S+) \[(\d+)\](?: (.*))?"


def made(**fields: str | list[str]) -> RegEx:
    found = format_of(new_task("RegEx", {"inputRegEx": LOG, **fields}).main)
    assert isinstance(found, RegEx)
    return found


def rows(found: RegEx, *chunks: bytes) -> list[Sequence[str | None]]:
    return [row for batch in found.decode(chunks, source="s3://b/log") for row in batch]


def test_each_group_is_a_value_and_one_without_part_is_null() -> None:
    text = "alpha [1] GET /\nbéta [22]\r\nlast [3] ".encode()
    expected = [("alpha", "1", "GET /"), ("béta", "22", None), ("last", "3", "")]
    assert rows(made(), text) == expected
    # However the bytes come, in the middle of characters and lines too.
    assert rows(made(), *(bytes([byte]) for byte in text)) == expected
    assert rows(made(), b"\xef\xbb\xbfa [1]") == [("a", "1", None)]
    assert rows(made()) == []


def test_many_rows_come_in_batches() -> None:
    batches = list(made().decode([b"a [1]\n"] * 2500, source="s"))
    assert [len(batch) for batch in batches] == [1000, 1000, 500]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"a [1]\nb (2)\n", "s3://b/log: row 2 does not match inputRegEx: 'b (2)'"),
        (b"a [1]\n\n", "s3://b/log: row 2 does not match inputRegEx: ''"),
        (b"a [1]\n" + b"x" * 100, "row 2 does not match inputRegEx: '" + "x" * 60 + "...'"),
        (b"a [1]\n\xff [2]\n", "s3://b/log: after row 0 it is not UTF-8 text"),
    ],
)
def test_a_line_that_is_no_row_is_named(data: bytes, problem: str) -> None:
    with pytest.raises(TaskError) as caught:
        rows(made(), data)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"inputRegEx": "(a"}, "field 'inputRegEx': '(a' cannot be read: missing )"),
        ({"inputRegEx": r"(\p{Alpha})"}, "cannot be read: bad escape"),
        ({"inputRegEx": "a+"}, "found 0 groups in 'a+', wanted at least one"),
        ({"column": ["a", "b"]}, "found 3 groups in"),
        ({"outputFormat": "%4$s"}, "field 'outputFormat': found '%4$s', wanted a number from 1"),
        ({"outputFormat": "%s"}, "wanted a line of text with %1$s, %2$s"),
        ({"outputFormat": "%1$s\n"}, "wanted a line of text with"),
    ],
)
def test_what_cannot_be_used_is_said_before_anything_is_read(
    fields: dict[str, str | list[str]], problem: str
) -> None:
    with pytest.raises(PermanentTaskError) as caught:
        made(**fields)
    assert "RegEx 'Activity'" in str(caught.value)
    assert problem in str(caught.value)
    assert caught.value.error_id == ErrorId.INVALID_FIELD


def test_rows_are_written_as_the_output_format_says() -> None:
    found = made(outputFormat="%2$s;%1$s %% %3$s", column=["host STRING, n INT", "rest STRING"])
    assert found.columns == ("host", "n", "rest")
    assert found.encode([("a", "1", None), ("b", "2", "x")]) == b"1;a % \\N\n2;b % x\n"
    with pytest.raises(TaskError, match="a value holds a line end"):
        found.encode([("a", "1", "x\ny")])
    with pytest.raises(PermanentTaskError, match="a row has 2 values, wanted 3"):
        found.encode([("a", "1")])


def test_nothing_is_written_without_an_output_format() -> None:
    with pytest.raises(PermanentTaskError, match="has no outputFormat"):
        made().encode([("a", "1", "x")])


def test_formats_that_write_the_same_are_equal() -> None:
    assert made(column=["a", "b", "c"]) == made()
    assert made(outputFormat="%1$s") != made()
