from __future__ import annotations

import pytest

from taskrunner.data.databases.postgresql_columns import column_of
from taskrunner.data.fitting.numbers import Binary, Money, Scaled
from taskrunner.data.fitting.rules import Rule
from taskrunner.data.fitting.texts import Elements, Length, Nothing
from taskrunner.data.fitting.times import Interval, Temporal


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        ("integer", Scaled()),
        ("numeric", None),
        ("numeric(5,2)", Scaled(2)),
        ("numeric(5,-2)", Scaled(-2)),
        ("numeric(5,2)[]", Elements(Scaled(2))),
        ("real", Binary(4)),
        ("double precision", Binary(8)),
        ("double precision[]", Elements(Binary(8))),
        ("money", Money()),
        ("date", Temporal(has_time=False)),
        ("timestamp without time zone", Temporal(digits=6)),
        ("timestamp(0) without time zone", Temporal()),
        ("timestamp(3) with time zone", Temporal(digits=3, has_zone=True)),
        ("time with time zone", Temporal(has_date=False, digits=6, has_zone=True)),
        ("time(1) without time zone[]", Elements(Temporal(has_date=False, digits=1))),
        ("interval", Interval()),
        ("interval(2)", Interval(2)),
        ("interval year", Nothing("may lose the parts that the type interval year has not")),
        ("character varying", None),
        ("character varying(3)", Length(3)),
        ("character(3)", Length(3)),
        ('"char"', Length(1, in_bytes=True, cuts_anything=True)),
        ("name", Length(63, in_bytes=True, cuts_anything=True)),
        ("bytea", None),
        ("bit(4)", None),
        ("jsonb", None),
        ('public."Mood"', None),
    ],
)
def test_rules(kind: str, rule: Rule | None) -> None:
    assert column_of(("v", kind, "")).rule == rule


def test_who_makes_the_value() -> None:
    assert column_of(("v", "integer", "s")).is_generated
    assert not column_of(("v", "integer", "")).is_generated
