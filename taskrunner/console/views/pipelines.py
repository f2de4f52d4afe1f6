"""The list of pipelines: whether anything is wrong."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from taskrunner.console.views import addresses
from taskrunner.console.views.moments import moment
from taskrunner.console.views.words import Sign, sign
from taskrunner.service.v1.shapes import PipelineList, PipelineSummary, RunStrip

#: Statuses that the list counts together.
_RUNNING = {"RUNNING", "CREATING", "VALIDATING", "ACTIVATING", "SHUTTING_DOWN"}
_FAILED = {"FAILED", "TIMEDOUT", "CASCADE_FAILED"}
_OFF = {"CANCELED", "SKIPPED", "FINISHED"}


class Square(NamedTuple):
    """A run in the strip: a list may have tens of thousands."""

    address: str
    sign: Sign
    #: For readers and for whoever points at it.
    title: str


class Tally(NamedTuple):
    """How many instances of a pipeline are in some statuses."""

    number: int
    #: There are more, which were not counted.
    is_least: bool

    @classmethod
    def of(cls, summary: PipelineSummary, statuses: Collection[str]) -> Tally:
        """Those of a pipeline in a list."""
        number = sum(summary.counts.get(status, 0) for status in statuses)
        return cls(number, not set(statuses).isdisjoint(summary.at_least))

    @property
    def text(self) -> str:
        """`7`, `1,000+`, or nothing."""
        return f"{self.number:,}{'+' if self.is_least else ''}" if self.number else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A pipeline of the list."""

    id: str
    name: str
    address: str
    health: Sign
    state: Sign
    strip: Sequence[Square]
    running: Tally
    waiting: Tally
    failed: Tally
    late: int
    last_end: datetime | None
    next_run: datetime | None
    owner: str
    tags: Sequence[str]
    groups: Sequence[str]
    #: `since 02:00 by ops`, or nothing.
    paused: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPage:
    """The page."""

    lines: Sequence[Line]
    total: int
    filter: str
    problem: str
    sort: str
    #: The address of the next page, or nothing.
    more: str


def list_page(
    found: PipelineList | None, *, query: Mapping[str, list[str]], problem: str = ""
) -> ListPage:
    """The page of an answer; none where the filter cannot be read."""
    marker = found.marker if found else None
    return ListPage(
        lines=[line(summary) for summary in (found.pipelines if found else ())],
        total=found.total if found else 0,
        filter=(query.get("filter") or [""])[0],
        problem=problem,
        sort=(query.get("sort") or ["broken"])[0],
        more=addresses.with_query("/", query, marker=marker) if marker else "",
    )


def line(summary: PipelineSummary) -> Line:
    """One pipeline."""
    waiting = summary.counts.keys() - (_RUNNING | _FAILED | _OFF)
    return Line(
        id=summary.id,
        name=summary.name,
        address=addresses.pipeline(summary.id),
        health=sign(summary.health),
        state=sign(summary.state),
        strip=[_square(summary.id, run) for run in reversed(summary.runs)],
        running=Tally.of(summary, _RUNNING),
        waiting=Tally.of(summary, waiting),
        failed=Tally.of(summary, _FAILED),
        late=summary.late,
        last_end=summary.last_end,
        next_run=summary.next_run,
        owner=summary.owner,
        tags=[f"{key}={value}" if value else key for key, value in sorted(summary.tags.items())],
        groups=summary.groups,
        paused=f"since {moment(summary.pause.since)} by {summary.pause.by}"
        if summary.pause
        else "",
    )


def _square(pipeline_id: str, run: RunStrip) -> Square:
    shown = sign(run.status)
    return Square(
        address=addresses.run(pipeline_id, run.start),
        sign=shown,
        title=f"{moment(run.start)}: {shown.word}",
    )
