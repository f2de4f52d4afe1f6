"""What has to be done at a service so that it has a pipeline as its files have it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from taskrunner.model.leaving.changes import Change
from taskrunner.model.leaving.manifest import Manifest
from taskrunner.model.states import PipelineState

#: States in which a definition has been activated and needs to be again only when it changes.
_ACTIVE = frozenset({"ACTIVATING", "PAUSED", PipelineState.SCHEDULED, PipelineState.FINISHED})


class Step(StrEnum):
    """One thing to be done, in the order in which they are."""

    CREATE = "create"
    PUT = "put"
    TAGS = "tags"
    ACTIVATE = "activate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A pipeline of the files beside the service's, and what differs."""

    wanted: Manifest
    there: Manifest | None
    #: Whether the files have any definition.
    is_defined: bool
    #: Whether it runs once an activation.
    on_demand: bool
    definition: Sequence[Change] = ()
    tags: Sequence[Change] = ()
    #: What differs and cannot be changed.
    fixed: Sequence[Change] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the operator asks for."""

    #: Set pipelines going that were where they come from.
    activate: bool = False
    #: Put definitions that look the same as well: their secrets may be others.
    put_all: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The steps of one pipeline; none: it is as it should be."""

    steps: tuple[Step, ...]
    added_tags: Mapping[str, str]
    removed_tags: tuple[str, ...]
    #: What is not done, and why.
    notes: tuple[str, ...]

    @property
    def sign(self) -> str:
        """`+` for a new pipeline, `~` for a change, `=` for none."""
        if Step.CREATE in self.steps:
            return "+"
        return "~" if self.steps else "="


def plan(found: Difference, wishes: Wishes) -> Plan:
    """The steps that bring a pipeline to what the files say; the same again: no steps."""
    is_new = found.there is None
    puts = found.is_defined and (is_new or bool(found.definition) or wishes.put_all)
    activates, notes = _activation(found, wishes, puts=puts)
    wanted = {
        Step.CREATE: is_new,
        Step.PUT: puts,
        Step.TAGS: not is_new and bool(found.tags),
        Step.ACTIVATE: activates,
    }
    fixed = (
        f"{change.what} cannot be changed: the API has no operation for it"
        for change in found.fixed
    )
    own = found.wanted.own_tags
    before = found.there.own_tags if found.there else {}
    return Plan(
        steps=tuple(step for step in Step if wanted[step]),
        added_tags={key: text for key, text in own.items() if before.get(key) != text},
        removed_tags=tuple(key for key in before if key not in own),
        notes=(*fixed, *notes),
    )


def _activation(found: Difference, wishes: Wishes, *, puts: bool) -> tuple[bool, list[str]]:
    was_active = found.there is not None and found.there.state in _ACTIVE
    if not found.wanted.is_going:
        if was_active and puts:
            return False, [_STALE]
        return False, []
    if found.on_demand:
        # Each activation is a run: a second apply would make another one.
        return False, [_ON_DEMAND] if puts else []
    if was_active and not puts:
        return False, []
    if wishes.activate and found.is_defined:
        return True, []
    return False, [_STALE if was_active else _NOT_ACTIVATED]


_STALE = "what ran before goes on until it is activated again (pipelines activate)"
_ON_DEMAND = "it runs on demand: activate it when it is to run"
_NOT_ACTIVATED = "it is active where it comes from, and is not activated here without --activate"
