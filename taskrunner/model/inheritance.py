"""What objects inherit: from their parents, and from Default."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from taskrunner.model.document import Definition, Field, PipelineObject

__all__ = ["DEFAULT_ID", "MAX_PARENTS", "effective", "parents"]

DEFAULT_ID = "Default"

#: A longer chain of parents is cut here (and reported by `validate`), to keep the work linear.
MAX_PARENTS = 32

#: Fields that say what an object is itself, not what its heirs are.
_OWN_ONLY = frozenset({"parent"})


def effective(definition: Definition) -> dict[str, PipelineObject]:
    """Every object by its id, with the fields that it inherits after its own.

    An object's own field hides all values of the inherited one. A parent's fields come before those
    of its parent, and Default's last; an object with a parent has Default's fields through the
    parent that has none. Of repeated ids the first object counts; a cycle of parents ends where it
    closes.
    """
    objects: dict[str, PipelineObject] = {}
    for item in definition.objects:
        objects.setdefault(item.id, item)
    return {item.id: _with_inherited(item, objects) for item in objects.values()}


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
    named = [objects[ref.id] for ref in refs if ref.id in objects]
    if named:
        yield from named
    elif item.id != DEFAULT_ID and DEFAULT_ID in objects:
        yield objects[DEFAULT_ID]


def _with_inherited(item: PipelineObject, objects: Mapping[str, PipelineObject]) -> PipelineObject:
    chain = parents(item, objects)
    if not chain:
        return item
    fields: list[Field] = list(item.fields)
    taken = {f.key for f in fields} | _OWN_ONLY
    for parent in chain:
        inherited = [f for f in parent.fields if f.key not in taken]
        fields.extend(inherited)
        taken.update(f.key for f in inherited)
    return PipelineObject(id=item.id, name=item.name, fields=tuple(fields), position=item.position)
