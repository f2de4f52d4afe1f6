"""What the checks look at, worked out once, and where they put what they find."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from taskrunner.errors import DefinitionError
from taskrunner.model.catalog import ObjectType, find_type
from taskrunner.model.catalog.effects import Target
from taskrunner.model.document import (
    Definition,
    Field,
    ParameterObject,
    ParameterValue,
    PipelineObject,
    Position,
    Ref,
    Unresolved,
    Value,
)
from taskrunner.model.inheritance import DEFAULT_ID, effective, inherit
from taskrunner.model.masks import is_secret_attribute
from taskrunner.model.parameters import parameter_values
from taskrunner.model.validate.codes import CODES, NAMES_ONLY, Severity
from taskrunner.model.validate.finding import Finding, Report
from taskrunner.secret import HIDDEN, is_secret

#: Comparisons of names that all suggestions of one run may cost together.
_SUGGESTION_BUDGET = 20_000
_LONGEST_MESSAGE = 500
_LONGEST_NAME = 100


def _is_about_secret(object_id: str | None, key: str | None) -> bool:
    """Whether a message may have been made of a secret: a field's values, or a parameter's."""
    return is_secret(key or "") or (
        is_secret(object_id or "") and (key is None or is_secret_attribute(key))
    )


class Item:
    """An object as written, with what it inherits, and its type when the catalog has it."""

    __slots__ = ("_own", "_whole", "own", "type", "whole")

    def __init__(
        self, own: PipelineObject, whole: PipelineObject, object_type: ObjectType | None
    ) -> None:
        self.own = own
        self.whole = whole
        self.type = object_type
        self._own = _by_key(own.fields)
        self._whole = self._own if whole is own else _by_key(whole.fields)

    @property
    def id(self) -> str:
        """The object's id."""
        return self.own.id

    @property
    def is_default(self) -> bool:
        """Whether this is the object that all others inherit from."""
        return self.own.id == DEFAULT_ID

    @property
    def own_keys(self) -> Collection[str]:
        """The names of the fields that the object sets itself, in order."""
        return self._own.keys()

    @property
    def keys(self) -> Collection[str]:
        """The names of the fields that are set here or inherited."""
        return self._whole.keys()

    def own_fields(self, key: str) -> Sequence[Field]:
        """The object's own values of a field."""
        return self._own.get(key, ())

    def values(self, key: str) -> tuple[Value, ...]:
        """The values of a field, own or inherited."""
        return tuple(f.value for f in self._whole.get(key, ()))

    def first(self, key: str) -> Field:
        """The first of a field's values that are set here or inherited, with its place."""
        return self._whole[key][0]

    def has(self, key: str) -> bool:
        """Whether the field is set here or inherited."""
        return key in self._whole

    def text(self, key: str) -> str | None:
        """The first plain value of a field, own or inherited."""
        return next((f.value for f in self._whole.get(key, ()) if isinstance(f.value, str)), None)

    def refs(self, key: str) -> Iterator[Ref]:
        """The references of a field, own or inherited."""
        return (f.value for f in self._whole.get(key, ()) if isinstance(f.value, Ref))

    def position(self, key: str | None = None) -> Position | None:
        """Where the field stands on the object itself; else where the object does."""
        found = self._own.get(key) if key is not None else None
        return (found[0].position if found else None) or self.own.position


def _by_key(fields: Iterable[Field]) -> dict[str, list[Field]]:
    found: dict[str, list[Field]] = {}
    for each in fields:
        found.setdefault(each.key, []).append(each)
    return found


@dataclass(slots=True)
class Findings:
    """Collects findings; each goes to errors or warnings as its code says."""

    aws_limits: bool = False
    errors: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)

    def add(
        self,
        code: str,
        message: str,
        *,
        object_id: str | None = None,
        key: str | None = None,
        position: Position | None = None,
    ) -> None:
        """Note a finding; one about a secret says what is wrong with it in the code's own words."""
        severity = CODES[code].severity
        if code not in NAMES_ONLY and _is_about_secret(object_id, key):
            message = f"{CODES[code].text.rstrip('.')} (found {HIDDEN})"
        is_error = severity is Severity.ERROR or (severity is Severity.LIMIT and self.aws_limits)
        if len(message) > _LONGEST_MESSAGE:
            message = f"{message[:_LONGEST_MESSAGE]}..."
        finding = Finding(
            id=object_id,
            field=key,
            code=code,
            message=message,
            line=position.line if position else None,
            column=position.column if position else None,
        )
        (self.errors if is_error else self.warnings).append(finding)

    def report(self) -> Report:
        """All of it."""
        return Report.of(self.errors, self.warnings)


@dataclass(slots=True)
class Names:
    """Suggests the name that was probably meant, within a bounded cost."""

    left: int = _SUGGESTION_BUDGET

    def near(self, name: str, known: Collection[str]) -> str:
        """`; did you mean 'x'?`, or an empty string."""
        if len(known) > self.left or len(name) > _LONGEST_NAME:
            return ""
        self.left -= len(known)
        lowered = {option.lower(): option for option in known}
        near = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.7)
        return f"; did you mean {lowered[near[0]]!r}?" if near else ""


class Context:
    """A definition under validation."""

    def __init__(
        self,
        definition: Definition,
        *,
        findings: Findings,
        now: datetime | None = None,
        target: Target | None = None,
    ) -> None:
        self.definition = definition
        self.findings = findings
        self.now = now
        self.target = target
        self.names = Names()
        self.add = findings.add

    def note(self, code: str, message: str, item: Item, key: str | None) -> None:
        """Note a finding about a field of an object, or about the object."""
        self.add(code, message, object_id=item.id, key=key, position=item.position(key))

    def note_value(self, code: str, message: str, item: Item, value: Field) -> None:
        """Note a finding about one of a field's values."""
        self.add(code, message, object_id=item.id, key=value.key, position=value.position)

    @cached_property
    def objects(self) -> Mapping[str, PipelineObject]:
        """The effective objects by id; plain ones where they inherit beyond all measure."""
        try:
            return effective(self.definition)
        except DefinitionError as error:
            self.add("parent-chain", error.message, object_id=error.place.object_id)
            return {item.id: item for item in reversed(self.definition.objects)}

    @cached_property
    def items(self) -> tuple[Item, ...]:
        """Every object; of those with one id, each by itself."""
        first: set[str] = set()
        items: list[Item] = []
        for own in self.definition.objects:
            whole = self.objects[own.id] if own.id not in first else inherit(own, self.objects)
            first.add(own.id)
            items.append(Item(own, whole, self._type(own, whole)))
        return tuple(items)

    def _type(self, own: PipelineObject, whole: PipelineObject) -> ObjectType | None:
        name = whole.type
        if own.id == DEFAULT_ID or name is None or isinstance(name, Unresolved):
            return None
        return find_type(name)

    @cached_property
    def by_id(self) -> Mapping[str, Item]:
        """The items by id, in order; of repeated ids the first."""
        found: dict[str, Item] = {}
        for item in self.items:
            found.setdefault(item.id, item)
        return found

    @cached_property
    def parent_ids(self) -> frozenset[str]:
        """The ids that some object gives as its parent."""
        return frozenset(r.id for item in self.definition.objects for r in item.refs("parent"))

    @cached_property
    def declared(self) -> Mapping[str, ParameterObject]:
        """The declared parameters by id."""
        return {item.id: item for item in reversed(self.definition.parameters)}

    @cached_property
    def given(self) -> Mapping[str, list[ParameterValue]]:
        """The values given in the definition, by parameter."""
        found: dict[str, list[ParameterValue]] = {}
        for value in self.definition.values:
            found.setdefault(value.id, []).append(value)
        return found

    @cached_property
    def parameters(self) -> Mapping[str, tuple[str, ...]]:
        """The values of parameters, defaults included."""
        return parameter_values(self.definition)

    @cached_property
    def secret_names(self) -> frozenset[str]:
        """The names of fields and parameters that are secret."""
        fields = {field.key for item in self.definition.objects for field in item.fields}
        return frozenset(filter(is_secret, fields | self.declared.keys() | self.given.keys()))

    @cached_property
    def on_demand(self) -> bool:
        """Whether Default makes this a pipeline on demand."""
        default = self.objects.get(DEFAULT_ID)
        text = default.string("scheduleType") if default else None
        return text is not None and self.literal(text).lower() == "ondemand"

    def literal(self, text: str) -> str:
        """The text; when it is nothing but one parameter, that parameter's first value.

        A secret parameter stays a parameter, so that no message shows it.
        """
        if text.startswith("#{") and text.endswith("}") and "*" not in text:
            values = self.parameters.get(text[2:-1].strip())
            if values and values[0]:
                return values[0]
        return text

    def known(self, value: str | Ref) -> str | None:
        """The text of a value that can be judged: no reference, no expression, not unresolved."""
        if isinstance(value, Ref | Unresolved):
            return None
        text = self.literal(value)
        return None if "#{" in text or isinstance(text, Unresolved) else text
