from __future__ import annotations

import pytest

from taskrunner.activities.engines.aggregate import aggregated
from taskrunner.errors import TaskError


@pytest.mark.parametrize(
    ("function", "values", "result"),
    [
        ("LongValueSum", ["1", "20", "-3"], "18"),
        ("LongValueMax", ["9", "10", "-3"], "10"),
        ("LongValueMin", ["9", "10", "-3"], "-3"),
        ("DoubleValueSum", ["1.5", "2"], "3.5"),
        ("StringValueMax", ["9", "10"], "9"),
        ("StringValueMin", ["9", "10"], "10"),
        ("UniqValueCount", ["a", "b", "a"], "2"),
        ("ValueHistogram", ["a", "b\t3", "a"], "2\t2\t3\t3\t2.5\t0.5"),
    ],
)
def test_each_function(function: str, values: list[str], result: str) -> None:
    lines = [f"{function}:the key\t{value}\n".encode() for value in values]
    assert list(aggregated(lines)) == [f"the key\t{result}\n".encode()]


def test_keys_are_apart() -> None:
    lines = [b"LongValueSum:a\t1\n", b"LongValueSum:a\t1\n", b"LongValueSum:b:c\t5\n"]
    assert list(aggregated(lines)) == [b"a\t2\n", b"b:c\t5\n"]
    assert list(aggregated([])) == []


@pytest.mark.parametrize("line", [b"a\t1\n", b"Sum:a\t1\n", b"LongValueSum\t1\n"])
def test_a_line_without_a_function_is_refused(line: bytes) -> None:
    with pytest.raises(TaskError, match="wanted FUNCTION:KEY with one of LongValueSum, "):
        list(aggregated([line]))


def test_a_value_that_is_no_number_is_refused() -> None:
    with pytest.raises(TaskError, match="a value of b'LongValueSum:a' is no number"):
        list(aggregated([b"LongValueSum:a\tx\n"]))
