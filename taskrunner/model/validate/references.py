"""Checks of references: where they may stand, that they lead somewhere, and to the right kind."""

from __future__ import annotations

from taskrunner.model.catalog import CATALOG, FieldSpec, Slot, category
from taskrunner.model.document import Field, Ref, Unresolved
from taskrunner.model.validate.context import Context, Item
from taskrunner.model.validate.fields import is_user_defined, spec_of


def check_references(context: Context) -> None:
    """Every value is a reference where one is wanted, and names an object that fits."""
    for item in context.items:
        for field in item.own.fields:
            if isinstance(field.value, Ref):
                _check_ref(context, item, field, field.value)
            elif not isinstance(field.value, Unresolved):
                _check_text(context, item, field)
        _check_inherited(context, item)


def _check_ref(context: Context, item: Item, field: Field, ref: Ref) -> None:
    target = context.by_id.get(ref.id)
    if target is None:
        near = context.names.near(ref.id, context.by_id)
        message = f"refers to {ref.id!r}, and no object has this id{near}"
        _add(context, "dangling-reference", message, item, field)
        return
    spec = None if is_user_defined(field.key) else spec_of(item, field.key)
    if spec is None or field.key == "type":
        return
    if spec.slot is not Slot.REFERENCE:
        message = f"found a reference to {ref.id!r}, wanted text ({spec.slot})"
        _add(context, "value-wanted", message, item, field)
    else:
        _check_kind(context, item, field, target, spec)


def _check_text(context: Context, item: Item, field: Field) -> None:
    spec = None if is_user_defined(field.key) else spec_of(item, field.key)
    if spec is None or spec.slot is not Slot.REFERENCE or spec.runtime:
        return
    shown = f'{{"ref": "{field.value}"}}'
    near = "" if str(field.value) in context.by_id else ", with the id of an object"
    message = f"found the text {str(field.value)!r}, wanted a reference: {shown}{near}"
    _add(context, "reference-wanted", message, item, field)


def _check_kind(context: Context, item: Item, field: Field, target: Item, spec: FieldSpec) -> None:
    wanted = spec.ref_types
    kind = target.text("type")
    if not wanted or (kind is not None and (kind in wanted or kind not in CATALOG)):
        return
    found = "which has no type" if kind is None else f"a {kind}"
    message = f"refers to {target.id!r}, {found}; wanted {_listed(wanted)}"
    unusual = field.key == "dependsOn" and kind in category("runnable")
    _add(context, "unusual-dependency" if unusual else "wrong-reference-kind", message, item, field)


def _check_inherited(context: Context, item: Item) -> None:
    """What is inherited may fit the object that gives it and not the one that gets it."""
    if item.type is None:
        return
    for field in item.whole.fields[len(item.own.fields) :]:
        spec = item.type.fields.get(field.key)
        if spec is None or spec.slot is not Slot.REFERENCE or not isinstance(field.value, Ref):
            continue
        target = context.by_id.get(field.value.id)
        if target is not None and target.type is not None:
            _check_kind(context, item, field, target, spec)


def _listed(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"one of {', '.join(names)}"


def _add(context: Context, code: str, message: str, item: Item, field: Field) -> None:
    context.add(
        code,
        message,
        object_id=item.id,
        key=field.key,
        position=field.position or item.own.position,
    )
