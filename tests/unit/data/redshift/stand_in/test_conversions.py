from __future__ import annotations

import pytest

from taskrunner.data.redshift.options import Verb, parse_options
from taskrunner.data.redshift.stand_in.conversions import Column, conversions, fitted
from taskrunner.data.redshift.stand_in.values import Layout
from taskrunner.errors import PermanentTaskError

COLUMNS = [
    Column(name="n", type="integer"),
    Column(name="t", type="character varying", length=3),
    Column(name="at", type="timestamp without time zone"),
]


def layout(options: str) -> Layout:
    found = {option.name: option for option in parse_options(Verb.COPY, [options])}
    return Layout(options=found, columns=("n", "t", "at"))


@pytest.mark.parametrize(
    ("options", "row", "expected"),
    [
        ("", ["", "", ""], [None, "", None]),
        ("EMPTYASNULL", ["1", "", None], ["1", None, None]),
        ("BLANKSASNULL", ["1", "  ", None], ["1", None, None]),
        ("BLANKSASNULL", ["1", "", None], ["1", "", None]),
        ("TRIMBLANKS", ["1", " a  ", None], ["1", " a", None]),
        ("TRUNCATECOLUMNS", ["12345", "abcdef", None], ["12345", "abc", None]),
        ("TIMEFORMAT 'epochsecs'", ["1", "a", "86400"], ["1", "a", "1970-01-02 00:00:00.000000"]),
        (
            "TIMEFORMAT 'epochmillisecs'",
            ["1", "a", "1500"],
            ["1", "a", "1970-01-01 00:00:01.500000"],
        ),
        ("TIMEFORMAT 'epochsecs'", ["1", "a", "soon"], ["1", "a", "soon"]),
        ("TIMEFORMAT 'auto' DATEFORMAT 'YYYY-MM-DD'", ["1", "a", "x"], ["1", "a", "x"]),
    ],
)
def test_conversions(options: str, row: list[str | None], expected: list[str | None]) -> None:
    assert conversions(layout(options), COLUMNS)(row) == expected


@pytest.mark.parametrize("options", ["DATEFORMAT 'MM/DD/YY'", "TIMEFORMAT 'DD.MM.YYYY'"])
def test_a_format_that_postgresql_does_not_read_is_refused(options: str) -> None:
    with pytest.raises(PermanentTaskError, match="Redshift's place has no"):
        conversions(layout(options), COLUMNS)


def test_rows_that_are_too_short_or_too_long() -> None:
    assert fitted(layout(""), ["1"], 2) == "Delimiter not found"
    assert fitted(layout(""), ["1", "2", "3"], 2) == "Extra column(s) found"
    assert fitted(layout("FILLRECORD"), ["1"], 2) == ["1", None]
