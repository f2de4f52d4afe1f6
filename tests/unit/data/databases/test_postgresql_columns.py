from __future__ import annotations

from collections.abc import Sequence

import pytest

from taskrunner.data.databases.postgresql_columns import column_of
from taskrunner.data.fitting.columns import TargetColumn
from taskrunner.data.fitting.numbers import Binary, BitsAsDigits, Money, Scaled
from taskrunner.data.fitting.rules import NotKeptError, OnLossyValue, Rule
from taskrunner.data.fitting.texts import Elements, Length, Nothing, Unsigned
from taskrunner.data.fitting.times import Interval, Temporal


def column(kind: str, *more: str, fields: Sequence[Rule | None] = ()) -> TargetColumn:
    """Of a type, as the server's tables have it; `fields`: of a composite type."""
    found = [TargetColumn(name=f"f{n}", type="", rule=rule) for n, rule in enumerate(fields)]
    return column_of(("v", kind, "", *(more or ("0", ""))), lambda _: found)


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
        ("bit(4)", BitsAsDigits(4)),
        ("bit varying", BitsAsDigits(None)),
        ("bit varying(4)", BitsAsDigits(None)),
        ("jsonb", None),
        ("oid", Unsigned()),
        ("xid8", Unsigned(64)),
        ("cid[]", Elements(Unsigned())),
        ('public."Mood"', None),
    ],
)
def test_rules(kind: str, rule: Rule | None) -> None:
    assert column(kind).rule == rule


@pytest.mark.parametrize(
    ("kind", "kept", "changed"),
    [
        ("point", "(0.1,-1e+300)", "(0.1,0.1000000000000000000001)"),
        ("polygon", "((0,0),(1.5,1))", "((0,0),(9007199254740993,1))"),
        ("tsrange", '["2026-02-13 02:00:00.123456",)', "[2026-02-13 02:00:00.1234567,)"),
        ("tstzmultirange", '{["2026-02-13 02:00:00+00",)}', '{["2026-02-13 02:00:00.1234567",)}'),
        ("daterange", "[2026-02-13,2026-02-14)", '[2026-02-13,"2026-02-14 12:00:00")'),
    ],
)
def test_numbers_and_times_inside_of_values(kind: str, kept: str, changed: str) -> None:
    rule = column(kind).rule
    assert rule is not None
    assert rule.fit(kept, OnLossyValue.FAIL) == kept
    with pytest.raises(NotKeptError, match="has the element"):
        rule.fit(changed, OnLossyValue.ROUND)


def test_who_makes_the_value() -> None:
    assert column_of(("v", "integer", "s", "0", ""), lambda _: ()).is_generated
    assert not column("integer").is_generated


@pytest.mark.parametrize(
    ("kind", "kept", "changed"),
    [
        ("pair", "(1.50,abc)", "(1.999,abc)"),
        ("pair", '(,"a""\\")', '(1,"abc  ")'),
        ("pair", '("1.5",)', '("1.5""",abc )'),
        ("pair[]", '{"(1.50,abc)",NULL}', '{"(1.50,abc)","(1.999,\\"\\")"}'),
        ("pair", "no such text", "(1.999,x)"),
    ],
)
def test_fields_of_a_composite_type(kind: str, kept: str, changed: str) -> None:
    rule = column(kind, "16385", "", fields=[Scaled(2), Length(3)]).rule
    assert rule is not None
    assert not rule.keeps_all([kept])
    assert rule.fit(kept, OnLossyValue.FAIL) == kept
    with pytest.raises(NotKeptError, match="has the field"):
        rule.fit(changed, OnLossyValue.ROUND)


@pytest.mark.parametrize(
    ("kind", "kept", "refused"),
    [
        ("oid", ["0", "4294967295"], ["-1", "4294967296", "", " 5", "x"]),
        ("xid", ["4294967295"], ["1.5", "now", "0x1F"]),
        ("xid8", ["18446744073709551615"], ["18446744073709551616", "-1"]),
        ("tid", ["(0,1)"], ["(,)", "[(0,0),(1,1)]"]),
        ("cidr", ["192.168.0.0/24", "10/8", "10.0.0.1", "2001:db8::/32", "::ffff:1.2.3.0/120"],
         ["0", "1.5", "10.0.0", "0x1F"]),
        ("macaddr", ["08:00:2b:01:02:03", "0800-2b01-0203", "08002b010203"], ["2026-00-00"]),
        ("bit varying", ["", "0101"], ["b", "B101", "x1F"]),
        ("money", ["$1.50", "-$92,233,720,368,547,758.08", " .5", "(1.50)", "1,50 €", "5."],
         ["", "1,5", "(1,2)", "(,)", "1,0000"]),
        ("date", ["05-Jan-2026", "2026.01.05"], ["{1,2,3}", "['2026-01-05',)"]),
        ("timestamp without time zone", ["Jan 5 2026 10:11:12.123456"],
         ["Jan 5 2026 10:11:12.1234567", "['2026-01-05 10:11:12.1234567',)"]),
        ("time(0) without time zone", ["10:11:12.0 PM"], ["10:11:12.5 PM", "{1:2:3}"]),
    ],
)  # fmt: skip
def test_texts_of_which_the_server_makes_others(
    kind: str, kept: list[str], refused: list[str]
) -> None:
    rule = column(kind).rule
    assert rule is not None
    for text in kept:
        assert rule.fit(text, OnLossyValue.FAIL) == text
    for text in refused:
        assert not rule.keeps_all([text])
        with pytest.raises(NotKeptError):
            rule.fit(text, OnLossyValue.FAIL)


def test_types_that_have_nothing_to_lose() -> None:
    assert column("pair", "16385", "", fields=[None, None]).rule is None
    assert column("int4range", "0", "integer").rule is not None
    assert column("texts", "0", "text").rule is None


def test_bounds_of_a_range_of_ones_own() -> None:
    rule = column("doubles", "0", "double precision").rule
    assert rule is not None
    assert rule.fit("[0.1,2)", OnLossyValue.FAIL) == "[0.1,2)"
    with pytest.raises(NotKeptError, match="has the element"):
        rule.fit("[0.1,9007199254740993)", OnLossyValue.ROUND)
