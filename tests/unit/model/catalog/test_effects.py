"""The table of what each field does: whole, without a row too many, and each row tried."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from taskrunner.model.catalog import CATALOG, FieldGroup
from taskrunner.model.catalog.effect_rows import ROWS, RUN_BY
from taskrunner.model.catalog.effects import (
    EVERY_WAY,
    Effect,
    Target,
    Way,
    effect_of,
    everywhere,
    nobody,
    only,
    runners_of,
    settable,
    without_effect,
)
from taskrunner.model.document import Ref
from taskrunner.service.resources.targets import Where
from taskrunner.testing import new_object
from tests.effects import SEEN

ROOT = Path(__file__).resolve().parents[4]
REFERENCE = ROOT / "../shared/reference/object-reference.json"


def test_every_field_that_an_author_may_set_has_a_row() -> None:
    """A new field, or a new type, fails here until somebody says what it does."""
    fields = [(name, field) for name in CATALOG for field in settable(name)]
    assert len(fields) > 600
    assert [pair for pair in fields if effect_of(*pair) is None] == []


@pytest.mark.skipif(not REFERENCE.exists(), reason="needs ../shared/reference beside the project")
def test_so_has_every_field_of_the_reference() -> None:
    reference = json.loads(REFERENCE.read_text())
    not_set = {"runtime", "system", "forbidden"}
    fields = [
        (name, field)
        for name, row in reference.items()
        if name in CATALOG
        for field, fact in row["fields"].items()
        if fact["group"] not in not_set
    ]
    missing = [pair for pair in fields if effect_of(*pair) is None]
    assert [(n, f) for n, f in missing if CATALOG[n].fields[f].group is not FORBIDDEN] == []


FORBIDDEN = FieldGroup.FORBIDDEN


def test_no_row_is_without_a_field() -> None:
    for scope, row in ROWS.items():
        types = [t for t in CATALOG.values() if scope in {t.name, t.category, "*"}]
        assert types, scope
        for field in row:
            assert [t.name for t in types if field in t.fields], (scope, field)


def test_what_is_not_honoured_by_all_says_why() -> None:
    for scope, row in ROWS.items():
        for field, effect in row.items():
            partial = effect.by != EVERY_WAY or effect.honoured is not None
            assert bool(effect.why) == partial, (scope, field)
            assert not effect.why.endswith("."), (scope, field)


def test_every_honoured_row_names_a_test_that_sees_its_effect() -> None:
    """`tests/chaos/test_effects.py` shows that they fail without the field."""
    honoured = {(scope, f) for scope, row in ROWS.items() for f, effect in row.items() if effect.by}
    assert {(scope, field) for scope, row in SEEN.items() for field in row} == honoured
    for scope, row in SEEN.items():
        for field, test in row.items():
            name, _, function = test.partition("::")
            text = (ROOT / "tests" / name).read_text(encoding="utf-8")
            assert f"def {function}(" in text, (scope, field)
            assert field.removeprefix("*") in text, (scope, field)


def test_what_only_the_service_sets_and_what_must_not_be_set_have_none() -> None:
    assert effect_of("ShellCommandActivity", "@status") is None
    assert effect_of("Ec2Resource", "runsOn") is None
    assert effect_of("Nothing", "command") is None
    assert effect_of("ShellCommandActivity", "myOwn") is None


def test_the_row_of_a_type_comes_before_that_of_its_category() -> None:
    of_type, of_category = effect_of("EmrCluster", "role"), effect_of("Ec2Resource", "role")
    assert of_type is not None
    assert of_category is not None
    assert of_type.by == frozenset({Way.EMR})
    assert not of_category.by


@pytest.mark.parametrize(
    ("effect", "values", "ways", "expected"),
    [
        (everywhere(), ["x"], {Way.GROUP}, True),
        (nobody("why"), ["x"], EVERY_WAY, False),
        (nobody("why"), [], EVERY_WAY, False),
        (nobody("why", granted="false"), ["False", "false"], EVERY_WAY, True),
        (nobody("why", granted="false"), ["false", "true"], EVERY_WAY, False),
        (nobody("why", granted="false"), [None], EVERY_WAY, False),
        (only(Way.EC2, why="why"), ["x"], {Way.EC2, Way.EMR}, True),
        (only(Way.EC2, why="why"), ["x"], {Way.GROUP}, False),
        (everywhere(honoured="arn:.*", why="why"), ["arn:aws:x"], EVERY_WAY, True),
        (everywhere(honoured="arn:.*", why="why"), ["Name"], EVERY_WAY, False),
        (everywhere(honoured="arn:.*", why="why"), [None], EVERY_WAY, True),
    ],
)
def test_whether_values_have_an_effect(
    effect: Effect, values: list[str | None], ways: set[Way], expected: bool
) -> None:
    assert effect.of(values, frozenset(ways)) is expected


def test_summaries_are_for_people() -> None:
    assert everywhere().summary == "yes"
    assert nobody("no reason").summary == "no: no reason"
    assert only(Way.EMR, Way.EC2, why="made").summary == "only by ec2, emr: made"
    assert everywhere(honoured="arn:.*", why="of an ARN").summary == "yes: of an ARN"
    assert nobody("no reason").message == "it has no effect here: no reason"


def test_targets_have_ways_and_every_type_runs_somewhere() -> None:
    assert frozenset().union(*(target.ways for target in Target)) == EVERY_WAY
    for name in CATALOG:
        assert runners_of(name) & EVERY_WAY, name
    assert set(RUN_BY) <= set(CATALOG)
    assert not runners_of("PigActivity") & Target.LOCAL.ways


def test_what_rules_may_say_of_a_resource_is_known_here() -> None:
    ways = {way.value for way in Way}
    assert [where for where in Where if where is not Where.NONE and where.value not in ways] == []


def test_of_a_tasks_objects_what_nobody_honours_is_found() -> None:
    fields = {"resizeClusterMaxInstances": "3", "resizeClusterBeforeRunning": "false"}
    objects = {
        "A": new_object("A", "HiveCopyActivity", {**fields, "attemptStatus": "x"}),
        "Db": new_object("Db", "JdbcDatabase", {"jdbcDriverJarUri": "s3://b/x", "username": "u"}),
        "P": new_object("P", "Plugged", {"step": "x"}),
        "R": new_object("R", "Ec2Resource", {"imageId": "ami-1", "httpProxy": Ref("P")}),
    }
    found = [(key, field) for key, field, _ in without_effect(objects)]
    assert found == [("A", "resizeClusterMaxInstances"), ("Db", "jdbcDriverJarUri")]
