"""A definition that is being edited: what is wrong in it, and what would come of putting it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from taskrunner.console.views.actions import command
from taskrunner.console.views.definitions import SIGNS
from taskrunner.console.views.words import Sign
from taskrunner.service.v1.definition_shapes import Finding, Severity
from taskrunner.service.v1.edit_shapes import ChangeKind, DefinitionPut, PeriodKind

_CHANGES: Mapping[ChangeKind, Sign] = {
    ChangeKind.ADDED: Sign("+", "added", "ok"),
    ChangeKind.CHANGED: Sign("~", "changed", "run"),
    ChangeKind.REMOVED: Sign("-", "removed", "bad"),
}
_PERIODS: Mapping[PeriodKind, Sign] = {
    PeriodKind.SAME: Sign("…", "as it is", "wait"),
    PeriodKind.ADDED: Sign("+", "new", "ok"),
    PeriodKind.REMOVED: Sign("-", "comes no more", "bad"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EditMark:
    """Something that is wrong, or has no effect."""

    sign: Sign
    message: str
    code: str
    #: 0: it is of the whole definition.
    line: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EditLine:
    """A line, and what is to be said of it."""

    number: int
    text: str
    marks: Sequence[EditMark]


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodLine:
    """A period to come."""

    sign: Sign
    schedule_id: str
    start: datetime
    end: datetime
    runs_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EditPage:
    """The page."""

    text: str
    #: The version that the text was made of; 0: there is none.
    based_on: int
    #: Whether it has been looked at, and the mark of what was.
    checked: bool
    mark: str
    marks: Sequence[EditMark]
    errors: int
    #: The text with what is wrong at its lines; nothing where all is well.
    lines: Sequence[EditLine]
    changes: Sequence[tuple[Sign, str]]
    periods: Sequence[PeriodLine]
    on_demand: bool
    #: The start of the first run that would be made by it.
    first: datetime | None
    #: The same from a shell, for a text that is kept as `pipeline.json`.
    command: str


def new_page(pipeline_id: str, text: str, based_on: int) -> EditPage:
    """The page before anything was looked at."""
    return _page(pipeline_id, text, based_on, DefinitionPut(dry_run=True), checked=False)


def checked_page(pipeline_id: str, text: str, based_on: int, found: DefinitionPut) -> EditPage:
    """The page with what is to be said of a text."""
    return _page(pipeline_id, text, based_on, found, checked=True)


def mark_of(text: str) -> str:
    """What tells a text that was looked at from one that was changed since."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _page(
    pipeline_id: str, text: str, based_on: int, found: DefinitionPut, *, checked: bool
) -> EditPage:
    marks = [_mark(one) for one in found.findings]
    kept = [one for one in found.periods if one.kind is not PeriodKind.REMOVED]
    return EditPage(
        text=text,
        based_on=based_on,
        checked=checked,
        mark=mark_of(text) if checked else "",
        marks=marks,
        errors=sum(one.severity is Severity.ERROR for one in found.findings),
        lines=_lines(text, marks) if marks else (),
        changes=[(_CHANGES[one.kind], one.what) for one in found.changes],
        periods=[
            PeriodLine(
                sign=_PERIODS[one.kind],
                schedule_id=one.schedule_id,
                start=one.start,
                end=one.end,
                runs_at=one.runs_at,
            )
            for one in found.periods
        ],
        on_demand=found.on_demand,
        first=kept[0].start if kept else None,
        command=command("pipelines", "put", "pipeline.json", "--pipeline", pipeline_id),
    )


def _mark(found: Finding) -> EditMark:
    named = [found.id, found.field] if found.id else [found.field]
    where = ", ".join(part for part in named if part)
    return EditMark(
        sign=SIGNS[found.severity],
        message=f"{where}: {found.message}" if where else found.message,
        code=found.code,
        line=found.line or 0,
        column=found.column or 0,
    )


def _lines(text: str, marks: Sequence[EditMark]) -> Sequence[EditLine]:
    """The lines as the reader of definitions counts them."""
    by_line: dict[int, list[EditMark]] = {}
    for mark in marks:
        by_line.setdefault(mark.line, []).append(mark)
    return [
        EditLine(number=number, text=line, marks=by_line.get(number, ()))
        for number, line in enumerate(text.split("\n"), 1)
    ]
