"""Object types that installed plugins add to AWS's: what definitions may say of them.

The kind of a type is in its package's metadata. Its fields are what the plugin's class declares;
the class is imported only when a definition names the type.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache

from taskrunner.errors import TaskError
from taskrunner.model.catalog import (
    CATALOG,
    FieldGroup,
    FieldSpec,
    ObjectType,
    add_types,
    category,
    one_of_groups,
)
from taskrunner.plugins import discovery as plugins
from taskrunner.plugins.discovery import Kind, Plugin

_CATEGORIES = {
    Kind.ACTIVITY: "activity",
    Kind.PRECONDITION: "precondition",
    Kind.FORMAT: "dataformat",
}
#: The kinds of plugins that are object types.
TYPE_KINDS = tuple(_CATEGORIES)


def know_plugin_types() -> None:
    """From now on definitions may name the types of installed plugins."""
    add_types(find_plugin_type)


@cache
def find_plugin_type(name: str) -> ObjectType | None:
    """The type that an installed plugin adds to AWS's; None when none does."""
    plugin = None if name in CATALOG else plugins.named(name, *TYPE_KINDS)
    return None if plugin is None or plugin.refused else object_type(plugin)


def object_type(plugin: Plugin) -> ObjectType:
    """What is known of a plugin's type: the fields that all of its kind have, and its own."""
    of_all = _common_fields(_CATEGORIES[plugin.kind])
    try:
        loaded = plugin.load()
    except TaskError:
        # Its driver need not be on this host, which may only plan the work.
        loaded = None
    declared: Iterable[FieldSpec] | None = getattr(loaded, "fields", None)
    own = {spec.name: spec for spec in declared or ()}
    if getattr(loaded, "stages", False):
        own["stage"] = CATALOG["ShellCommandActivity"].fields["stage"]
    fields = {**of_all, **own}
    return ObjectType(
        name=plugin.name,
        category=_CATEGORIES[plugin.kind],
        text=f"{_summary(loaded)} (a plugin: {plugin.origin} {plugin.version})".lstrip(),
        fields=fields,
        required=tuple(spec for spec in fields.values() if spec.required),
        one_of=one_of_groups(fields.values()),
        any_field=declared is None,
    )


@cache
def _common_fields(kind: str) -> Mapping[str, FieldSpec]:
    """The fields that every type of AWS's of this category has."""
    types = [CATALOG[name] for name in category(kind)]
    shared = set.intersection(*(set(each.fields) for each in types))
    return {name: _widest(name, types) for name in sorted(shared)}


def _widest(name: str, types: Iterable[ObjectType]) -> FieldSpec:
    """One type's field, with the objects that any of them may refer to."""
    specs = [each.fields[name] for each in types]
    refs = {ref for spec in specs for ref in spec.ref_types}
    anything = any(not spec.ref_types for spec in specs)
    kept = () if anything else tuple(sorted(refs))
    group = next(
        (s.group for s in specs if s.group is not FieldGroup.REQUIRED), FieldGroup.OPTIONAL
    )
    chosen = next((s for s in specs if s.group is group), specs[0])
    return replace(chosen, group=group, ref_types=kept)


def _summary(loaded: type | None) -> str:
    text = ((loaded and loaded.__doc__) or "").strip()
    return text.splitlines()[0] if text else ""
