"""GET /v1/pipelines: is anything wrong? And one pipeline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy.engine import Connection

from taskrunner.model.run_status import run_status
from taskrunner.model.states import InstanceStatus, PipelineState
from taskrunner.service.callers import Caller
from taskrunner.service.definitions import Load
from taskrunner.service.engine import Service
from taskrunner.service.health import is_broken
from taskrunner.service.pipeline_fields import schedule_fields
from taskrunner.service.store import concerns, summaries
from taskrunner.service.store import pauses as pause_store
from taskrunner.service.store.rows import PauseRow, PipelineRow
from taskrunner.service.store.summaries import StripPart, Whose
from taskrunner.service.v1.requests import ListPipelines, OfPipelines, ShowPipeline, Sort
from taskrunner.service.v1.scope import from_marker, looking_at, to_marker
from taskrunner.service.v1.shapes import (
    HealthStatus,
    Pause,
    Pipeline,
    PipelineList,
    PipelineSummary,
    RunStrip,
    State,
)

#: Runs by whose instances it is said which worker groups a pipeline has work for.
_RUNS_FOR_GROUPS = 14
#: Instances of a pipeline that are counted by status: in a list, and where it is shown alone.
MOST_COUNTED, MOST_COUNTED_ALONE = 1_000, 10_000
#: The beginning of the names of groups that are made for one machine, and are nobody's to choose.
_OF_RESOURCES = "resource:"


@dataclass(frozen=True)
class _Facts:
    """What is known of pipelines, read in a few statements however many there are.

    Each is read when it is asked for first: an order by names asks for nobody's health.
    """

    conn: Connection
    whose: Whose
    load: Load
    rows: Sequence[PipelineRow]

    @classmethod
    def of(cls, conn: Connection, whose: Whose, load: Load) -> _Facts:
        return cls(conn, whose, load, summaries.load_pipelines(conn, whose))

    @cached_property
    def health(self) -> Mapping[str, HealthStatus]:
        return _health(self.conn, self.whose, self.rows, self.load)

    @cached_property
    def late(self) -> Mapping[str, int]:
        return concerns.late(self.conn, self.whose)

    @cached_property
    def paused(self) -> Mapping[str, PauseRow]:
        return summaries.paused_pipelines(self.conn, self.whose)

    def about(self, page: Sequence[PipelineRow]) -> _Facts:
        """What is known of some of these alone; of all, if that has been read already."""
        if "health" in vars(self):
            return self
        whose = summaries.among(self.whose, [row.pipeline_id for row in page])
        return _Facts(self.conn, whose, self.load, page)

    def state(self, row: PipelineRow) -> State:
        return State.PAUSED if row.pipeline_id in self.paused else State(row.state)


def list_pipelines(service: Service, caller: Caller, request: ListPipelines) -> PipelineList:
    """A page of the account's pipelines."""
    whose = summaries.of_account(caller.account)
    if request.live is not None:
        whose = (*whose, summaries.with_live(wanted=request.live))
    with service.store.read() as conn:
        facts, found = _chosen(conn, service, whose, request)
        key, kinds = _order(request.sort, facts)
        found.sort(key=key)
        left = found
        if request.marker:
            place = tuple(from_marker(request.marker, *kinds))
            left = [row for row in found if key(row) > place]
        page = left[: request.limit]
        return PipelineList(
            pipelines=_summaries(conn, page, facts.about(page), request.runs, MOST_COUNTED),
            total=len(found),
            marker=to_marker(*key(page[-1])) if len(left) > len(page) else None,
        )


def chosen_pipelines(service: Service, caller: Caller, request: OfPipelines) -> list[PipelineRow]:
    """The account's pipelines that meet every filter, by their names."""
    whose = summaries.of_account(caller.account)
    with service.store.read() as conn:
        _, found = _chosen(conn, service, whose, request)
    return sorted(found, key=lambda row: (row.name, row.pipeline_id))


def _chosen(
    conn: Connection, service: Service, whose: Whose, request: OfPipelines
) -> tuple[_Facts, list[PipelineRow]]:
    facts = _Facts.of(conn, whose, service.loaded)
    groups = _groups(conn, facts.rows) if request.group is not None else {}
    meets = _filters(request, facts, groups)
    return facts, [row for row in facts.rows if all(condition(row) for condition in meets)]


def show_pipeline(service: Service, caller: Caller, request: ShowPipeline) -> Pipeline:
    """One pipeline."""
    with looking_at(service, caller, request.pipeline_id) as (conn, row, _):
        whose = summaries.of_account(row.account, row.pipeline_id)
        facts = _Facts.of(conn, whose, service.loaded)
        (summary,) = _summaries(conn, [row], facts, request.runs, MOST_COUNTED_ALONE)
        version = row.active_version or row.latest_version
        loaded = service.loaded(row.pipeline_id, version) if version else None
        fields = schedule_fields(row, loaded) if loaded and row.active_version else {}
        pauses = pause_store.load_pauses(conn, row.pipeline_id)
        return Pipeline(
            summary=summary,
            description=row.description,
            unique_id=row.unique_id,
            latest_version=row.latest_version,
            active_version=row.active_version,
            on_demand=bool(loaded and loaded.on_demand),
            schedule_start=_moment(fields.get("@scheduledStartTime")),
            schedule_end=_moment(fields.get("@scheduledEndTime")),
            first_activated=row.first_activated_at,
            last_deactivated=row.last_deactivated_at,
            pauses=tuple(map(pause_of, pauses)),
        )


def pause_of(row: PauseRow) -> Pause:
    """A pause as it is shown."""
    return Pause(object_id=row.object_id, by=row.paused_by, since=row.paused_at)


def _moment(value: object) -> datetime | None:
    return value if isinstance(value, datetime) else None


def _health(
    conn: Connection, whose: Whose, rows: Iterable[PipelineRow], load: Load
) -> dict[str, HealthStatus]:
    """The health of each pipeline that has one, as DescribePipelines tells it."""
    ended = concerns.with_any_end(conn, whose)
    doubtful = concerns.broken(conn, whose)
    found = dict.fromkeys(ended, HealthStatus.HEALTHY)
    for row in rows:
        broken = doubtful.get(row.pipeline_id)
        if broken is not None and row.active_version:
            components = load(row.pipeline_id, row.active_version).components
            if components and is_broken(conn, row.pipeline_id, components, broken):
                found[row.pipeline_id] = HealthStatus.ERROR
    return found


def _groups(conn: Connection, rows: Iterable[PipelineRow]) -> Mapping[str, set[str]]:
    ids = [row.pipeline_id for row in rows]
    found = summaries.last_groups(conn, ids, _RUNS_FOR_GROUPS) if ids else {}
    return {
        key: {group for group in groups if not group.startswith(_OF_RESOURCES)}
        for key, groups in found.items()
    }


def _groups_of(parts: Mapping[str, Sequence[StripPart]]) -> Mapping[str, set[str]]:
    return {
        key: {one.group for one in own if one.group and not one.group.startswith(_OF_RESOURCES)}
        for key, own in parts.items()
    }


_Condition = Callable[[PipelineRow], bool]


def _filters(
    request: OfPipelines, facts: _Facts, groups: Mapping[str, set[str]]
) -> list[_Condition]:
    wanted = (request.name or "").casefold()
    chosen: list[tuple[object, _Condition]] = [
        (wanted, lambda row: wanted in row.name.casefold() or wanted in row.pipeline_id.casefold()),
        (request.state, lambda row: facts.state(row) in request.state),
        (request.health, lambda row: facts.health.get(row.pipeline_id) is request.health),
        (request.tag, lambda row: all(_has_tag(row, tag) for tag in request.tag)),
        (request.group, lambda row: request.group in groups.get(row.pipeline_id, ())),
    ]
    found = [condition for given, condition in chosen if given]
    if request.late is not None:
        found.append(lambda row: (row.pipeline_id in facts.late) is request.late)
    return found


def _has_tag(row: PipelineRow, wanted: str) -> bool:
    key, equals, value = wanted.partition("=")
    tags = dict(row.tags)
    return key in tags and (not equals or tags[key] == value)


def _order(
    sort: Sort, facts: _Facts
) -> tuple[Callable[[PipelineRow], tuple[Any, ...]], Sequence[type]]:
    """The place of a pipeline in an order, and of what it is made."""

    def broken(row: PipelineRow) -> tuple[Any, ...]:
        in_error = facts.health.get(row.pipeline_id) is HealthStatus.ERROR
        rank = 0 if in_error else 1 if row.pipeline_id in facts.late else 2
        return rank, row.name, row.pipeline_id

    def newest(row: PipelineRow) -> tuple[Any, ...]:
        return -int(row.created_at.timestamp() * 1_000_000), row.pipeline_id

    if sort is Sort.BROKEN:
        return broken, (int, str, str)
    if sort is Sort.NEWEST:
        return newest, (int, str)
    return lambda row: (row.name, row.pipeline_id), (str, str)


def _summaries(
    conn: Connection, page: Sequence[PipelineRow], facts: _Facts, runs: int, most: int
) -> tuple[PipelineSummary, ...]:
    ids = [row.pipeline_id for row in page]
    if not ids:
        return ()
    # How many runs are shown and how many say the groups is mostly the same: they are read once.
    parts = summaries.last_runs(conn, ids, runs)
    counts = concerns.counts(conn, summaries.among(facts.whose, ids), most)
    groups = _groups_of(parts) if runs == _RUNS_FOR_GROUPS else _groups(conn, page)
    next_runs = summaries.next_runs(conn, ids)

    def summary(row: PipelineRow) -> PipelineSummary:
        key = row.pipeline_id
        pause = facts.paused.get(key)
        own = parts.get(key, ())
        ends = [part.ended for part in own if part.ended is not None]
        scheduled = row.state is PipelineState.SCHEDULED
        counted = counts.get(key, concerns.Counts())
        return PipelineSummary(
            id=key,
            name=row.name,
            state=facts.state(row),
            owner=row.user_id,
            created=row.created_at,
            counts={str(status): n for status, n in counted.by_status.items()},
            at_least=tuple(sorted(map(str, counted.at_least))),
            late=facts.late.get(key, 0),
            runs=_strip(own),
            groups=tuple(sorted(groups.get(key, ()))),
            tags=dict(row.tags),
            health=facts.health.get(key),
            last_end=max(ends, default=None),
            next_run=next_runs.get(key) if scheduled else None,
            pause=pause_of(pause) if pause else None,
        )

    return tuple(map(summary, page))


def _strip(parts: Iterable[StripPart]) -> tuple[RunStrip, ...]:
    by_start: dict[datetime, dict[InstanceStatus, int]] = {}
    for part in parts:
        counts = by_start.setdefault(part.start, {})
        counts[part.status] = counts.get(part.status, 0) + part.number
    return tuple(
        RunStrip(start=start, status=run_status(counts)) for start, counts in by_start.items()
    )
