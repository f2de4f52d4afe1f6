"""The logs of attempts, a page at a time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from taskrunner.errors import TaskError
from taskrunner.model.log_names import folder_of, safe_name
from taskrunner.model.rows import AttemptRow
from taskrunner.model.states import ATTEMPT_TERMINAL
from taskrunner.secret import Secret
from taskrunner.service.callers import Caller
from taskrunner.service.engine import Service
from taskrunner.service.logs.kept import KeptLog
from taskrunner.service.logs.pages import Before, Log, LogStore, NotGzip, Page, TooFar
from taskrunner.service.logs.places import open_logs
from taskrunner.service.runtime import moment
from taskrunner.service.v1.faults import NotKept
from taskrunner.service.v1.instances import one_attempt, one_instance
from taskrunner.service.v1.requests import ShowLog
from taskrunner.service.v1.scope import from_marker, looking_at, to_marker
from taskrunner.service.v1.shapes import LogPage


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where the logs of an attempt are."""

    attempt: AttemptRow
    folder: str
    #: What may be said of it.
    shown: str
    #: Whether its agent keeps them there as they are written.
    is_kept: bool = False


def show_log(service: Service, caller: Caller, request: ShowLog) -> LogPage:
    """A page of a log of an attempt."""
    place = _place(service, caller, request)
    store = open_logs(service.settings.logs)
    try:
        page, before = _page(store, place, request)
    except TaskError as error:
        reason = error.error_id if isinstance(place.folder, Secret) else str(error)
        raise NotKept(f"the log cannot be read: {reason}") from error
    except NotGzip as error:
        raise NotKept(f"{place.shown} has no gzipped log of {request.stream}") from error
    except TooFar as error:
        raise NotKept(
            "that place is too far from the log's beginning to be looked for: ask for its end, "
            f"and for what stands before it, or read {place.shown} yourself"
        ) from error
    return LogPage(
        stream=request.stream,
        place=place.shown,
        text=page.text.decode("utf-8", "replace"),
        final=page.final,
        last=page.last,
        offset=page.offset,
        next_offset=page.next_offset,
        before=before,
    )


def _place(service: Service, caller: Caller, request: ShowLog) -> _Place:
    with looking_at(service, caller, request.pipeline_id) as (conn, pipeline, _):
        attempt = one_attempt(conn, pipeline.pipeline_id, request.attempt_id)
        row = one_instance(conn, pipeline.pipeline_id, attempt.instance_id)
    ids = (row.pipeline_id, row.component_id, row.instance_id, attempt.attempt_id)
    if (kept := service.settings.logs.kept) is not None:
        folder = str(kept.joinpath(*map(safe_name, ids)))
        if Path(folder).is_dir():
            return _Place(attempt=attempt, folder=folder, shown=folder, is_kept=True)
    loaded = service.loaded(row.pipeline_id, row.version)
    period = moment(loaded, row)
    base = loaded.text(row.component_id, "pipelineLogUri", period) or None
    shown = loaded.for_eyes.text(row.component_id, "pipelineLogUri", period)
    default = service.settings.logs.log_uri
    if base is None and default is None:
        host = f"on {attempt.hostname}" if attempt.hostname else "on the agent's host"
        raise NotKept(
            f"the pipeline has no pipelineLogUri, and the service was not told where agents push "
            f"their logs (taskrunner serve --log-uri): it is {host}, below the agent's output/logs"
        )
    folder = folder_of(base or default or "", *ids)
    return _Place(
        attempt=attempt,
        folder=Secret(folder) if isinstance(base, Secret) else folder,
        shown=folder_of(shown or default or "", *ids),
    )


def _page(store: LogStore, place: _Place, request: ShowLog) -> tuple[Page, str | None]:
    """The page, and what stands before it."""
    over = place.attempt.status in ATTEMPT_TERMINAL
    log: Log | KeptLog
    if place.is_kept:
        log = KeptLog(Path(place.folder) / request.stream, final=over)
    else:
        log = Log(store, str(place.folder), request.stream)
    if not log.any and over:
        raise NotKept(
            f"no log of {place.attempt.attempt_id} is in {place.shown}: it was not pushed yet, "
            "was moved or deleted, or its agent pushes none there"
        )
    if request.before is not None:
        page = _before(log, request)
    elif request.offset is not None:
        page = log.at(request.offset, request.limit)
    else:
        page = log.tail(request.limit)
    return page, _marker(page)


def _before(log: Log | KeptLog, request: ShowLog) -> Page:
    begin, kept = from_marker(request.before or "", int, int)
    if kept >= 0:
        return log.before(Before(begin=begin, kept=kept), request.limit)
    return log.before_place(begin, request.limit)


def _marker(page: Page) -> str | None:
    """What asks for the text before a page: a block and some of it, or (-1) a place."""
    if page.before is not None:
        return to_marker(page.before.begin, page.before.kept)
    return to_marker(page.offset, -1) if page.offset else None
