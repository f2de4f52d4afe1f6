"""An instance and one of its attempts: why it failed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from taskrunner.console.views import addresses
from taskrunner.console.views.actions import Choice, choices
from taskrunner.console.views.ansi import Piece
from taskrunner.console.views.logs import last_lines
from taskrunner.console.views.moments import took
from taskrunner.console.views.waiting import CauseLine, cause_lines, root_of
from taskrunner.console.views.words import Sign, sign
from taskrunner.model.states import INSTANCE_TERMINAL
from taskrunner.service.v1.shapes import (
    Attempt,
    AttemptSummary,
    Cause,
    Handout,
    Instance,
    Link,
    LogPage,
)

#: Of a log's end, so many lines are shown beside an error.
TAIL_LINES = 20
#: Of what was handed out again and again, so many of the last are shown.
MOST_HANDOUTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptTab:
    """An attempt among the instance's."""

    number: int
    address: str
    sign: Sign
    shown: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What became of an attempt, one moment."""

    at: datetime
    what: str
    #: How long after the step before.
    later: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkLine:
    """An instance that it has to do with."""

    address: str
    id: str
    kind: str
    sign: Sign


@dataclass(frozen=True, slots=True, kw_only=True)
class InstancePage:
    """The page."""

    instance: Instance
    sign: Sign
    attempt: Attempt | None
    tabs: Sequence[AttemptTab]
    steps: Sequence[Step]
    #: The instance whose failure it was drawn into.
    cause: LinkLine | None
    waits_for: Sequence[LinkLine]
    followed_by: Sequence[LinkLine]
    run_address: str
    error_id: str
    error_message: str
    choices: Sequence[Choice]
    #: The address of the attempt's logs, and the last lines of one, where it failed.
    log_address: str
    tail: Sequence[Sequence[Piece]]
    tail_of: str
    #: Why there are none.
    no_tail: str
    #: Why it waits.
    waits: Sequence[CauseLine]
    #: Of one that was drawn into a failure, what failed first, and where that is told.
    first: CauseLine | None
    first_address: str


def instance_page(
    pipeline_id: str,
    instance: Instance,
    attempt: Attempt | None,
    tail: LogPage | None = None,
    causes: Sequence[Cause] = (),
    *,
    no_tail: str = "",
) -> InstancePage:
    """The page of an instance and one of its attempts, if it had any."""
    summary = instance.summary
    shown = attempt.summary if attempt else None
    cause = next((_link(pipeline_id, of) for of in _causes(instance)), None)
    ended = summary.status in INSTANCE_TERMINAL
    root = root_of(causes[0]) if ended and causes else None
    return InstancePage(
        instance=instance,
        sign=sign(summary.status),
        attempt=attempt,
        tabs=[_tab(pipeline_id, summary.id, one, shown) for one in instance.attempts],
        steps=_steps(attempt) if attempt else (),
        cause=cause,
        waits_for=[_link(pipeline_id, link) for link in instance.waits_for],
        followed_by=[_link(pipeline_id, link) for link in instance.followed_by],
        run_address=addresses.run(pipeline_id, summary.start),
        error_id=(shown.error_id if shown else None) or summary.error_id or "",
        error_message=(shown.error_message if shown else None) or summary.error_message or "",
        choices=choices(summary.status),
        log_address=f"{addresses.instance(pipeline_id, summary.id, shown.number)}/log"
        if shown
        else "",
        tail=last_lines(tail, TAIL_LINES) if tail else (),
        tail_of=tail.stream if tail else "",
        no_tail=no_tail,
        waits=() if ended else cause_lines(causes),
        first=cause_lines([root])[0] if root else None,
        first_address=addresses.instance(pipeline_id, root.object_id) if root else "",
    )


def _causes(instance: Instance) -> Sequence[Link]:
    cause = instance.summary.cause
    if cause is None:
        return ()
    known = [link for link in instance.waits_for if link.instance_id == cause]
    return known or [Link(instance_id=cause, kind="")]


def _tab(
    pipeline_id: str, instance_id: str, one: AttemptSummary, shown: AttemptSummary | None
) -> AttemptTab:
    return AttemptTab(
        number=one.number,
        address=addresses.instance(pipeline_id, instance_id, one.number),
        sign=sign(one.status),
        shown=shown is not None and one.id == shown.id,
    )


def _link(pipeline_id: str, link: Link) -> LinkLine:
    return LinkLine(
        address=addresses.instance(pipeline_id, link.instance_id),
        id=link.instance_id,
        kind=link.kind,
        sign=sign(link.status),
    )


def _steps(attempt: Attempt) -> Sequence[Step]:
    """Made, ready, handed out, begun, over: in their order."""
    summary, handouts = attempt.summary, attempt.handouts
    again = "again " if handouts and summary.ready > handouts[-1].at else ""
    found: list[tuple[datetime, str]] = [
        (attempt.created, "made"),
        (summary.ready, f"ready {again}for worker group {summary.group}"),
        *_handed_out(handouts),
    ]
    if summary.began:
        found.append((summary.began, "acknowledged: it runs"))
    if summary.ended:
        found.append((summary.ended, f"over: {sign(summary.status).word}"))
    found.sort(key=lambda pair: pair[0])
    steps: list[Step] = []
    for at, what in found:
        later = took(at - steps[-1].at) if steps and at > steps[-1].at else ""
        steps.append(Step(at=at, what=what, later=later))
    return steps


def _handed_out(handouts: Sequence[Handout]) -> Iterator[tuple[datetime, str]]:
    """The first and the last of them: a precondition is looked at hundreds of times."""
    left = len(handouts) - 1 - MOST_HANDOUTS
    if left > 1:
        yield handouts[1].at, f"handed out {left} times from here on"
        handouts = (handouts[0], *handouts[-MOST_HANDOUTS:])
    for handout in handouts:
        to = handout.hostname or "a runner"
        by = f" (key of {handout.user})" if handout.user else ""
        ended = f", {handout.state.lower()}" if handout.state == "SUPERSEDED" else ""
        yield handout.at, f"handed out to {to}{by}{ended}"
