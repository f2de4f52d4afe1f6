"""A pipeline definition in memory: objects with fields, parameters and their values.

Only the shape; reading files is `reader`, writing them is `writer`, meaning is `catalog`,
`inheritance` and `validate`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A place in the source text; both count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Ref:
    """A reference to another object of the definition (`{"ref": id}` in a file)."""

    id: str

    def __str__(self) -> str:
        return self.id


class Unresolved(str):
    """A value that only a deployment tool knows, such as a CloudFormation `!Ref`.

    The text shows what stands there (`${BucketName}`); it is not the value.
    """

    __slots__ = ()


Value = str | Ref


@dataclass(frozen=True, slots=True)
class Field:
    """One value of one field; a field with several values is several of these, in order."""

    key: str
    value: Value
    position: Position | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineObject:
    """An object of a definition. `fields` holds everything but id and name, `type` included."""

    id: str
    name: str
    fields: tuple[Field, ...] = ()
    position: Position | None = field(default=None, compare=False)

    # Lists and plain loops: a generator would cost most of the time that validating and planning
    # take. No index by key: of fields that thousands inherit it would take more than they do.

    def values(self, key: str) -> tuple[Value, ...]:
        """Every value of the field, in order; empty when the field is not set."""
        return tuple([f.value for f in self.fields if f.key == key])

    def has(self, key: str) -> bool:
        """Whether the field is set."""
        for f in self.fields:  # noqa: SIM110 - see above
            if f.key == key:
                return True
        return False

    def strings(self, key: str) -> tuple[str, ...]:
        """Every plain (not reference) value of the field."""
        return tuple([v for v in self.values(key) if isinstance(v, str)])

    def string(self, key: str) -> str | None:
        """The first plain value of the field."""
        for f in self.fields:
            if f.key == key and isinstance(f.value, str):
                return f.value
        return None

    def refs(self, key: str) -> tuple[Ref, ...]:
        """Every reference in the field."""
        return tuple([v for v in self.values(key) if isinstance(v, Ref)])

    def ref(self, key: str) -> Ref | None:
        """The first reference in the field."""
        for f in self.fields:
            if f.key == key and isinstance(f.value, Ref):
                return f.value
        return None

    @property
    def type(self) -> str | None:
        """The object's type; none on Default and on abstract parents."""
        return self.string("type")

    def keys(self) -> tuple[str, ...]:
        """The names of the fields that are set, each once, in order."""
        return tuple(dict.fromkeys(f.key for f in self.fields))


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterObject:
    """A parameter's declaration: attributes (type, default, description, ...) as given."""

    id: str
    attributes: tuple[tuple[str, str], ...] = ()
    position: Position | None = field(default=None, compare=False)

    def attribute(self, key: str) -> str | None:
        """The first value of an attribute."""
        return next((v for k, v in self.attributes if k == key), None)

    def attribute_values(self, key: str) -> tuple[str, ...]:
        """Every value of an attribute (allowedValues, default of an array)."""
        return tuple(v for k, v in self.attributes if k == key)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterValue:
    """One value of a parameter; an array parameter has several of these with one id."""

    id: str
    value: str
    position: Position | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A whole definition. Order is kept; ids may repeat here (`validate` reports it)."""

    objects: tuple[PipelineObject, ...] = ()
    parameters: tuple[ParameterObject, ...] = ()
    values: tuple[ParameterValue, ...] = ()
    source: str | None = field(default=None, compare=False)

    def __iter__(self) -> Iterator[PipelineObject]:
        return iter(self.objects)

    def get(self, object_id: str) -> PipelineObject | None:
        """The object with this id; linear, so build a dict for many look-ups."""
        return next((o for o in self.objects if o.id == object_id), None)
