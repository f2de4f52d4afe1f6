from __future__ import annotations

import pytest

from taskrunner.data.databases.text import check_line
from taskrunner.errors import PermanentTaskError

COLUMNS = ("id", "note", "rest")


def check(line: bytes) -> None:
    check_line(line, COLUMNS, b",", where="db: row 7", most=10)


def test_a_long_line_may_have_short_values() -> None:
    check(b"1234567890,1234567890,1234567890")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"1,12345678901,3", "row 7, column 'note' has 11 bytes, wanted at most 10"),
        (rb"1,12345\,6789,3", "column 'note' has 11 bytes"),
        (rb"1,2\\,\,\,\,\,\,\,", "column 'rest' has 12 bytes"),
    ],
)
def test_a_value_that_is_too_long_is_named(line: bytes, words: str) -> None:
    with pytest.raises(PermanentTaskError, match=words):
        check(line)
