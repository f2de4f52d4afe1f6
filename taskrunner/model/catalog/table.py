"""Loads `objects.json`; each type is built when it is first asked for."""

from __future__ import annotations

import json
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import TypedDict, cast

from taskrunner.model.catalog.types import FieldGroup, FieldSpec, ObjectType, Slot


class _Row(TypedDict, total=False):
    """A field as the file has it."""

    slot: str
    group: str
    refs: str | list[str]
    enum: list[str]
    own: list[str]
    open: bool
    default: str | list[str]
    multiple: bool
    encrypted: bool
    note: str


class _TypeRow(TypedDict, total=False):
    """A type as the file has it; `runtime` names a block of fields that types share."""

    category: str
    text: str
    replaced_by: str
    own: bool
    runtime: str
    fields: dict[str, _Row]


class _Table(TypedDict):
    """The whole file."""

    texts: dict[str, str]
    runtime: dict[str, dict[str, _Row]]
    types: dict[str, _TypeRow]


@cache
def _table() -> _Table:
    data = pkgutil.get_data(__package__ or "", "objects.json")
    if data is None:
        raise FileNotFoundError("taskrunner.model.catalog: objects.json is not installed")
    return cast("_Table", json.loads(data))


class _Catalog(Mapping[str, ObjectType]):
    """Every type by its name: AWS's, and taskrunner's own formats."""

    def __getitem__(self, name: str) -> ObjectType:
        return _type(name)

    def __iter__(self) -> Iterator[str]:
        return iter(_table()["types"])

    def __len__(self) -> int:
        return len(_table()["types"])

    def __contains__(self, name: object) -> bool:
        return name in _table()["types"]


CATALOG: Mapping[str, ObjectType] = _Catalog()

_COMMON = {
    "id": FieldSpec(name="id", group=FieldGroup.REQUIRED, multiple=False),
    "name": FieldSpec(name="name", multiple=False),
    "type": FieldSpec(name="type", group=FieldGroup.REQUIRED, multiple=False),
    "parent": FieldSpec(name="parent", slot=Slot.REFERENCE, multiple=True),
}


_finders: list[Callable[[str], ObjectType | None]] = []


def add_types(find: Callable[[str], ObjectType | None]) -> Callable[[], None]:
    """Let `find_type` find types beyond AWS's, from a program's start on; returns what ends it."""
    if find not in _finders:
        _finders.append(find)
    return lambda: _finders.remove(find)


def find_type(name: str) -> ObjectType | None:
    """A type of AWS's, or one that was added; None for one that is not known."""
    known = CATALOG.get(name)
    return known or next((found for find in _finders if (found := find(name))), None)


def category_of(name: str) -> str | None:
    """The category of a type; None for a type that is not known."""
    known = find_type(name)
    return known.category if known else None


def common_field(name: str) -> FieldSpec | None:
    """The field that every object has whatever its type: id, name, type, parent."""
    return _COMMON.get(name)


def field_text(name: str) -> str:
    """One line on what a field of this name is for; empty for a name that no type has."""
    return _table()["texts"].get(name, "")


@cache
def category(name: str) -> tuple[str, ...]:
    """The types of a category, by name; `runnable` gives the types that have instances."""
    types, runtime = _table()["types"], _table()["runtime"]
    if name == "runnable":
        return tuple(t for t, row in types.items() if "@status" in runtime[row["runtime"]])
    return tuple(t for t, row in types.items() if row["category"] == name)


@cache
def reference_fields() -> frozenset[str]:
    """The names of fields that take references, on whichever type."""
    specs = (spec for object_type in CATALOG.values() for spec in object_type.fields.values())
    return frozenset(spec.name for spec in specs if spec.slot is Slot.REFERENCE)


@cache
def _type(name: str) -> ObjectType:
    row = _table()["types"][name]
    shared = _table()["runtime"][row["runtime"]]
    fields = {key: _spec(key, value) for key, value in row["fields"].items()}
    fields |= {key: _spec(key, value, FieldGroup.RUNTIME) for key, value in shared.items()}
    return ObjectType(
        name=name,
        category=row["category"],
        text=row["text"],
        fields=fields,
        required=tuple(spec for spec in fields.values() if spec.required),
        one_of=one_of_groups(fields.values()),
        replaced_by=row.get("replaced_by"),
        is_own=row.get("own", False),
    )


def one_of_groups(specs: Iterable[FieldSpec]) -> tuple[tuple[FieldSpec, ...], ...]:
    """Fields of which one must be there, by the number that they share."""
    groups: dict[int, list[FieldSpec]] = {}
    for spec in specs:
        if spec.alternatives is not None:
            groups.setdefault(spec.alternatives, []).append(spec)
    return tuple(tuple(groups[number]) for number in sorted(groups))


def _spec(name: str, row: _Row, group: FieldGroup | None = None) -> FieldSpec:
    given, _, number = row.get("group", "optional").partition(":")
    return FieldSpec(
        name=name,
        slot=Slot(row.get("slot", "String")),
        group=group or FieldGroup(given),
        alternatives=int(number) if number else None,
        enum=tuple(row.get("enum", ())),
        own=tuple(row.get("own", ())),
        open=row.get("open", False),
        default=_texts(row.get("default", ())),
        multiple=row.get("multiple"),
        ref_types=_ref_types(row.get("refs", ())),
        encrypted=row.get("encrypted", False),
        note=row.get("note"),
    )


def _texts(value: str | list[str] | tuple[str, ...]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _ref_types(value: str | list[str] | tuple[str, ...]) -> tuple[str, ...]:
    """Type names; a category stands for all of its types, `any` for no limit."""
    if not isinstance(value, str):
        return tuple(value)
    return () if value == "any" else category(value)
