"""`taskrunner explain`: the object reference on the terminal, offline."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

import click

from taskrunner.errors import UsageError
from taskrunner.model.catalog import (
    CATALOG,
    FieldGroup,
    FieldSpec,
    ObjectType,
    category,
    common_field,
    field_text,
)
from taskrunner.model.catalog.effects import EVERY_WAY, effect_of, runners_of, said
from taskrunner.plugins.discovery import names
from taskrunner.plugins.types import TYPE_KINDS, find_plugin_type

_CATEGORIES = {
    "activity": "Activities",
    "datanode": "Data nodes",
    "precondition": "Preconditions",
    "resource": "Resources",
    "database": "Databases",
    "dataformat": "Data formats",
    "action": "Actions",
    "schedule": "Schedules",
    "utility": "Utilities",
}
_GROUPS = {
    FieldGroup.REQUIRED: "Required",
    FieldGroup.ONE_OF: "One of each group",
    FieldGroup.OBJECT_INVOCATION: "Required, here or inherited",
    FieldGroup.OPTIONAL: "Optional",
    FieldGroup.UNDOCUMENTED: "In no reference, but in use",
    FieldGroup.EXTENSION: "Only here, not on AWS",
    FieldGroup.FORBIDDEN: "Not allowed",
    FieldGroup.RUNTIME: "Set by the service",
}


@click.command(help="Describe the object types, one type, or one field of a type.")
@click.argument("topic", required=False, metavar="[TYPE[.FIELD]]")
def command(topic: str | None) -> int:
    """Print what the catalog knows; raises UsageError for a name that it does not know."""
    click.echo("\n".join(_lines(topic)))
    return 0


def _lines(topic: str | None) -> Iterator[str]:
    if topic is None:
        return _overview()
    type_name, dot, field_name = topic.partition(".")
    object_type = find_plugin_type(type_name) or CATALOG[_find(type_name, CATALOG, "object type")]
    if not dot:
        return _type(object_type)
    if common_field(field_name) is not None and field_name not in object_type.fields:
        return _field(object_type, common_field(field_name) or FieldSpec(name=field_name))
    what = f"field of {object_type.name}"
    return _field(object_type, object_type.fields[_find(field_name, object_type.fields, what)])


def _find(name: str, known: Iterable[str], what: str) -> str:
    """The known name that was meant: the same but for case, or UsageError with the nearest."""
    names = {option.lower(): option for option in known}
    if name.lower() in names:
        return names[name.lower()]
    near = difflib.get_close_matches(name.lower(), names, n=1)
    hint = f"; did you mean {names[near[0]]!r}?" if near else ""
    raise UsageError(f"no {what} {name!r}{hint}")


def _overview() -> Iterator[str]:
    width = max(map(len, CATALOG))
    for key, title in _CATEGORIES.items():
        yield f"{title}:"
        for name in category(key):
            yield f"  {name:<{width}}  {CATALOG[name].text}"
        yield ""
    if added := [name for name in names(*TYPE_KINDS) if name not in CATALOG]:
        yield "Added by plugins:"
        yield from (f"  {name}" for name in added)
        yield ""
    yield "taskrunner explain TYPE lists a type's fields; TYPE.FIELD describes one."


def _type(object_type: ObjectType) -> Iterator[str]:
    yield f"{object_type.name} ({object_type.category})"
    yield f"  {object_type.text}"
    if object_type.replaced_by:
        yield f"  Deprecated: use {object_type.replaced_by}."
    if (ways := runners_of(object_type.name)) != EVERY_WAY:
        yield f"  Runs by: {said(ways)}."
    for group, title in _GROUPS.items():
        specs = [spec for spec in object_type.fields.values() if spec.group is group]
        if specs:
            yield ""
            yield f"{title}:"
            yield from _rows(object_type, specs)


def _rows(object_type: ObjectType, specs: list[FieldSpec]) -> Iterator[str]:
    names = max(len(spec.name) for spec in specs)
    slots = max(len(spec.slot) for spec in specs)
    for spec in specs:
        number = f"[{spec.alternatives}] " if spec.alternatives is not None else ""
        text = f"{number}{field_text(spec.name)}{_mark(object_type, spec)}"
        yield f"  {spec.name:<{names}}  {spec.slot:<{slots}}  {text}"


def _mark(object_type: ObjectType, spec: FieldSpec) -> str:
    """What is to be said beside the field of who honours it."""
    effect = effect_of(object_type.name, spec.name)
    if effect is None or effect.by == EVERY_WAY:
        return ""
    return f" (Only by: {said(effect.by)}.)" if effect.by else " (No effect here.)"


def _field(object_type: ObjectType, spec: FieldSpec) -> Iterator[str]:
    yield f"{object_type.name}.{spec.name}"
    yield f"  {field_text(spec.name)}"
    yield ""
    for name, value in _facts(object_type, spec):
        yield f"  {name + ':':<11} {value}"


def _facts(object_type: ObjectType, spec: FieldSpec) -> Iterator[tuple[str, str]]:
    yield "Value", str(spec.slot)
    yield "Set", _GROUPS[spec.group]
    if spec.alternatives is not None:
        group = next(g for g in object_type.one_of if spec in g)
        yield "One of", ", ".join(other.name for other in group)
    if spec.ref_types:
        yield "Refers to", ", ".join(spec.ref_types)
    if spec.words:
        yield "Words", ", ".join(spec.words) + (", ..." if spec.open else "")
    if spec.own:
        yield "Only here", ", ".join(spec.own) + " (AWS refuses it)"
    if spec.default:
        yield "Default", ", ".join(spec.default)
    if spec.multiple is not None:
        yield "Values", "several" if spec.multiple else "one"
    if spec.encrypted:
        yield "Secret", "yes: masked wherever it would be shown"
    if spec.note:
        yield "Note", spec.note
    effect = effect_of(object_type.name, spec.name)
    if effect is not None:
        yield "Honoured", effect.summary
