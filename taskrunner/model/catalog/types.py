"""What the catalog says of a type and of a field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Slot(StrEnum):
    """What a field's value has to be."""

    STRING = "String"
    REFERENCE = "Reference"
    PERIOD = "Period"
    DATETIME = "DateTime"
    INTEGER = "Integer"
    DOUBLE = "Double"
    BOOLEAN = "Boolean"
    ENUMERATION = "Enumeration"


class FieldGroup(StrEnum):
    """Who sets a field, and whether it has to be set."""

    REQUIRED = "required"
    ONE_OF = "required_one_of"  # one field of the alternatives that share a number
    OBJECT_INVOCATION = "object_invocation"  # `schedule`: on the object, a parent or Default
    OPTIONAL = "optional"
    UNDOCUMENTED = "undocumented"  # no table has it, published definitions do
    EXTENSION = "extension"  # of taskrunner's own: AWS refuses it
    FORBIDDEN = "forbidden"  # the table has it only to say that it must not be set
    RUNTIME = "runtime"  # the service sets it


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldSpec:
    """One field of one type.

    `alternatives` is the number that fields of one one-of group share. `ref_types` are the types
    that a reference may name; empty: any. `multiple` is none where nobody documents it. `open`: the
    enumeration is known not to be complete. `own`: words of it that AWS refuses.
    """

    name: str
    slot: Slot = Slot.STRING
    group: FieldGroup = FieldGroup.OPTIONAL
    alternatives: int | None = None
    enum: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    open: bool = False
    default: tuple[str, ...] = ()
    multiple: bool | None = None
    ref_types: tuple[str, ...] = ()
    encrypted: bool = False
    note: str | None = None

    @property
    def runtime(self) -> bool:
        """Whether only the service may set the field."""
        return self.group is FieldGroup.RUNTIME

    @property
    def words(self) -> tuple[str, ...]:
        """All words of the enumeration."""
        return (*self.enum, *self.own)

    @property
    def required(self) -> bool:
        """Whether the field must be there by itself."""
        return self.group is FieldGroup.REQUIRED


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectType:
    """One type: its category (activity, datanode, ...) and its fields by name.

    `required` are the fields that must be there by themselves, `one_of` the groups of which one
    field must be there.
    """

    name: str
    category: str
    text: str
    fields: Mapping[str, FieldSpec]
    required: tuple[FieldSpec, ...] = ()
    one_of: tuple[tuple[FieldSpec, ...], ...] = ()
    replaced_by: str | None = None
    #: AWS has no such type.
    is_own: bool = False
    #: Nobody knows its fields: a plugin's that declares none.
    any_field: bool = False

    @property
    def runnable(self) -> bool:
        """Whether the service makes instances of such objects (they have a status)."""
        return "@status" in self.fields

    @property
    def scheduled(self) -> bool:
        """Whether such objects need a schedule, their own or an inherited one."""
        return "schedule" in self.fields
