"""The logs of attempts, a page at a time."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from taskrunner.errors import InvalidRequest, TaskError
from taskrunner.model.log_names import folder_of, safe_name
from taskrunner.model.rows import AttemptRow
from taskrunner.model.states import ATTEMPT_TERMINAL
from taskrunner.secret import Secret
from taskrunner.service.callers import Caller
from taskrunner.service.engine import Service
from taskrunner.service.logs.kept import KeptLog
from taskrunner.service.logs.pages import MOST_READ, Before, Log, NotGzip, Page, TooFar
from taskrunner.service.logs.places import open_logs
from taskrunner.service.logs.search import Search
from taskrunner.service.runtime import moment
from taskrunner.service.v1.faults import NotKept
from taskrunner.service.v1.instances import one_attempt, one_instance
from taskrunner.service.v1.log_shapes import DownloadLog, LogMatch, LogMatches
from taskrunner.service.v1.requests import SearchLog, ShowLog
from taskrunner.service.v1.scope import from_marker, looking_at, to_marker
from taskrunner.service.v1.shapes import LogPage
from taskrunner.service.v1.text_file import TextFile

#: Of a log, so many bytes are looked through for an answer: about a second of work.
_SEARCHED_AT_ONCE = 64 << 20
_LONGEST_TEXT = 200
_REMEDY = (
    "the service reads it itself, by AWS credentials of its own, or where agents have --s3-root by "
    "the same --s3-root"
)
#: No log is longer.
_FARTHEST = 1 << 62


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
    with _readable(place, request.stream):
        page, before = _page(_log(service, place, request.stream), request)
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


def search_log(service: Service, caller: Caller, request: SearchLog) -> LogMatches:
    """Lines of a log that have a text: some, and some of a long log at a time."""
    if not 0 < len(request.text) <= _LONGEST_TEXT:
        raise InvalidRequest(f"text: wanted 1 to {_LONGEST_TEXT} letters")
    offset, lines = from_marker(request.marker, int, int) if request.marker else (0, 0)
    if not 0 <= offset < _FARTHEST:
        raise InvalidRequest("marker: it is not one that an answer to this gave")
    place = _place(service, caller, request)
    search = Search(offset=offset, lines=lines)
    with _readable(place, request.stream):
        log = _log(service, place, request.stream)
        search.look(
            log.pieces(offset, _SEARCHED_AT_ONCE),
            request.text,
            most=request.limit,
            until=offset + _SEARCHED_AT_ONCE,
        )
    return LogMatches(
        stream=request.stream,
        place=place.shown,
        matches=tuple(
            LogMatch(
                number=found.number,
                offset=found.offset,
                page=found.page,
                text=found.text.decode("utf-8", "replace"),
            )
            for found in search.matches
        ),
        searched=search.offset,
        marker=to_marker(search.offset, search.lines) if search.more else None,
    )


def download_log(service: Service, caller: Caller, request: DownloadLog) -> TextFile:
    """A whole log, as far as it is pushed; of what runs, up to now."""
    place = _place(service, caller, request)
    with _readable(place, request.stream):
        log = _log(service, place, request.stream, most_read=_FARTHEST)
    pieces = _pieces(place, request.stream, log)
    # Here, where it can still be said that it cannot be read.
    first = next(pieces, b"")
    attempt = place.attempt.attempt_id.removeprefix("@")
    name = f"{attempt}-{request.stream}{'' if '.' in request.stream else '.log'}"
    return TextFile(name=name, pieces=_from(first, pieces))


def _pieces(place: _Place, stream: str, log: Log | KeptLog) -> Generator[bytes]:
    with _readable(place, stream):
        for _, text in log.pieces(0, _FARTHEST):
            yield text


def _from(first: bytes, rest: Generator[bytes]) -> Generator[bytes]:
    yield first
    yield from rest


@contextmanager
def _readable(place: _Place, stream: str) -> Iterator[None]:
    """Raises NotKept, with words for people, where a log cannot be read."""
    try:
        yield
    except TaskError as error:
        reason = error.error_id if isinstance(place.folder, Secret) else str(error)
        raise NotKept(f"the log cannot be read: {reason}; {_REMEDY}") from error
    except NotGzip as error:
        raise NotKept(f"{place.shown} has no gzipped log of {stream}") from error
    except TooFar as error:
        raise NotKept(
            "that place is too far from the log's beginning to be looked for: ask for its end, "
            f"and for what stands before it, or read {place.shown} yourself"
        ) from error


def _place(service: Service, caller: Caller, request: ShowLog | SearchLog | DownloadLog) -> _Place:
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


def _log(
    service: Service, place: _Place, stream: str, *, most_read: int = MOST_READ
) -> Log | KeptLog:
    """One of an attempt's logs. Raises NotKept where the attempt is over and there are none."""
    over = place.attempt.status in ATTEMPT_TERMINAL
    if place.is_kept:
        return KeptLog(Path(place.folder) / stream, final=over)
    log = Log(open_logs(service.settings.logs), str(place.folder), stream, most_read=most_read)
    if not log.any and over:
        raise NotKept(
            f"no log of {place.attempt.attempt_id} is in {place.shown}: it was not pushed yet, "
            "was moved or deleted, or its agent pushes none there"
        )
    return log


def _page(log: Log | KeptLog, request: ShowLog) -> tuple[Page, str | None]:
    """The page, and what stands before it."""
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
