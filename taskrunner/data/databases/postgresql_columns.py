"""The columns of a table of PostgreSQL's: what each keeps of the texts that it is given."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from taskrunner.data.fitting.columns import TargetColumn
from taskrunner.data.fitting.numbers import Binary, BitsAsDigits, Money, Scaled
from taskrunner.data.fitting.rules import Rule
from taskrunner.data.fitting.texts import Elements, Fields, Form, Length, Nothing, Unsigned
from taskrunner.data.fitting.times import Interval, Temporal

#: Columns with their types, those of domains with the type below; `{}` is who makes the value.
COLUMNS = """
WITH RECURSIVE base (number, name, type, modifier, made) AS (
    SELECT a.attnum, a.attname, a.atttypid, a.atttypmod, {}
    FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = %s::pg_catalog.regclass AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
    SELECT b.number, b.name, t.typbasetype, t.typtypmod, b.made
    FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.type AND t.typtype = 'd'
)
SELECT b.name, pg_catalog.format_type(b.type, b.modifier), b.made,
    CASE WHEN t.typrelid <> 0 THEN t.typrelid ELSE e.typrelid END,
    pg_catalog.format_type(r.rngsubtype, NULL)
FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.type AND t.typtype <> 'd'
LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
LEFT JOIN pg_catalog.pg_range r ON r.rngtypid = t.oid
ORDER BY b.number
"""
#: The columns of a table's primary key, and whether each holds whole numbers. That of a table does
#: not hold for those that inherit from it, unless they are its partitions: keys may be NULL there.
WHOLE_KEY = (
    "SELECT a.attname, a.atttypid IN (20, 21, 23) FROM pg_catalog.pg_constraint k "
    "JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = ANY(k.conkey) "
    "WHERE k.contype = 'p' AND k.conrelid = %s::regclass AND NOT EXISTS (SELECT 1 "
    "FROM pg_catalog.pg_class t JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid "
    "WHERE t.oid = k.conrelid AND t.relkind = 'r')"
)
#: Redshift has neither domains nor recursion.
PLAIN_COLUMNS = """
SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), '', NULL, NULL
FROM pg_catalog.pg_attribute a
WHERE a.attrelid = %s::pg_catalog.regclass AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""
_TYPE = re.compile(
    r'(?P<name>"?[a-z ]+?"?)(?:\((?P<arguments>[-\d,]+)\))?'
    r"(?P<rest>(?: [a-z ]+)?)(?P<array>(?:\[\])*)"
)
_MOST_DIGITS = 6


def column_of(
    row: Sequence[str | None], fields_of: Callable[[str], Sequence[TargetColumn]]
) -> TargetColumn:
    """A column, from a row of COLUMNS; `fields_of` looks up those of a composite type."""
    name, kind, made, composite, of_range = (text or "" for text in row)
    rule = _rule(kind)
    if composite and composite != "0":
        rule = _of_fields([field.rule for field in fields_of(composite)])
        rule = Elements(rule) if rule is not None and kind.endswith("[]") else rule
    elif rule is None and of_range and (bounds := _rule(of_range)) is not None:
        rule = Elements(bounds, _IN_RANGE)
    return TargetColumn(name=name, type=kind, rule=rule, is_generated=made == "s")


def _of_fields(rules: Sequence[Rule | None]) -> Rule | None:
    return Fields(tuple(rules)) if any(rule is not None for rule in rules) else None


def _rule(kind: str) -> Rule | None:
    found = _TYPE.fullmatch(kind)
    if found is None:
        return _OTHERS.get(kind)
    name, rest = found["name"], found["rest"]
    numbers = [int(number) for number in re.findall(r"-?\d+", found["arguments"] or "")]
    rule = _rule_of(name + (rest if not numbers else ""), numbers, with_zone="with time" in kind)
    return Elements(rule) if rule is not None and found["array"] else rule


def _rule_of(name: str, numbers: Sequence[int], *, with_zone: bool) -> Rule | None:
    digits = numbers[0] if numbers else _MOST_DIGITS
    if name.startswith(("timestamp", "time")):
        return Temporal(has_date=name.startswith("timestamp"), digits=digits, has_zone=with_zone)
    if name.startswith("interval"):
        return _interval(name, numbers)
    if name in {"bit", "bit varying"}:
        return BitsAsDigits(numbers[0] if numbers and name == "bit" else None)
    if name == "numeric":
        return Scaled(numbers[1]) if numbers[1:] else None
    if name in {"character varying", "character"}:
        return Length(numbers[0]) if numbers else None
    return _OTHERS.get(name)


def _interval(name: str, numbers: Sequence[int]) -> Rule:
    if name != "interval":
        return Nothing(f"may lose the parts that the type {name} has not")
    return Interval(numbers[0] if numbers else _MOST_DIGITS)


_IN_RANGE = r'"((?:[^"\\]|\\.)*)"|([^\[\](){},"\s][^\[\](){},"]*)'
_NUMBER = r"()([-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?)"
_POINTS = ("point", "line", "lseg", "box", "path", "polygon", "circle")


def _ranges(kind: str, rule: Rule) -> dict[str, Rule]:
    return {f"{kind}{what}": Elements(rule, _IN_RANGE) for what in ("range", "multirange")}


_OTHERS: dict[str, Rule] = {
    **dict.fromkeys(_POINTS, Elements(Binary(8), _NUMBER)),
    **_ranges("ts", Temporal(digits=_MOST_DIGITS)),
    **_ranges("tstz", Temporal(digits=_MOST_DIGITS, has_zone=True)),
    **_ranges("date", Temporal(has_time=False)),
    **dict.fromkeys(("oid", "xid", "cid"), Unsigned()),
    "xid8": Unsigned(64),
    "tid": Form(r"\([0-9]{1,10},[0-9]{1,5}\)", "a block and a row, as (0,1)"),
    "cidr": Form(
        r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?:/[0-9]{1,2})?"
        r"|[0-9]{1,3}(?:\.[0-9]{1,3}){0,3}/[0-9]{1,2}|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(?:/[0-9]{1,3})?",
        "a network, as 192.168.0.0/24",
    ),
    "macaddr": Form(r"[0-9A-Fa-f]{2}(?:[-:.]?[0-9A-Fa-f]{2}){5}", "an address of six bytes"),
    "smallint": Scaled(),
    "integer": Scaled(),
    "bigint": Scaled(),
    "real": Binary(4),
    "double precision": Binary(8),
    "money": Money(),
    "date": Temporal(has_time=False),
    '"char"': Length(1, in_bytes=True, cuts_anything=True),
    "name": Length(63, in_bytes=True, cuts_anything=True),
}
