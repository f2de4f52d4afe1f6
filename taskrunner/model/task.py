"""A task as PollForTask hands it out: the attempt's object and every object it needs, evaluated."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from taskrunner.errors import ErrorId, PermanentTaskError
from taskrunner.model.document import Field, PipelineObject
from taskrunner.secret import Secret, is_secret

#: A shorter secret is looked for as a whole text only: it would be found in any.
_SHORTEST_PART = 4


def with_secrets_marked(objects: Mapping[str, PipelineObject]) -> Mapping[str, PipelineObject]:
    """A task's objects, each text of theirs a `Secret` that holds one of the task's secrets.

    Those are what fields hold whose name begins with `*`, which the service sends along.
    """
    fields = [field for obj in objects.values() for field in obj.fields if is_secret(field.key)]
    secrets = {field.value for field in fields if isinstance(field.value, str)} - {""}
    if not secrets:
        return objects
    return {
        key: replace(obj, fields=tuple(_marked(field, secrets) for field in obj.fields))
        for key, obj in objects.items()
    }


def _marked(field: Field, secrets: Collection[str]) -> Field:
    text = field.value
    if not isinstance(text, str) or field.key.startswith("@"):
        return field
    parts = {s for s in secrets if s == text or (len(s) >= _SHORTEST_PART and s in text)}
    if not parts:
        return field
    return replace(field, value=Secret(text, parts))


@dataclass(frozen=True, slots=True)
class TaskObject:
    """A view of one object of a task that follows references within the task."""

    object: PipelineObject
    task: Task = field(repr=False, compare=False)

    @property
    def id(self) -> str:
        """The object's id as the service sent it (`@Id_<start>` for instances)."""
        return self.object.id

    @property
    def name(self) -> str:
        """The object's name."""
        return self.object.name

    @property
    def component_id(self) -> str:
        """The id that the author gave: @componentParent, or the id itself for plain components."""
        parent = self.object.ref("@componentParent")
        return parent.id if parent else self.object.id

    @property
    def type(self) -> str:
        """The object's type, or an empty string."""
        return self.object.type or ""

    def get(self, key: str, default: str | None = None) -> str | None:
        """The first plain value of a field."""
        value = self.object.string(key)
        return default if value is None else value

    def all(self, key: str) -> tuple[str, ...]:
        """Every plain value of a field."""
        return self.object.strings(key)

    def required(self, key: str) -> str:
        """The first plain value of a field that must be there; raises PermanentTaskError."""
        value = self.object.string(key)
        if value is None or value == "":
            message = f"{self.type} {self.component_id!r} has no value for the field {key!r}"
            raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
        return value

    def flag(self, key: str, *, default: bool = False) -> bool:
        """A Boolean field; raises PermanentTaskError on anything but true or false."""
        value = self.object.string(key)
        if value is None:
            return default
        if value.strip().lower() not in {"true", "false"}:
            message = (
                f"{self.type} {self.component_id!r}, field {key!r}: "
                f"found {value!r}, wanted true or false"
            )
            raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
        return value.strip().lower() == "true"

    def related(self, key: str) -> tuple[TaskObject, ...]:
        """Every object that the field refers to, in order; raises PermanentTaskError if absent."""
        return tuple(self.task.object(ref.id) for ref in self.object.refs(key))

    def one(self, key: str) -> TaskObject | None:
        """The first object that the field refers to."""
        return next(iter(self.related(key)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One hand-out: its fencing `task_id`, and the objects by id."""

    task_id: str
    pipeline_id: str
    attempt_id: str
    objects: Mapping[str, PipelineObject]
    #: The group whose poll brought it; not what the task itself says.
    worker_group: str = ""

    @property
    def main(self) -> TaskObject:
        """The attempt's own object, with the fields of its activity or precondition."""
        return self.object(self.attempt_id)

    @property
    def type(self) -> str:
        """The type of its activity or precondition; empty if the service did not send it."""
        found = self.objects.get(self.attempt_id)
        return (found.type if found is not None else None) or ""

    def object(self, object_id: str) -> TaskObject:
        """An object of the task; raises PermanentTaskError when the service did not send it."""
        found = self.objects.get(object_id)
        if found is None:
            message = f"the task refers to {object_id!r}, which the service did not send with it"
            raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
        return TaskObject(found, self)

    @property
    def instance_id(self) -> str:
        """The instance that this is an attempt of (@instanceParent, else cut from the id)."""
        parent = self.main.object.ref("@instanceParent")
        return parent.id if parent else self.attempt_id.rsplit("_Attempt=", 1)[0]

    @property
    def component_id(self) -> str:
        """The component that this is an attempt of."""
        return self.main.component_id
