"""Runs on demand take turns: which have ended, and which begin now. Pure, like the planner.

A run is what one activation of an on-demand pipeline made: the instances of one start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from taskrunner.model.rows import Row

#: How many runs of an on-demand pipeline are active at once unless Default's maxActiveInstances
#: says otherwise.
DEFAULT_ACTIVE_RUNS = 1
#: And how many it may say (the guide, "On-Demand"); validate warns of more.
MOST_ACTIVE_RUNS = 5


class RunState(StrEnum):
    """Where a run stands. One that is over is in no line any more, whatever is rerun of it."""

    WAITING = "WAITING"
    ACTIVE = "ACTIVE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Row):
    """A run in its pipeline's line."""

    pipeline_id: str
    start: datetime
    version: int
    state: RunState

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", RunState(self.state))


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns:
    """What is to be done about a line: the runs that are over, and those that begin."""

    over: tuple[Run, ...]
    begin: tuple[Run, ...]


def turns(
    line: Sequence[Run], *, limit: Callable[[Run], int], is_over: Callable[[Run], bool]
) -> Turns:
    """What is to be done about a line of runs, oldest first: none overtakes another.

    `limit` tells how many may be active, itself included, for a run to be. Neither is asked of runs
    behind the first that has to wait.
    """
    over: list[Run] = []
    begin: list[Run] = []
    active = 0
    for run in line:
        waits = run.state is RunState.WAITING
        if waits and active >= limit(run):
            break
        if is_over(run):
            over.append(run)
            continue
        if waits:
            begin.append(run)
        active += 1
    return Turns(over=tuple(over), begin=tuple(begin))
