from __future__ import annotations

import pytest

from taskrunner.data.formats.columns import Kind, digits_of, kind_of, listed_columns
from taskrunner.testing.activity_environment import new_object, new_task


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("int4", Kind.INTEGER),
        ("BIGINT", Kind.INTEGER),
        ("bigint unsigned", Kind.INTEGER),
        ("int(5) zerofill", Kind.INTEGER),
        ("numeric(38,10)", Kind.DECIMAL),
        ("DECIMAL (5, 2)", Kind.DECIMAL),
        ("double precision", Kind.FLOAT),
        ("real", Kind.FLOAT),
        ("boolean", Kind.BOOLEAN),
        ("bytea", Kind.BINARY),
        ("varbinary(300)", Kind.BINARY),
        ("date", Kind.DATE),
        ("time(6)", Kind.TIME),
        ("timetz", Kind.TEXT),
        ("time with time zone", Kind.TEXT),
        ("time without time zone", Kind.TIME),
        ("datetime(6)", Kind.TIMESTAMP),
        ("timestamp(3) without time zone", Kind.TIMESTAMP),
        ("timestamp(3) with time zone", Kind.TIMESTAMP_TZ),
        ("timestamptz", Kind.TIMESTAMP_TZ),
        ("jsonb", Kind.JSON),
        ("int4[]", Kind.TEXT),
        ("varchar(9)", Kind.TEXT),
        ("type 16387", Kind.TEXT),
        ("", Kind.TEXT),
    ],
)
def test_the_kind_of_a_type(name: str, kind: Kind) -> None:
    assert kind_of(name) is kind


def test_digits() -> None:
    assert digits_of("numeric(38,10)") == (38, 10)
    assert digits_of("decimal( 5 )") == (5, 0)
    assert digits_of("numeric") is None


def test_columns_that_are_listed() -> None:
    described = new_object("Format", "CSV", {"column": ["a INT", "`b` DECIMAL(5, 2), c"]})
    found = listed_columns(new_task("CopyActivity", {}, described).object("Format"))
    assert [(c.name, c.type) for c in found] == [("a", "INT"), ("b", "DECIMAL(5, 2)"), ("c", "")]
    assert listed_columns(None) == ()
