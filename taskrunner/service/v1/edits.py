"""Putting a definition as a text: what is wrong in it, at its place, and what it would change.

What is put goes through the same checks as PutPipelineDefinition's. A mask stands for the secret
that is stored in its place, and is refused where none is: it never becomes the secret itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from taskrunner.errors import DefinitionError, InvalidRequest
from taskrunner.model.document import Definition, Position
from taskrunner.model.leaving.changes import definition_changes
from taskrunner.model.reader import Document, read_document
from taskrunner.model.validate import Finding as FoundMistake
from taskrunner.model.validate import unreadable, validate_document
from taskrunner.service.callers import Caller
from taskrunner.service.costly import check_expressions
from taskrunner.service.definitions import LoadedDefinition
from taskrunner.service.engine import Service
from taskrunner.service.handlers.definitions import filled, given_definition
from taskrunner.service.masking import mask
from taskrunner.service.schedule_expander import ScheduleExpander
from taskrunner.service.store import pipelines as pipeline_store
from taskrunner.service.store.rows import PipelineRow
from taskrunner.service.v1.definition_shapes import Finding, Severity
from taskrunner.service.v1.edit_shapes import (
    ChangeKind,
    DefinitionChange,
    DefinitionPut,
    PeriodChange,
    PeriodKind,
    PutDefinition,
)
from taskrunner.service.v1.route import Route
from taskrunner.service.v1.schedule import planned_periods
from taskrunner.service.v1.schedule_shapes import PlannedPeriod
from taskrunner.wire.codec import decode_input, encode_input
from taskrunner.wire.inputs import PutPipelineDefinitionInput

#: Periods to come that are told.
_PERIODS = 20
_SIGNS: Mapping[str, ChangeKind] = {
    "+": ChangeKind.ADDED,
    "-": ChangeKind.REMOVED,
    "~": ChangeKind.CHANGED,
}
#: The code of what a put is refused for.
_REFUSED = "refused"


def put_definition(service: Service, caller: Caller, request: PutDefinition) -> DefinitionPut:
    """Put a definition, or say what would come of it."""
    row = service.pipeline(request.pipeline_id, caller)
    try:
        document = read_document(request.text)
        if not request.dry_run:
            document.checked()
    except DefinitionError as error:
        if not request.dry_run:
            raise InvalidRequest(f"the definition cannot be read: {error}") from None
        found = unreadable(error).errors
        return DefinitionPut(dry_run=True, findings=tuple(_told(Severity.ERROR, found)))
    draft = _Draft(service, caller, row, document)
    version = None if request.dry_run else draft.put(request.based_on)
    return draft.reply(version)


@dataclass(frozen=True, slots=True)
class _Draft:
    """A definition that somebody wants to put."""

    service: Service
    caller: Caller
    row: PipelineRow
    document: Document

    def put(self, based_on: int | None) -> int:
        """Put it; returns the version. Raises InvalidRequest."""
        definition, key = self._taken(), self.row.pipeline_id

        def change(latest: Definition | None) -> Definition:
            # The pipeline is held: nobody puts another one between this look and the put.
            now = self.service.pipeline(key).latest_version
            if based_on is not None and now != based_on:
                raise InvalidRequest(
                    f"version {now} was put meanwhile, and this one was made of version "
                    f"{based_on}: load it anew"
                )
            return filled(definition, latest)

        return self.service.change_definition(key, change)

    def reply(self, version: int | None) -> DefinitionPut:
        """What is wrong with it, and what it changes; put as a version, or (None) not put."""
        now, refused = self.service.clock.now(), ""
        before = self._before(version)
        definition = self.document.definition
        try:
            # Masks stay masks: whoever may put must not be told how a secret compares to a guess.
            definition = filled(self._taken(), before)
        except InvalidRequest as error:
            refused = str(error)
        loaded = LoadedDefinition(definition)
        return DefinitionPut(
            dry_run=version is None,
            version=version,
            findings=tuple(self._findings(definition, refused, now)),
            changes=tuple(
                DefinitionChange(kind=_SIGNS[one.sign], what=one.what)
                for one in definition_changes(before, definition)
            ),
            on_demand=loaded.on_demand,
            periods=() if loaded.on_demand else self._periods(loaded, now),
        )

    def _before(self, version: int | None) -> Definition:
        """The version that it takes the place of, secrets masked."""
        number = self.row.latest_version if version is None else version - 1
        if not number:
            return Definition()
        return mask(self.service.loaded(self.row.pipeline_id, number).definition)

    def _taken(self) -> Definition:
        """The definition as the operation of AWS's API takes it. Raises InvalidRequest."""
        message = PutPipelineDefinitionInput.of(self.row.pipeline_id, self.document.definition)
        check_expressions(message)
        return given_definition(decode_input(*encode_input(message)))

    def _findings(self, definition: Definition, refused: str, now: datetime) -> Iterator[Finding]:
        report = validate_document(self.document, now=now)
        if refused:
            yield Finding(severity=Severity.ERROR, code=_REFUSED, message=refused)
        yield from _told(Severity.ERROR, report.errors)
        key, places = self.row.pipeline_id, _positions(self.document.definition)
        for edit in self.service.forbidden_edits(key, definition):
            at = places.get((edit.object_id, edit.field)) or places.get((edit.object_id, None))
            yield Finding(
                severity=Severity.ERROR,
                code="forbidden-edit",
                message=edit.message,
                id=edit.object_id,
                field=edit.field,
                line=at.line if at else None,
                column=at.column if at else None,
            )
        yield from _told(Severity.WARNING, report.warnings)
        if not report.errors and not refused:
            yield from _told(Severity.WARNING, self.service.look_at_places(key, definition))

    def _periods(self, loaded: LoadedDefinition, now: datetime) -> tuple[PeriodChange, ...]:
        """What comes once it is activated, beside what comes now; nothing of what cannot be."""
        row, service = self.row, self.service
        active = service.loaded(row.pipeline_id, row.active_version) if row.active_version else None
        with service.store.read() as conn:
            held = pipeline_store.load_schedules(conn, row.pipeline_id)
        try:
            begun = ScheduleExpander(row, loaded, before=active).begun(held, now)
            after = planned_periods(row, loaded, begun, now, _PERIODS)
            going = [one for one in held if one.next_at is not None]
            before = planned_periods(row, active, going, now, _PERIODS) if active and going else ()
        except DefinitionError:
            return ()  # among the findings
        return tuple(_compared(before, after))


def _told(severity: Severity, found: Sequence[FoundMistake]) -> Iterator[Finding]:
    for one in found:
        yield Finding(
            severity=severity,
            code=one.code,
            message=one.message,
            id=one.id,
            field=one.field,
            line=one.line,
            column=one.column,
        )


def _positions(definition: Definition) -> Mapping[tuple[str, str | None], Position | None]:
    """Where objects and their fields stand in the text."""
    found: dict[tuple[str, str | None], Position | None] = {}
    for item in definition.objects:
        found[item.id, None] = item.position
        for field in item.fields:
            found.setdefault((item.id, field.key), field.position)
    return found


def _compared(
    before: Sequence[PlannedPeriod], after: Sequence[PlannedPeriod]
) -> Iterator[PeriodChange]:
    """The periods of both, in their order, as far as both are known."""
    known = {(one.schedule_id, one.start, one.end) for one in before}
    kept = {(one.schedule_id, one.start, one.end) for one in after}
    ends = [side[-1].start for side in (before, after) if len(side) == _PERIODS]
    both = {(one.schedule_id, one.start, one.end): one for one in (*before, *after)}
    for key, one in sorted(both.items(), key=lambda pair: (pair[1].start, pair[0])):
        if ends and one.start > min(ends):
            return
        kind = PeriodKind.SAME
        if key not in known:
            kind = PeriodKind.ADDED
        elif key not in kept:
            kind = PeriodKind.REMOVED
        yield PeriodChange(
            kind=kind,
            schedule_id=one.schedule_id,
            start=one.start,
            end=one.end,
            runs_at=one.runs_at,
        )


EDIT_ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/v1/pipelines/{pipeline_id}/definition",
        action="PutPipelineDefinition",
        request=PutDefinition,
        reply=DefinitionPut,
        handler=put_definition,
        summary="Put a definition as a text; dry, tell what is wrong in it and what it changes.",
    ),
)
