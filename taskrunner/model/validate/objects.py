"""Checks of objects as such: ids and types."""

from __future__ import annotations

import re

from taskrunner.model.catalog import CATALOG, find_type
from taskrunner.model.document import Unresolved
from taskrunner.model.validate.context import Context, Item

#: What the API's patterns leave out of a text.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def check_ids(context: Context) -> None:
    """Ids: there, not the service's own, not twice."""
    seen: dict[str, Item] = {}
    for item in context.items:
        position = item.own.position
        if not item.id.strip():
            context.add(
                "empty-id", "the id is empty", object_id=item.id, key="id", position=position
            )
        elif item.id.startswith("@"):
            message = f"the id {item.id!r} starts with @, which the service keeps for its own"
            context.add("reserved-id", message, object_id=item.id, key="id", position=position)
        first = seen.setdefault(item.id, item)
        if first is not item:
            where = (
                f", the other one on line {first.own.position.line}" if first.own.position else ""
            )
            message = f"two objects have the id {item.id!r}{where}"
            context.add("duplicate-id", message, object_id=item.id, key="id", position=position)


def check_types(context: Context) -> None:
    """Types: one, of the catalog; Default and abstract parents need none."""
    for item in context.items:
        given = item.values("type")
        if not given:
            _note_missing(context, item)
        elif len(given) > 1 or not isinstance(given[0], str):
            shown = ", ".join(str(value) for value in given)
            message = f"found the type {shown}, wanted one name as text"
            context.note("bad-type", message, item, "type")
        elif not _is_known(item, given[0]):
            near = context.names.near(given[0], CATALOG)
            message = f"there is no object type {given[0]!r}{near}"
            context.note("unknown-type", message, item, "type")
        elif item.type and item.type.replaced_by:
            message = f"{item.type.name} is deprecated; {item.type.replaced_by} replaces it"
            context.note("deprecated-type", message, item, "type")


def _note_missing(context: Context, item: Item) -> None:
    if item.is_default or item.id in context.parent_ids:
        return
    message = "the object has no type, and no object has it as its parent"
    context.note("missing-type", message, item, "type")


def _is_known(item: Item, name: str) -> bool:
    if isinstance(name, Unresolved) or find_type(name):
        return True
    # CloudFormation templates give Default the type Default.
    return item.is_default and name == "Default"


def check_characters(context: Context) -> None:
    """No control characters and other things that the API's texts cannot hold."""
    for item in context.items:
        _check_text(context, item, "id", item.id)
        _check_text(context, item, "name", item.own.name)
        for field in item.own.fields:
            if isinstance(field.value, str):
                _check_text(context, item, field.key, field.value)


def _check_text(context: Context, item: Item, key: str, text: str) -> None:
    found = None if text.isprintable() else _FORBIDDEN.search(text)
    if found:
        message = f"found the character U+{ord(found[0]):04X}, which the API does not take"
        context.note("bad-character", message, item, key)
