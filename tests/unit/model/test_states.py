from __future__ import annotations

from itertools import product

import pytest

from taskrunner.model.states import (
    ATTEMPT_TERMINAL,
    ATTEMPT_TRANSITIONS,
    INSTANCE_FAILED,
    INSTANCE_TERMINAL,
    INSTANCE_TRANSITIONS,
    AttemptStatus,
    IllegalTransition,
    InstanceStatus,
    advance,
)

S, A = InstanceStatus, AttemptStatus


@pytest.mark.parametrize(("current", "to"), list(product(S, S)))
def test_an_instance_goes_where_its_table_leads_and_nowhere_else(
    current: InstanceStatus, to: InstanceStatus
) -> None:
    if to in INSTANCE_TRANSITIONS[current]:
        assert advance(current, to) is to
    else:
        with pytest.raises(IllegalTransition, match=f"{current} cannot become {to}"):
            advance(current, to)


@pytest.mark.parametrize(("current", "to"), list(product(A, A)))
def test_an_attempt_goes_where_its_table_leads_and_nowhere_else(
    current: AttemptStatus, to: AttemptStatus
) -> None:
    if to in ATTEMPT_TRANSITIONS[current]:
        assert advance(current, to) is to
    else:
        with pytest.raises(IllegalTransition):
            advance(current, to)


def test_every_state_stands_in_its_table() -> None:
    assert set(INSTANCE_TRANSITIONS) == set(S)
    assert set(ATTEMPT_TRANSITIONS) == set(A)


def test_no_state_leads_to_itself() -> None:
    assert [state for state, to in INSTANCE_TRANSITIONS.items() if state in to] == []
    assert [state for state, to in ATTEMPT_TRANSITIONS.items() if state in to] == []


def test_an_attempt_never_leaves_its_end_and_every_other_state_can_reach_one() -> None:
    for state, to in ATTEMPT_TRANSITIONS.items():
        assert bool(to) is (state not in ATTEMPT_TERMINAL)
        assert state in ATTEMPT_TERMINAL or to >= ATTEMPT_TERMINAL - {A.TIMEDOUT}


def test_only_a_resource_on_its_way_out_is_timed_out_and_no_attempt_any_more() -> None:
    assert [state for state, to in INSTANCE_TRANSITIONS.items() if S.TIMEDOUT in to] == [
        S.SHUTTING_DOWN
    ]
    assert [state for state, to in ATTEMPT_TRANSITIONS.items() if A.TIMEDOUT in to] == []


def test_an_instance_leaves_its_end_only_for_the_beginning() -> None:
    for state in INSTANCE_TERMINAL:
        assert INSTANCE_TRANSITIONS[state] == {S.WAITING_ON_DEPENDENCIES}


def test_every_live_instance_can_be_canceled_failed_and_finished() -> None:
    for state in set(S) - INSTANCE_TERMINAL:
        assert INSTANCE_TRANSITIONS[state] >= {S.CANCELED, S.FAILED, S.FINISHED}


def test_failed_ends_are_the_ends_that_hold_consumers_back() -> None:
    assert INSTANCE_TERMINAL - {S.FINISHED, S.SKIPPED} == INSTANCE_FAILED


@pytest.mark.parametrize(
    ("current", "to"), [(S.RUNNING, A.FINISHED), (A.RUNNING, S.FINISHED), (A.RUNNING, S.CANCELED)]
)
def test_the_two_machines_do_not_mix(
    current: InstanceStatus | AttemptStatus, to: InstanceStatus | AttemptStatus
) -> None:
    with pytest.raises(IllegalTransition):
        advance(current, to)


def test_names_are_the_apis() -> None:
    assert f"{S.WAITING_ON_DEPENDENCIES} {S.CANCELED} {S.TIMEDOUT} {A.RUNNING}" == (
        "WAITING_ON_DEPENDENCIES CANCELED TIMEDOUT RUNNING"
    )
