"""What may not be changed of a definition while its pipeline is active.

The guide, "Editing Your Pipeline", has five rules: "You can't remove an object. You can't change
the schedule period of an existing object. You can't add, delete, or modify reference fields in an
existing object. You can't reference an existing object in an output field of a new object. You
can't change the scheduled start date of an object (instead, activate the pipeline with a specific
date and time)". Instances that wait were made by the old definition, and others are made by the new
one: they must fit together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from taskrunner.model.document import Definition, PipelineObject, Ref
from taskrunner.model.period import Period
from taskrunner.model.times import parse_datetime

#: What can be done instead; a pipeline that is not active takes any change.
_INSTEAD = "deactivate the pipeline, then put this again, or make another pipeline of it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A change that an active pipeline does not take, with what to do instead."""

    object_id: str
    field: str | None
    message: str

    def __str__(self) -> str:
        where = f"object {self.object_id!r}"
        if self.field is not None:
            where += f", field {self.field!r}"
        return f"{where}: {self.message}"


def forbidden_edits(active: Definition, wanted: Definition) -> list[Edit]:
    """The changes from the active definition to another one that the rules forbid."""
    before = {obj.id: obj for obj in active.objects}
    after = {obj.id: obj for obj in wanted.objects}
    found = [
        Edit(
            object_id=object_id,
            field=None,
            message=f"it was removed while its pipeline is active; keep it, or {_INSTEAD}",
        )
        for object_id in before
        if object_id not in after
    ]
    for object_id, obj in after.items():
        if object_id in before:
            found += _changes(before[object_id], obj)
        else:
            found += _outputs(obj, before)
    return found


def _changes(before: PipelineObject, after: PipelineObject) -> Iterator[Edit]:
    for key in dict.fromkeys([*before.keys(), *after.keys()]):
        if _references(before, key) != _references(after, key):
            said = f"its references were changed while its pipeline is active; {_INSTEAD}"
            yield Edit(object_id=after.id, field=key, message=said)
    if "Schedule" not in {before.type, after.type}:
        return
    if not _same_period(before.string("period"), after.string("period")):
        said = (
            f"the period was changed from {before.string('period')} to {after.string('period')} "
            f"while the pipeline is active; {_INSTEAD}"
        )
        yield Edit(object_id=after.id, field="period", message=said)
    for key in ("startDateTime", "startAt"):
        if not _same_start(before.string(key), after.string(key)):
            said = (
                "the start was changed while the pipeline is active; keep it, and activate with a "
                "startTimestamp instead"
            )
            yield Edit(object_id=after.id, field=key, message=said)


def _outputs(obj: PipelineObject, before: dict[str, PipelineObject]) -> Iterator[Edit]:
    for ref in obj.refs("output"):
        if ref.id in before:
            said = (
                f"a new object writes to {ref.id!r}, which was there before, while the pipeline is "
                f"active; give it an output of its own, or {_INSTEAD}"
            )
            yield Edit(object_id=obj.id, field="output", message=said)


def _references(obj: PipelineObject, key: str) -> Counter[str]:
    return Counter(value.id for value in obj.values(key) if isinstance(value, Ref))


def _same_period(before: str | None, after: str | None) -> bool:
    try:
        return before == after or Period.parse(before or "") == Period.parse(after or "")
    except ValueError:
        return False


def _same_start(before: str | None, after: str | None) -> bool:
    try:
        return before == after or parse_datetime(before or "") == parse_datetime(after or "")
    except ValueError:
        return (before or "").strip().upper() == (after or "").strip().upper()
