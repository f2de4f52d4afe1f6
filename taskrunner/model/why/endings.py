"""What is to be said of an instance that runs, or has ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from taskrunner.model.decisions import Queue
from taskrunner.model.instances import Category
from taskrunner.model.states import AttemptStatus, InstanceStatus
from taskrunner.model.why import remedies
from taskrunner.model.why.causes import Cause, Code
from taskrunner.model.why.facts import Known
from taskrunner.model.why.resources import ends_after
from taskrunner.model.why.words import ago, ahead, at, quoted, several

_I = InstanceStatus
_MOST_NAMED = 3


def running(known: Known, now: datetime) -> Cause:
    """It is at work."""
    row, head = known.row, known.head
    begun = f" since {at(row.actual_start)}" if row.actual_start else ""
    if row.category == Category.RESOURCE:
        return Cause(
            code=Code.RUNNING,
            object_id=row.instance_id,
            says=f"the resource {row.instance_id} is up{begun}{ends_after(known, now)}",
            command=remedies.runs(row.pipeline_id),
        )
    host = (head.hostname if head else None) or "its runner"
    if head is not None and head.report_by is not None and now >= head.report_by:
        return Cause(
            code=Code.RUNNER_NOT_REPORTING,
            object_id=row.instance_id,
            says=f"{host} has it{begun} and has not reported in time (by {at(head.report_by)}): "
            "another attempt is about to begin",
            command=remedies.agent_status(),
            where=f"on {host}",
        )
    return Cause(
        code=Code.RUNNING,
        object_id=row.instance_id,
        says=f"{host} works on it{begun}{_attempt(known)}{_report(known, now)}",
        command=remedies.logs(row.pipeline_id, row.instance_id),
    )


def _attempt(known: Known) -> str:
    head = known.head
    return f", attempt {head.number}" if head and head.number > 1 else ""


def _report(known: Known, now: datetime) -> str:
    head = known.head
    if head is None or head.report_by is None:
        return ""
    return f"; it is to report by {ahead(head.report_by, now)}"


def handed_out(known: Known, now: datetime) -> Cause | None:
    """A runner was given it and has not acknowledged it; None: that is not so."""
    head = known.head
    if (
        head is None
        or head.queue != Queue.OUT
        or head.status is not (AttemptStatus.WAITING_FOR_RUNNER)
    ):
        return None
    host = head.hostname or "a runner"
    until = f" by {ahead(head.report_by, now)}" if head.report_by else ""
    return Cause(
        code=Code.HANDED_OUT,
        object_id=known.row.instance_id,
        says=f"{host} was given it and is to acknowledge it{until}: else it is offered to others",
        command=remedies.agent_status(),
        where=f"on {host}",
    )


def ended(known: Known, now: datetime, behind: tuple[Cause, ...]) -> Cause:
    """It has ended; `behind` is what drew it along."""
    row = known.row
    code, says = _ENDS[row.status](known, now)
    if behind:
        command, where = behind[0].root.command, behind[0].root.where
    elif code is Code.FINISHED and _waited_for_none(known):
        command, where = remedies.put(row.pipeline_id), "with a dependsOn, if it is to wait"
    elif code is Code.FINISHED:
        command, where = remedies.runs(row.pipeline_id), ""
    else:
        command = remedies.rerun(row.pipeline_id, row.instance_id)
        where = "once what is told here is mended" if code in _TO_BE_MENDED else ""
    return Cause(
        code=code,
        object_id=row.instance_id,
        says=says,
        command=command,
        where=where,
        because=behind,
    )


_TO_BE_MENDED = frozenset({Code.FAILED, Code.TIMEDOUT})


def _finished(known: Known, _now: datetime) -> tuple[Code, str]:
    row = known.row
    begun = f": it began at {at(row.actual_start)}" if row.actual_start else ""
    return Code.FINISHED, f"{row.instance_id} has finished{begun}{_order(known)}"


def _waited_for_none(known: Known) -> bool:
    return known.row.category == Category.ACTIVITY and not known.waited_for


def _order(known: Known) -> str:
    """Why it did not wait for others, of which somebody may have thought that it would."""
    if known.waited_for:
        return f", when {several(known.waited_for, _MOST_NAMED)} had finished"
    if not _waited_for_none(known):
        return ""
    return (
        ", as soon as it might: it has no dependsOn, no precondition and no input that another "
        "activity writes, so it waits for none"
    )


def _failed(known: Known, now: datetime) -> tuple[Code, str]:
    row = known.row
    when = f" {ago(row.actual_end, now)}" if row.actual_end else ""
    tries = f" after {len(known.attempts)} attempts" if len(known.attempts) > 1 else ""
    error = f"{row.error_id}: " if row.error_id else ""
    return Code.FAILED, f"{row.instance_id} failed{when}{tries}: {error}{quoted(_said(known))}"


def _said(known: Known) -> str | None:
    head = known.head
    return known.row.error_message or (head.error_message if head else None)


def _timed_out(known: Known, now: datetime) -> tuple[Code, str]:
    return Code.TIMEDOUT, f"{known.row.instance_id} was ended: {quoted(_said(known))}"


def _canceled(known: Known, now: datetime) -> tuple[Code, str]:
    row = known.row
    when = f" {ago(row.actual_end, now)}" if row.actual_end else ""
    return Code.CANCELED, f"{row.instance_id} was canceled{when}: {quoted(_said(known))}"


def _cascaded(known: Known, now: datetime) -> tuple[Code, str]:
    row = known.row
    return Code.CASCADE_FAILED, (
        f"{row.instance_id} failed with {row.cause or 'something before it'} "
        "(failureAndRerunMode is cascade)"
    )


def _skipped(known: Known, now: datetime) -> tuple[Code, str]:
    return Code.SKIPPED, (
        f"{known.row.instance_id} was skipped: its period lies before the moment from which the "
        "pipeline was activated again"
    )


_ENDS: Mapping[InstanceStatus, Callable[[Known, datetime], tuple[Code, str]]] = {
    _I.FINISHED: _finished,
    _I.FAILED: _failed,
    _I.TIMEDOUT: _timed_out,
    _I.CANCELED: _canceled,
    _I.CASCADE_FAILED: _cascaded,
    _I.SKIPPED: _skipped,
}
