"""The API's form of definitions and tasks: which member of its JSON holds what, said once.

The wire, the service's store and the job of an attempt's process all write this form. What people
wrote into files is read by `reader`, which knows more forms and says where in them a mistake is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from taskrunner.model.document import (
    Definition,
    Field,
    ParameterObject,
    ParameterValue,
    PipelineObject,
    Ref,
)
from taskrunner.model.task import Task, with_secrets_marked

T = TypeVar("T")
Members = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Form(Generic[T]):
    """Both directions of one structure.

    `build` takes the members that are there, their parts built already, and raises ValueError when
    they do not go together; the message ends a sentence that names the structure's place. `split`
    is its inverse. `parts` are the members that are lists, or maps, of other structures.
    """

    build: Callable[[Members], T]
    split: Callable[[T], Members]
    parts: Mapping[str, Form[Any]] = field(default_factory=dict)

    def encode(self, value: T) -> dict[str, Any]:
        """The value as JSON takes it, all the way down."""
        return self._each(self.split(value), lambda part: part.encode, list)

    def decode(self, members: Members) -> T:
        """The inverse of `encode`. Raises KeyError or ValueError for what it never wrote."""
        return self.build(self._each(members, lambda part: part.decode, tuple))

    def _each(
        self,
        members: Members,
        work: Callable[[Form[Any]], Callable[[Any], Any]],
        several: Callable[[Iterable[Any]], Any],
    ) -> dict[str, Any]:
        done = dict(members)
        for key, part in self.parts.items():
            of, item = work(part), members[key]
            if isinstance(item, Mapping):
                done[key] = {name: of(element) for name, element in item.items()}
            else:
                done[key] = several(map(of, item))
        return done


def _build_field(members: Members) -> Field:
    if "stringValue" in members and "refValue" in members:
        raise ValueError("must have one of stringValue and refValue, not both")
    if "refValue" in members:
        return Field(members["key"], Ref(members["refValue"]))
    # AWS leaves out a stringValue that is empty.
    return Field(members["key"], members.get("stringValue", ""))


def _split_field(item: Field) -> Members:
    if isinstance(item.value, Ref):
        return {"key": item.key, "refValue": item.value.id}
    return {"key": item.key, "stringValue": item.value}


def _build_task(members: Members) -> Task:
    missing = [name for name in ("pipelineId", "attemptId", "objects") if name not in members]
    if missing:
        raise ValueError(f"must have {missing[0]} beside taskId")
    return Task(
        task_id=members["taskId"],
        pipeline_id=members["pipelineId"],
        attempt_id=members["attemptId"],
        objects=with_secrets_marked(members["objects"]),
    )


FIELD = Form(build=_build_field, split=_split_field)
OBJECT = Form(
    build=lambda m: PipelineObject(id=m["id"], name=m["name"], fields=m["fields"]),
    split=lambda item: {"id": item.id, "name": item.name, "fields": item.fields},
    parts={"fields": FIELD},
)
ATTRIBUTE: Form[tuple[str, str]] = Form(
    build=lambda m: (m["key"], m["stringValue"]),
    split=lambda pair: {"key": pair[0], "stringValue": pair[1]},
)
PARAMETER = Form(
    build=lambda m: ParameterObject(id=m["id"], attributes=m["attributes"]),
    split=lambda item: {"id": item.id, "attributes": item.attributes},
    parts={"attributes": ATTRIBUTE},
)
VALUE = Form(
    build=lambda m: ParameterValue(id=m["id"], value=m["stringValue"]),
    split=lambda item: {"id": item.id, "stringValue": item.value},
)
DEFINITION = Form(
    build=lambda m: Definition(
        objects=m["pipelineObjects"], parameters=m["parameterObjects"], values=m["parameterValues"]
    ),
    split=lambda item: {
        "pipelineObjects": item.objects,
        "parameterObjects": item.parameters,
        "parameterValues": item.values,
    },
    parts={"pipelineObjects": OBJECT, "parameterObjects": PARAMETER, "parameterValues": VALUE},
)
TASK = Form(
    build=_build_task,
    split=lambda task: {
        "taskId": task.task_id,
        "pipelineId": task.pipeline_id,
        "attemptId": task.attempt_id,
        "objects": task.objects,
    },
    parts={"objects": OBJECT},
)
