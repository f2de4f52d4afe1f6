from __future__ import annotations

import pytest

from taskrunner.model.blocked import blocked, over
from taskrunner.model.instances import Dependency, DependencyKind
from taskrunner.model.rows import InstanceRow
from taskrunner.model.states import INSTANCE_FAILED, INSTANCE_TERMINAL, InstanceStatus
from tests.unit.model.lives import resource, waiting

S, K = InstanceStatus, DependencyKind
WAITS = S.WAITING_ON_DEPENDENCIES


def on(*ids: str, kind: DependencyKind = K.DEPENDS_ON) -> list[Dependency]:
    return [Dependency(of, kind) for of in ids]


NEVER_FINISHED = {*INSTANCE_FAILED, S.SKIPPED}


@pytest.mark.parametrize("status", sorted(NEVER_FINISHED))
def test_who_waits_for_something_failed_waits_for_ever(status: InstanceStatus) -> None:
    assert blocked({"a": status, "b": WAITS}, {"b": on("a")}) == {"b": "a"}


@pytest.mark.parametrize("status", [s for s in S if s not in NEVER_FINISHED])
def test_whatever_else_may_still_come_about(status: InstanceStatus) -> None:
    assert blocked({"a": status, "b": WAITS}, {"b": on("a")}) == {}


def test_it_goes_on_to_those_behind_each_with_its_own_cause() -> None:
    statuses = {"a": S.FAILED, "b": WAITS, "c": WAITS, "d": WAITS, "e": S.RUNNING}
    waits = {"b": on("a"), "c": on("e", "b"), "d": on("e")}
    assert blocked(statuses, waits) == {"b": "a", "c": "b"}


def test_what_was_never_made_does_not_come() -> None:
    assert blocked({"b": WAITS}, {"b": on("gone")}) == {"b": "gone"}


def test_only_waiting_instances_are_blocked() -> None:
    assert blocked({"a": S.FAILED, "b": S.RUNNING}, {"b": on("a")}) == {}


def test_an_unlaunched_resource_does_not_block_its_user() -> None:
    statuses = {"r": WAITS, "b": WAITS}
    assert blocked(statuses, {"b": on("r", kind=K.RESOURCE)}) == {}
    assert blocked(statuses | {"r": S.FAILED}, {"b": on("r", kind=K.RESOURCE)}) == {"b": "r"}


def test_those_that_wait_for_each_other_are_not_said_to_be_blocked() -> None:
    assert blocked({"a": WAITS, "b": WAITS}, {"a": on("b"), "b": on("a")}) == {}


# -- is anything left to happen? ------------------------------------------------------------


def activity(name: str, status: InstanceStatus) -> InstanceRow:
    return waiting(instance_id=name, status=status).instance


@pytest.mark.parametrize("status", list(S))
def test_a_run_is_over_once_all_are_at_their_end(status: InstanceStatus) -> None:
    rows = [activity("a", S.FINISHED), activity("b", status)]
    assert over(rows, {}) is (status in INSTANCE_TERMINAL)


def test_those_that_wait_for_ever_do_not_keep_it() -> None:
    rows = [activity("a", S.FAILED), activity("b", WAITS), activity("c", WAITS)]
    assert over(rows, {"b": "a", "c": "b"}) is True
    assert over([*rows, activity("d", S.RUNNING)], {"b": "a", "c": "b"}) is False
    assert over([*rows, activity("d", WAITS)], {"b": "a", "c": "b"}) is False


@pytest.mark.parametrize("status", [WAITS, S.CREATING, S.RUNNING, S.SHUTTING_DOWN])
def test_nor_does_the_resource_that_they_keep(status: InstanceStatus) -> None:
    kept = resource(status).instance
    rows = [activity("a", S.FAILED), activity("b", WAITS), kept]
    assert over(rows, {"b": "a"}) is (status is not S.SHUTTING_DOWN)
    # Without them it will end by itself, and is waited for.
    assert over([activity("a", S.FAILED), kept], {}) is False


def test_a_run_of_nothing_is_over() -> None:
    assert over([], {}) is True
