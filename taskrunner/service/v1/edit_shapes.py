"""Putting a definition by /v1: what is asked, and what would come of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from taskrunner.service.v1.definition_shapes import Finding
from taskrunner.service.v1.schema import about


@dataclass(frozen=True, slots=True, kw_only=True)
class PutDefinition:
    """Replace the definition of a pipeline; one that is active goes on by the old one."""

    pipeline_id: str = about("The pipeline's id.")
    text: str = about(
        "The file, in any form that `taskrunner validate` reads. `*****` as a secret stands for "
        "the one that is stored in its place."
    )
    based_on: int | None = about(
        "The version that it was made of: refused when another one has been put since. Left out: "
        "put whatever there is.",
        default=None,
        least=0,
    )
    dry_run: bool = about(
        "Say what is wrong with it and what it would change, and put nothing.", default=False
    )


class ChangeKind(StrEnum):
    """How something differs from the version that was put last."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinitionChange:
    """An object, a field, a parameter or a value that differs."""

    kind: ChangeKind = about("How.")
    what: str = about("What: `object 'A', field 'command'`.")


class PeriodKind(StrEnum):
    """What an activation of the definition would make of a period to come."""

    SAME = "same"  # it comes as it would have
    ADDED = "added"  # it comes by this definition only
    REMOVED = "removed"  # it does not come any more


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodChange:
    """A period to come."""

    kind: PeriodKind = about("What becomes of it.")
    schedule_id: str = about("Its schedule.")
    start: datetime = about("Its start.")
    end: datetime = about("Its end.")
    runs_at: datetime = about("When the first of it may run.")


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinitionPut:
    """What is wrong with a definition, what it changes, and whether it was put."""

    dry_run: bool = about("Whether nothing was done.")
    version: int | None = about(
        "The version that it was put as; left out: it was not.", default=None
    )
    findings: tuple[Finding, ...] = about(
        "Everything that is wrong in it, or has no effect, at its line and column; errors first. "
        "With an error it can be put, and not be activated.",
        default=(),
    )
    changes: tuple[DefinitionChange, ...] = about(
        "What differs from the version that was put last.", default=()
    )
    on_demand: bool = about("Whether it runs once per activation, without periods.", default=False)
    periods: tuple[PeriodChange, ...] = about(
        "The next periods, as they would be once it is activated, beside those that come now.",
        default=(),
    )
