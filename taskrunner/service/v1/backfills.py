"""Backfills: which there are, how far each has come; paused, resumed and canceled as a whole."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from taskrunner.errors import PipelineDeleted, PipelineNotFound
from taskrunner.service import backfills
from taskrunner.service.callers import Caller
from taskrunner.service.engine import Service
from taskrunner.service.store import backfills as backfill_store
from taskrunner.service.store import summaries
from taskrunner.service.store.backfills import BackfillRow, BackfillStage, Progress
from taskrunner.service.v1.backfill_shapes import (
    BackfillList,
    BackfillRuns,
    BackfillState,
    BackfillSummary,
)
from taskrunner.service.v1.faults import NotFound
from taskrunner.service.v1.requests import ListBackfills, OneBackfill, Order, Redo
from taskrunner.service.v1.route import Route
from taskrunner.service.v1.runs import runs_of
from taskrunner.service.v1.scope import check_scope, from_marker, looking_at, to_marker


def list_backfills(service: Service, caller: Caller, request: ListBackfills) -> BackfillList:
    """A page of backfills, newest first."""
    check_scope(service, caller, request.pipeline_id)
    if request.pipeline_id is not None:
        service.pipeline(request.pipeline_id, caller)
    before = from_marker(request.marker, datetime, str) if request.marker else None
    with service.store.read() as conn:
        rows = backfill_store.page(
            conn,
            caller.account,
            request.limit + 1,
            pipeline_id=request.pipeline_id,
            before=(before[0], before[1]) if before else None,
        )
        page = rows[: request.limit]
        progress = backfill_store.progress(conn, page)
    return BackfillList(
        backfills=tuple(_summary(row, progress[row.backfill_id]) for row in page),
        marker=to_marker(page[-1].asked_at, page[-1].backfill_id)
        if len(rows) > len(page)
        else None,
    )


def show_backfill(service: Service, caller: Caller, request: OneBackfill) -> BackfillSummary:
    """One backfill."""
    row = _one(service, caller, request.backfill_id)
    with service.store.read() as conn:
        return _summary(row, backfill_store.progress(conn, [row])[row.backfill_id])


def list_backfill_runs(service: Service, caller: Caller, request: OneBackfill) -> BackfillRuns:
    """The runs of a backfill; there are 1,000 at most."""
    row = _one(service, caller, request.backfill_id)
    with service.store.read() as conn:
        parts = summaries.runs_of_backfill(conn, row.pipeline_id, row.backfill_id)
    return BackfillRuns(runs=runs_of(reversed(parts)))


def pause_backfill(service: Service, caller: Caller, request: OneBackfill) -> BackfillSummary:
    """Let nothing new of a backfill begin; what runs goes on."""
    return _change(service, caller, request, lambda row: backfills.pause(service, row, caller.user))


def resume_backfill(service: Service, caller: Caller, request: OneBackfill) -> BackfillSummary:
    """Let a paused backfill go on."""
    return _change(service, caller, request, lambda row: backfills.resume(service, row))


def cancel_backfill(service: Service, caller: Caller, request: OneBackfill) -> BackfillSummary:
    """Cancel all of a backfill that has not ended."""
    return _change(service, caller, request, lambda row: backfills.cancel(service, row))


def _change(
    service: Service,
    caller: Caller,
    request: OneBackfill,
    change: Callable[[BackfillRow], None],
) -> BackfillSummary:
    change(_one(service, caller, request.backfill_id))
    return show_backfill(service, caller, request)


def _one(service: Service, caller: Caller, backfill_id: str) -> BackfillRow:
    """A backfill that the caller may see. Raises NotFound."""
    with service.store.read() as conn:
        row = backfill_store.load(conn, backfill_id)
    try:
        if row is not None:
            with looking_at(service, caller, row.pipeline_id):
                return row
    except (PipelineNotFound, PipelineDeleted):
        pass  # another account's is none that is there
    raise NotFound(f"there is no backfill {backfill_id!r}")


def _summary(row: BackfillRow, progress: Progress) -> BackfillSummary:
    total = sum(progress.counts.values())
    return BackfillSummary(
        id=row.backfill_id,
        pipeline_id=row.pipeline_id,
        state=_state(row, progress),
        first=row.first,
        last=row.last,
        redo=Redo(row.redo),
        components=row.components,
        limit=row.at_once,
        order=Order.NEWEST if row.newest_first else Order.OLDEST,
        reason=row.reason,
        asked_by=row.asked_by,
        asked_at=row.asked_at,
        periods=row.periods,
        begun=row.begun,
        counts={str(status): n for status, n in sorted(progress.counts.items())},
        done=total - progress.live,
        total=total,
        paused_by=progress.paused_by,
        paused_at=progress.paused_at,
    )


def _state(row: BackfillRow, progress: Progress) -> BackfillState:
    if row.stage is not BackfillStage.GOING:
        return BackfillState(row.stage)
    if progress.paused_at is not None and (progress.live or row.begun < row.periods):
        return BackfillState.PAUSED
    if row.begun < row.periods:
        return BackfillState.BEGINNING
    return BackfillState.RUNNING if progress.live else BackfillState.FINISHED


_ONE = "/v1/backfills/{backfill_id}"
BACKFILL_ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/v1/backfills",
        action="DescribePipelines",
        request=ListBackfills,
        reply=BackfillList,
        handler=list_backfills,
        summary="Backfills, newest first: who asked for which periods, and how far each has come.",
    ),
    Route(
        method="GET",
        path=_ONE,
        action="DescribePipelines",
        request=OneBackfill,
        reply=BackfillSummary,
        handler=show_backfill,
        summary="One backfill, and how far it has come.",
    ),
    Route(
        method="GET",
        path=f"{_ONE}/runs",
        action="DescribePipelines",
        request=OneBackfill,
        reply=BackfillRuns,
        handler=list_backfill_runs,
        summary="What has become of each run that a backfill has set going.",
    ),
    Route(
        method="POST",
        path=f"{_ONE}/pause",
        action="SetStatus",
        request=OneBackfill,
        reply=BackfillSummary,
        handler=pause_backfill,
        summary="Let nothing new of a backfill begin; what runs goes on.",
    ),
    Route(
        method="POST",
        path=f"{_ONE}/resume",
        action="SetStatus",
        request=OneBackfill,
        reply=BackfillSummary,
        handler=resume_backfill,
        summary="Let a paused backfill go on.",
    ),
    Route(
        method="POST",
        path=f"{_ONE}/cancel",
        action="SetStatus",
        request=OneBackfill,
        reply=BackfillSummary,
        handler=cancel_backfill,
        summary="Cancel all of a backfill that has not ended.",
    ),
)
