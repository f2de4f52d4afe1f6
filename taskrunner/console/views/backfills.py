"""Backfills: who asked for which periods, and how far each has come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from taskrunner.console.views import addresses
from taskrunner.console.views.actions import command
from taskrunner.console.views.moments import moment
from taskrunner.console.views.runs import RunLine, run_line
from taskrunner.console.views.words import Sign, sign
from taskrunner.service.v1.backfill_shapes import (
    BackfillList,
    BackfillRuns,
    BackfillState,
    BackfillSummary,
)
from taskrunner.service.v1.requests import Redo

#: What can be done about one, by its verb; canceling is asked about first.
VERBS: Mapping[str, str] = {"pause": "Pause", "resume": "Resume", "cancel": "Cancel …"}
_REDO: Mapping[Redo, str] = {
    Redo.MISSING: "only missing runs",
    Redo.FAILED: "missing and failed runs",
    Redo.ALL: "every run",
}
_ILL = ("FAILED", "TIMEDOUT", "CANCELED", "CASCADE_FAILED")
_VERBS_OF: Mapping[BackfillState, Sequence[str]] = {
    BackfillState.BEGINNING: ("pause", "cancel"),
    BackfillState.RUNNING: ("pause", "cancel"),
    BackfillState.PAUSED: ("resume", "cancel"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillLine:
    """A backfill of the list."""

    id: str
    address: str
    pipeline_id: str
    pipeline_address: str
    sign: Sign
    first: datetime
    last: datetime
    #: `missing and failed runs of A, B, 2 at once, the oldest first`.
    what: str
    asked_by: str
    asked_at: datetime
    reason: str
    #: Periods that were set going, of all.
    begun: int
    periods: int
    #: Instances that have ended, of all, and of these those that did not end well.
    done: int
    total: int
    ill: int
    #: `since 02:00 by ops`, or nothing.
    paused: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillsPage:
    """The page of the list."""

    lines: Sequence[BackfillLine]
    #: The address of what is older, or nothing.
    more: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillPage:
    """The page of one."""

    line: BackfillLine
    #: `12 finished, 1 failed`.
    counts: str
    runs: Sequence[RunLine]
    #: What can be done: a verb and its words.
    choices: Sequence[tuple[str, str]]
    #: Whether it is asked if it is to be canceled, and what of it has not ended.
    asks: bool
    left: int
    #: The same from a shell.
    command: str


def backfills_page(
    found: BackfillList, *, path: str, query: Mapping[str, Sequence[str]]
) -> BackfillsPage:
    """The page of an answer."""
    more = addresses.with_query(path, query, marker=found.marker) if found.marker else ""
    return BackfillsPage(lines=[backfill_line(one) for one in found.backfills], more=more)


def backfill_page(
    found: BackfillSummary, runs: BackfillRuns, *, asks: bool, now: datetime
) -> BackfillPage:
    """The page of one; `asks`: whether the visitor wants to cancel it."""
    verbs = _VERBS_OF.get(found.state, ())
    asks = asks and "cancel" in verbs
    order = sorted(found.counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return BackfillPage(
        line=backfill_line(found),
        counts=", ".join(f"{count} {sign(status).word}" for status, count in order),
        runs=[run_line(found.pipeline_id, run, now) for run in runs.runs],
        choices=[(verb, VERBS[verb]) for verb in verbs],
        asks=asks,
        left=found.total - found.done,
        command=command("backfill", "cancel" if asks else "show", found.id),
    )


def backfill_line(found: BackfillSummary) -> BackfillLine:
    """One backfill."""
    of = f" of {', '.join(found.components)}" if found.components else ""
    pace = f", {found.limit} at once, the {found.order} first" if found.limit else ""
    paused = f"since {moment(found.paused_at)} by {found.paused_by}" if found.paused_at else ""
    return BackfillLine(
        id=found.id,
        address=addresses.backfill(found.pipeline_id, found.id),
        pipeline_id=found.pipeline_id,
        pipeline_address=addresses.pipeline(found.pipeline_id, "backfills"),
        sign=sign(found.state),
        first=found.first,
        last=found.last,
        what=f"{_REDO[found.redo]}{of}{pace}",
        asked_by=found.asked_by,
        asked_at=found.asked_at,
        reason=found.reason or "",
        begun=found.begun,
        periods=found.periods,
        done=found.done,
        total=found.total,
        ill=sum(found.counts.get(status, 0) for status in _ILL),
        paused=paused,
    )
