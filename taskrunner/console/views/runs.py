"""Runs of a pipeline, and one run step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from taskrunner.console.views import addresses
from taskrunner.console.views.alarms import AlarmLine, alarm_line
from taskrunner.console.views.logs import size
from taskrunner.console.views.moments import took
from taskrunner.console.views.words import Sign, plural, sign
from taskrunner.service.v1.run_shapes import RunDetail
from taskrunner.service.v1.shapes import InstanceSummary, Run

#: The width of the drawing of a run's instances, in units of its own.
WIDTH = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLine:
    """A run of the list."""

    start: datetime
    end: datetime
    address: str
    sign: Sign
    began: datetime | None
    ended: datetime | None
    length: str
    #: `12 finished, 1 failed`.
    counts: str
    waits_for_turn: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """An instance of a run."""

    address: str
    component_id: str
    name: str
    type: str
    category: str
    sign: Sign
    length: str
    began: datetime | None
    ended: datetime | None
    attempts: int
    #: Its error, or what it waits for.
    message: str
    error_id: str
    #: Where its bar begins and how long it is, of WIDTH.
    left: float
    width: float
    #: It is on the critical path.
    critical: bool = False
    #: `1,200 rows, 3.2 MB`, or nothing.
    written: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CriticalLine:
    """A step of the critical path."""

    address: str
    component_id: str
    length: str
    #: How long after the step before it began, where that is a second or more.
    waited: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MoreOfRun:
    """What is told of a run beside its instances."""

    path: Sequence[CriticalLine]
    #: `1,200 rows, 3.2 MB` of all together, or nothing.
    written: str
    alarms: Sequence[AlarmLine]


def more_of_run(pipeline_id: str, found: RunDetail, now: datetime) -> MoreOfRun:
    """The critical path of a run, what it has written, and its alarms."""
    path: list[CriticalLine] = []
    before: datetime | None = None
    for step in found.critical_path:
        waited = (step.began - before).total_seconds() if before else 0.0
        path.append(
            CriticalLine(
                address=addresses.instance(pipeline_id, step.instance_id),
                component_id=step.component_id,
                length=took((step.ended or now) - step.began),
                waited=took(waited) if waited >= 1 else "",
            )
        )
        before = step.ended
    return MoreOfRun(
        path=path,
        written=written(*(found.total.get(key) for key in ("rows", "bytes", "files"))),
        alarms=[alarm_line(pipeline_id, alarm) for alarm in found.alarms],
    )


def written(rows: int | None, amount: int | None, files: int | None) -> str:
    """What was written, as people say it."""
    told = [plural(rows, "row")] if rows is not None else []
    told += [size(amount)] if amount is not None else []
    told += [plural(files, "file")] if files is not None else []
    return ", ".join(told)


def run_line(pipeline_id: str, run: Run, now: datetime) -> RunLine:
    """A run of the list."""
    order = sorted(run.counts.items(), key=lambda pair: -pair[1])
    return RunLine(
        start=run.start,
        end=run.end,
        address=addresses.run(pipeline_id, run.start),
        sign=sign(run.status),
        began=run.began,
        ended=run.ended,
        length=took((run.ended or now) - run.began) if run.began else "-",
        counts=", ".join(f"{count} {sign(status).word}" for status, count in order),
        waits_for_turn=run.waits_for_turn,
    )


def bars(
    pipeline_id: str,
    found: Sequence[InstanceSummary],
    now: datetime,
    detail: RunDetail | None = None,
) -> Sequence[Bar]:
    """The instances of a run in the order in which they began, those that have not, last."""
    critical = {step.instance_id for step in detail.critical_path} if detail else set()
    told = {one.instance_id: one for one in detail.written} if detail else {}
    begun = [one.began for one in found if one.began]
    first = min(begun, default=now)
    last = max([one.ended or now for one in found if one.began], default=now)
    whole = max((last - first).total_seconds(), 1e-6)

    def bar(one: InstanceSummary) -> Bar:
        began = one.began
        left = (began - first).total_seconds() / whole * WIDTH if began else 0.0
        length = ((one.ended or now) - began).total_seconds() if began else 0.0
        return Bar(
            address=addresses.instance(pipeline_id, one.id),
            component_id=one.component_id,
            name=one.name,
            type=one.type,
            category=one.category,
            sign=sign(one.status),
            length=took(length) if began else "-",
            began=began,
            ended=one.ended,
            attempts=one.attempts,
            message=one.error_message or "",
            error_id=one.error_id or "",
            left=round(left, 1),
            width=round(max(length / whole * WIDTH, 2.0), 1) if began else 0.0,
            critical=one.id in critical,
            written=written(by.rows, by.bytes, by.files) if (by := told.get(one.id)) else "",
        )

    far = (1, now)
    order = sorted(found, key=lambda one: ((0, one.began) if one.began else far, one.component_id))
    return [bar(one) for one in order]
