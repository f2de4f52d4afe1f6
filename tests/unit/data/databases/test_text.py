from __future__ import annotations

import pytest

from taskrunner.data.databases.text import check_line
from taskrunner.data.formats.encoding import Escapes
from taskrunner.data.formats.quoting import Quoting, TextDialect
from taskrunner.errors import PermanentTaskError

COLUMNS = ("id", "note", "rest")


def check(line: bytes, dialect: TextDialect = Escapes()) -> None:  # noqa: B008  it is frozen
    check_line(line, COLUMNS, dialect, where="db: row 7", most=10)


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


def test_a_value_in_quotes_is_named_too() -> None:
    check(b'"1,2,3,4",",",5', Quoting())
    with pytest.raises(PermanentTaskError, match="column 'note' has 14 bytes"):
        check(b'1,"1,2,3,4""5,6",5', Quoting())
