"""B7: no state goes backwards, whatever runners, time, users and restarts do in any order.

The machine and its model are those of `tests/unit/service/test_state_machine.py`; here they run in
larger numbers, on PostgreSQL too, and against a service that has lost a defence.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from taskrunner.errors import ServiceFault
from taskrunner.model import planner
from taskrunner.service.tasks import Tasks
from taskrunner.testing import ServiceInProcess
from tests.chaos.scale import Chaos
from tests.chaos.storm_mutants import STORM_MUTANTS
from tests.contract.stores import STORES
from tests.unit.service.test_state_machine import RunnersAndTime

pytestmark = pytest.mark.xdist_group("chaos-machine")
STEPS = 30


@pytest.fixture(params=STORES)
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[type[RunnersAndTime]]:
    url = f"sqlite:///{tmp_path / 'service.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_database")
    with ServiceInProcess(database_url=url) as world:

        class Machine(RunnersAndTime):
            kept = staticmethod(lambda: world)

        Machine.__qualname__ = request.param
        yield Machine


def run(machine: type[RunnersAndTime], lives: int, chaos: Chaos) -> None:
    """So many lives of so many steps. Raises AssertionError, or what the service raises."""
    chosen = settings(
        max_examples=lives,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    # Else Hypothesis had a seed of its own, and the one that is told would repeat nothing.
    run_state_machine_as_test(seed(chaos.seed)(machine), settings=chosen)


def test_no_state_goes_backwards(chaos: Chaos, machine: type[RunnersAndTime]) -> None:
    # What is between the short form and the full is told by the variable.
    lives = chaos.trials(int(os.environ.get("TASKRUNNER_EXAMPLES", "10")), 20_000)
    run(machine, lives, chaos)
    chaos.found(
        "B7", f"{machine.__qualname__}: {lives} lives of {STEPS} steps as the model has them"
    )


@pytest.mark.parametrize("mutant", ["compare-and-set-off", "silence-ignored"])
def test_the_model_sees_a_defence_that_is_off(
    chaos: Chaos, machine: type[RunnersAndTime], monkeypatch: pytest.MonkeyPatch, mutant: str
) -> None:
    if not chaos.full and machine.__qualname__ != "sqlite":
        pytest.skip("dear, and much the same: in the full form only")
    # Put back afterwards: the mutants are made for processes of their own.
    monkeypatch.setattr(Tasks, "conclude", Tasks.conclude)
    monkeypatch.setattr(planner, "_silent", planner._silent)
    STORM_MUTANTS[mutant]()
    with pytest.raises((AssertionError, ServiceFault, pytest.fail.Exception)):
        run(machine, 300, chaos)
    chaos.found("B7", f"{machine.__qualname__}, {mutant}: found")
