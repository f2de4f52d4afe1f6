"""Two runs beside each other: which step got slower, and what else is not as it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from taskrunner.console.views import addresses
from taskrunner.console.views.moments import took
from taskrunner.console.views.words import Sign, sign
from taskrunner.model.run_status import RunStatus
from taskrunner.service.v1.shapes import InstanceSummary, Run

#: A step that took this much longer or shorter, and so many times as long, is told of.
_LEAST_S, _LEAST_RATIO = 1.0, 1.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A step in one of the runs."""

    address: str
    sign: Sign
    took: str
    attempts: int
    error: str
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPair:
    """A step in both of them, or in one."""

    component_id: str
    type: str
    now: Side | None
    before: Side | None
    #: `+3 min (2.1 times)`, or nothing where it took about as long.
    slower: str
    #: bad: it took longer; ok: it took less time; nothing: about as long.
    style: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunChoice:
    """A run that can be compared with."""

    value: str
    start: datetime
    sign: Sign
    chosen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparePage:
    """The page."""

    start: datetime
    address: str
    #: The other run; None: there is none to compare with.
    before: datetime | None
    before_address: str
    choices: Sequence[RunChoice]
    pairs: Sequence[StepPair]
    #: The address of what differs between their definitions, where these are of two versions.
    definition: str
    versions: str


def last_good(runs: Sequence[Run], start: datetime) -> Run | None:
    """Of runs, newest first, the last one before a moment that finished."""
    return next((r for r in runs if r.start < start and r.status is RunStatus.FINISHED), None)


def compare_page(
    pipeline_id: str,
    start: datetime,
    before: datetime | None,
    runs: Sequence[Run],
    now_steps: Sequence[InstanceSummary],
    before_steps: Sequence[InstanceSummary],
) -> ComparePage:
    """The page of two runs; those steps first that add most to how long it took."""
    mine, theirs = _by_step(now_steps), _by_step(before_steps)
    pairs = [
        _pair(pipeline_id, one, mine.get(key), theirs.get(key))
        for key, one in {**theirs, **mine}.items()
    ]
    versions = [
        max((one.version for one in steps), default=0) for steps in (before_steps, now_steps)
    ]
    differ = versions[0] != versions[1] and all(versions)
    return ComparePage(
        start=start,
        address=addresses.run(pipeline_id, start),
        before=before,
        before_address=addresses.run(pipeline_id, before) if before else "",
        choices=[
            RunChoice(
                value=addresses.at(run.start),
                start=run.start,
                sign=sign(run.status),
                chosen=run.start == before,
            )
            for run in runs
            if run.start != start
        ],
        pairs=[pair for _, pair in sorted(pairs, key=lambda found: -found[0])],
        definition=addresses.with_query(
            addresses.pipeline(pipeline_id, "definition"),
            {},
            version=str(versions[1]),
            against=str(versions[0]),
        )
        if differ
        else "",
        versions=f"{versions[0]} and {versions[1]}" if differ else "",
    )


_Step = tuple[str, int]


def _by_step(found: Sequence[InstanceSummary]) -> Mapping[_Step, InstanceSummary]:
    """Instances by their component, and which of it they are: a run may have several."""
    steps: dict[_Step, InstanceSummary] = {}
    for one in sorted(found, key=lambda one: (one.end, one.id)):
        number = sum(component == one.component_id for component, _ in steps)
        steps[one.component_id, number] = one
    return steps


def _pair(
    pipeline_id: str,
    one: InstanceSummary,
    now: InstanceSummary | None,
    before: InstanceSummary | None,
) -> tuple[float, StepPair]:
    """A step, and by how many seconds it took longer."""
    later, words, style = 0.0, "", ""
    if (
        now
        and before
        and (this := _seconds(now)) is not None
        and (that := _seconds(before)) is not None
    ):
        later = this - that
        words, style = _told(this, that)
    pair = StepPair(
        component_id=one.component_id,
        type=one.type,
        now=_side(pipeline_id, now),
        before=_side(pipeline_id, before),
        slower=words,
        style=style,
    )
    return later, pair


def _seconds(one: InstanceSummary) -> float | None:
    if one.began is None or one.ended is None:
        return None
    return (one.ended - one.began).total_seconds()


def _told(this: float, that: float) -> tuple[str, str]:
    """How much longer, in words, and its style."""
    longer, shorter = max(this, that), min(this, that)
    if longer - shorter < _LEAST_S or longer < shorter * _LEAST_RATIO:
        return "", ""
    sign_of_it, style = ("+", "bad") if this > that else ("-", "ok")
    times = f" ({this / that:.1f} times)" if that >= _LEAST_S and this > that else ""
    return f"{sign_of_it}{took(longer - shorter)}{times}", style


def _side(pipeline_id: str, one: InstanceSummary | None) -> Side | None:
    if one is None:
        return None
    seconds = _seconds(one)
    return Side(
        address=addresses.instance(pipeline_id, one.id),
        sign=sign(one.status),
        took="" if seconds is None else took(seconds),
        attempts=one.attempts,
        error=one.error_id or "",
        version=one.version,
    )
