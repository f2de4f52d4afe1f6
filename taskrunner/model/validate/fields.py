"""Checks of which fields an object has: known ones, the needed ones, not too many."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from taskrunner.model.catalog import CATALOG, FieldGroup, FieldSpec, ObjectType, Slot, common_field
from taskrunner.model.validate.context import Context, Item

#: Roles that AWS wants and this service has no use for: real definitions leave them out.
_ROLES = frozenset({"role", "resourceRole"})
#: Members of one-of groups for which checks of their own stand elsewhere.
_RUNNERS = frozenset({"runsOn", "workerGroup"})
_STARTS = frozenset({"startAt", "startDateTime"})
_SINGLE_SLOTS = frozenset(
    {Slot.PERIOD, Slot.DATETIME, Slot.INTEGER, Slot.DOUBLE, Slot.BOOLEAN, Slot.ENUMERATION}
)


def is_user_defined(key: str) -> bool:
    """Whether the name is one of those that authors are free to make up."""
    return key.startswith(("my", "*my"))


@cache
def generic_spec(key: str) -> FieldSpec | None:
    """What is true of a field on every type that has it: for Default and abstract parents."""
    found = [t.fields[key] for t in CATALOG.values() if key in t.fields]
    authored = [spec for spec in found if not spec.runtime] or found
    if not authored:
        return None
    slots = {spec.slot for spec in authored}
    refs = {name for spec in authored for name in spec.ref_types}
    anything = any(spec.slot is Slot.REFERENCE and not spec.ref_types for spec in authored)
    return FieldSpec(
        name=key,
        slot=slots.pop() if len(slots) == 1 else Slot.STRING,
        group=FieldGroup.RUNTIME if authored[0].runtime else FieldGroup.OPTIONAL,
        enum=tuple(dict.fromkeys(word for spec in authored for word in spec.words)),
        open=any(spec.open or not spec.words for spec in authored),
        multiple=True if any(spec.multiple for spec in authored) else None,
        ref_types=() if anything else tuple(sorted(refs)),
        encrypted=any(spec.encrypted for spec in authored),
    )


def spec_of(item: Item, key: str) -> FieldSpec | None:
    """The catalog's entry for a field; a leading `*` marks a secret, not another field."""
    if item.type is None:
        return common_field(key) or generic_spec(key) or generic_spec(key.removeprefix("*"))
    fields = item.type.fields
    return fields.get(key) or common_field(key) or fields.get(key.removeprefix("*"))


def check_fields(context: Context) -> None:
    """Every own field is one that the type has and an author may set."""
    for item in context.items:
        if item.type is None and item.own.type and not item.is_default:
            continue  # an unknown type: nobody knows its fields
        for key in item.own_keys:
            if is_user_defined(key):
                continue
            spec = spec_of(item, key)
            if spec is None:
                if key.startswith("@") or not (item.type and item.type.any_field):
                    _note_unknown(context, item, key)
            else:
                _check_group(context, item, spec, key)
                _check_count(context, item, spec, key)


def _note_unknown(context: Context, item: Item, key: str) -> None:
    if key.startswith("@"):
        message = f"found {key}, which only the service sets: fields with @ are its own"
        context.note("runtime-field", message, item, key)
        return
    if item.type is None:
        names: Iterable[str] = {name for t in CATALOG.values() for name in _authored(t)}
        message = f"no object type has a field {key!r}"
    else:
        names = _authored(item.type)
        message = f"{item.type.name} has no field {key!r}"
    near = context.names.near(key, list(names))
    hint = near or "; a field of your own starts with my"
    context.note("unknown-field", message + hint, item, key)


def _authored(object_type: ObjectType) -> list[str]:
    return [name for name, spec in object_type.fields.items() if not spec.runtime]


def _check_group(context: Context, item: Item, spec: FieldSpec, key: str) -> None:
    owner = item.type.name if item.type else "definitions"
    if spec.group is FieldGroup.RUNTIME:
        message = f"found {key} set by the author; only the service sets it"
        context.note("runtime-field", message, item, key)
    elif spec.group is FieldGroup.FORBIDDEN:
        message = f"{key} cannot be set on {owner}: it is what others run on"
        context.note("forbidden-field", message, item, key)
    elif spec.group is FieldGroup.UNDOCUMENTED:
        message = f"{key} is not documented for {owner}, though published definitions use it"
        context.note("undocumented-field", message, item, key)


def _check_count(context: Context, item: Item, spec: FieldSpec, key: str) -> None:
    count = len(item.own_fields(key))
    if count == 1 or spec.multiple or key == "type":
        return
    message = f"found {count} values, wanted one"
    if spec.multiple is False or spec.slot in _SINGLE_SLOTS:
        context.note("several-values", message, item, key)
    else:
        message = f"found {count} values; the reference shows one"
        context.note("repeated-single", message, item, key)


def check_required(context: Context) -> None:
    """Required fields and one-of groups, satisfied by own or inherited fields."""
    for item in context.items:
        if item.type is None:
            continue
        keys = set(item.keys)
        keys |= {key.removeprefix("*") for key in keys}
        _check_each(context, item, item.type, keys)
        for group in item.type.one_of:
            _check_one_of(context, item, item.type, [spec.name for spec in group], keys)


def _check_each(context: Context, item: Item, object_type: ObjectType, keys: set[str]) -> None:
    for spec in object_type.required:
        if spec.name in keys:
            continue
        wanted = f"{object_type.name} needs {spec.name}; it is set neither here nor by a parent"
        if spec.name in _ROLES:
            message = f"AWS needs {spec.name} on {object_type.name}; this service does not"
            context.note("missing-role", message, item, spec.name)
        else:
            context.note("missing-field", f"{wanted} or Default", item, spec.name)


def _check_one_of(
    context: Context, item: Item, object_type: ObjectType, names: list[str], keys: set[str]
) -> None:
    if _RUNNERS.issuperset(names):
        return
    given = [name for name in names if name in keys]
    wanted = " or ".join(names)
    if not given:
        if "filePath" in names and "manifestFilePath" in keys:
            return
        code = "missing-start" if _STARTS.issuperset(names) else "missing-one-of"
        message = f"{object_type.name} needs {wanted}, and has none of them"
        context.note(code, message, item, names[0])
    elif len(given) > 1 and not _STARTS.issuperset(names):
        message = f"found {' and '.join(given)}, wanted only one of them"
        context.note("conflicting-fields", message, item, given[1])
