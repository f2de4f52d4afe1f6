"""What objects inherit: from their parents, and from Default."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from taskrunner.errors import DefinitionError, Place
from taskrunner.model.document import Definition, Field, PipelineObject

DEFAULT_ID = "Default"

#: A longer chain of parents is cut here (and reported by `validate`), to keep the work linear.
MAX_PARENTS = 32

#: More inherited fields than this in one definition are refused: it would only exhaust the memory.
MAX_INHERITED = 5_000_000

#: Fields that say what an object is itself, not what its heirs are.
_OWN_ONLY = frozenset({"parent"})


def effective(definition: Definition) -> dict[str, PipelineObject]:
    """Every object by its id, with the fields that it inherits after its own.

    An object's own field hides all values of the inherited one. A parent's fields come before those
    of its parent, and Default's last; an object with a parent has Default's fields through the
    parent that has none. Of repeated ids the first object counts; a cycle of parents ends where it
    closes. Raises DefinitionError for definitions that inherit beyond all measure.
    """
    objects: dict[str, PipelineObject] = {}
    for item in definition.objects:
        objects.setdefault(item.id, item)
    found: dict[str, PipelineObject] = {}
    total = 0
    for item in objects.values():
        found[item.id] = inherit(item, objects)
        total += len(found[item.id].fields) - len(item.fields)
        if total > MAX_INHERITED:
            message = f"the objects inherit more than {MAX_INHERITED} fields in all"
            raise DefinitionError(message, Place(source=definition.source, object_id=item.id))
    return found


def parents(item: PipelineObject, objects: Mapping[str, PipelineObject]) -> list[PipelineObject]:
    """The objects that `item` inherits from, nearest first, Default last."""
    chain: list[PipelineObject] = []
    seen = {item.id}
    waiting = list(_direct(item, objects))
    while waiting and len(chain) < MAX_PARENTS:
        parent = waiting.pop(0)
        if parent.id not in seen:
            seen.add(parent.id)
            chain.append(parent)
            waiting.extend(_direct(parent, objects))
    return chain


def _direct(
    item: PipelineObject, objects: Mapping[str, PipelineObject]
) -> Iterator[PipelineObject]:
    refs = item.refs("parent")
    named = [objects[ref.id] for ref in refs[:MAX_PARENTS] if ref.id in objects]
    if named:
        yield from named
    elif item.id != DEFAULT_ID and DEFAULT_ID in objects:
        yield objects[DEFAULT_ID]


def inherit(item: PipelineObject, objects: Mapping[str, PipelineObject]) -> PipelineObject:
    """The object with the fields that it inherits from `objects` after its own."""
    chain = parents(item, objects)
    if not chain:
        return item
    fields: list[Field] = list(item.fields)
    taken = {f.key for f in fields} | _OWN_ONLY
    for parent in chain:
        inherited = [f for f in parent.fields if f.key not in taken]
        fields.extend(inherited)
        if parent is not chain[-1]:
            taken.update([f.key for f in inherited])
    return PipelineObject(id=item.id, name=item.name, fields=tuple(fields), position=item.position)
