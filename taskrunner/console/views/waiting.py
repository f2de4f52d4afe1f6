"""Why things wait: causes with the command that mends each, those that hold most first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from taskrunner.console.views import addresses
from taskrunner.console.views.words import Sign, sign
from taskrunner.service.v1.shapes import Cause, PipelineSummary, Waiting, Why

#: What waits for nothing any more.
OVER = {"FAILED", "CASCADE_FAILED", "TIMEDOUT", "CANCELED", "SKIPPED", "FINISHED"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CauseLine:
    """A cause, and under it why that is so in turn."""

    says: str
    code: str
    command: str
    where: str
    #: How deep it lies: 0 for what is asked about.
    depth: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingLine:
    """An instance that waits, of a pipeline."""

    pipeline: str
    pipeline_address: str
    address: str
    component_id: str
    sign: Sign
    count: str


@dataclass(slots=True, kw_only=True)
class Group:
    """What waits for the same reason."""

    causes: Sequence[CauseLine]
    lines: list[WaitingLine] = field(default_factory=list)
    #: How many instances.
    total: int = 0


def cause_lines(causes: Sequence[Cause]) -> Sequence[CauseLine]:
    """Causes with their own causes under them."""
    return list(_flat(causes, 0))


def _flat(causes: Sequence[Cause], depth: int) -> Iterator[CauseLine]:
    for cause in causes:
        yield CauseLine(
            says=cause.says,
            code=str(cause.code),
            # In a chain it is the root's; told once, at its end.
            command="" if cause.because else cause.command,
            where=cause.where,
            depth=depth,
        )
        yield from _flat(cause.because[:1], depth + 1)


def groups(found: Sequence[tuple[PipelineSummary, Why]]) -> Sequence[Group]:
    """What waits, by its root cause; that which holds most comes first."""
    by_root: dict[tuple[str, str, str], Group] = {}
    for summary, why in found:
        for one in why.waiting:
            if str(one.status) in OVER or not one.causes:
                continue
            root = root_of(one.causes[0])
            key = (str(root.code), root.object_id, root.says)
            group = by_root.setdefault(key, Group(causes=cause_lines([root])))
            group.lines.append(_line(summary, one))
            group.total += one.count
    return sorted(by_root.values(), key=lambda group: -group.total)


def root_of(cause: Cause) -> Cause:
    """What is behind a cause in the end."""
    while cause.because:
        cause = cause.because[0]
    return cause


def _line(summary: PipelineSummary, one: Waiting) -> WaitingLine:
    return WaitingLine(
        pipeline=summary.name,
        pipeline_address=addresses.pipeline(summary.id, "waiting"),
        address=addresses.instance(summary.id, one.instance_id),
        component_id=one.component_id,
        sign=sign(one.status),
        count=f"{one.count:,}{' or more' if one.more else ''}" if one.count > 1 else "",
    )
