"""What differs between a pipeline as a service has it, and as files have it.

Definitions are compared with their secrets masked, since that is all that a service shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from taskrunner.model.document import Definition, PipelineObject, Ref
from taskrunner.model.leaving.manifest import Manifest

#: Values of one name in order; None: it is not there.
Values = tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that differs: values before (the service's) and after (the files')."""

    #: `object 'A', field 'command'`, `parameter 'myX'`, `tag 'team'`.
    what: str
    before: Values
    after: Values

    @property
    def sign(self) -> str:
        """`+` for what the files have more, `-` for what they have not, `~` for other values."""
        if self.before is None:
            return "+"
        return "-" if self.after is None else "~"

    def __str__(self) -> str:
        return f"{self.sign} {self.what}"

    def to_json(self) -> dict[str, Any]:
        """The change for programs."""
        sides = {"before": self.before, "after": self.after}
        given = {key: list(side) for key, side in sides.items() if side is not None}
        return {"change": self.sign, "what": self.what, **given}


def definition_changes(before: Definition, after: Definition) -> list[Change]:
    """What differs in definitions; the order of objects and of fields is no difference."""
    return [
        *_objects(before, after),
        *_changes(_parameters(before), _parameters(after)),
        *_changes(_values(before), _values(after)),
    ]


def tag_changes(before: Manifest, after: Manifest) -> list[Change]:
    """What differs in the tags that one may set."""
    return list(_changes(_tags(before), _tags(after)))


def fixed_changes(before: Manifest, after: Manifest) -> list[Change]:
    """What differs and cannot be changed: the API has no operation for it."""
    sides = [
        {"name": (one.name,), **({"description": (one.description,)} if one.description else {})}
        for one in (before, after)
    ]
    return list(_changes(sides[0], sides[1]))


def _changes(
    before: Mapping[str, tuple[str, ...]], after: Mapping[str, tuple[str, ...]]
) -> Iterator[Change]:
    for what in dict.fromkeys((*before, *after)):
        if before.get(what) != after.get(what):
            yield Change(what=what, before=before.get(what), after=after.get(what))


def _objects(before: Definition, after: Definition) -> Iterator[Change]:
    old = {item.id: item for item in before.objects}
    new = {item.id: item for item in after.objects}
    for object_id in dict.fromkeys((*old, *new)):
        was, is_now = old.get(object_id), new.get(object_id)
        if was is None or is_now is None:
            # One line for a whole object; its type says most.
            yield Change(what=f"object {object_id!r}", before=_whole(was), after=_whole(is_now))
        else:
            yield from _changes(_fields(was), _fields(is_now))


def _whole(item: PipelineObject | None) -> Values:
    return None if item is None else (item.type or "",)


def _fields(item: PipelineObject) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {f"object {item.id!r}, name": (item.name,)}
    for key in item.keys():  # noqa: SIM118  an object is no mapping
        found[f"object {item.id!r}, field {key!r}"] = tuple(
            f"ref {value.id}" if isinstance(value, Ref) else str(value)
            for value in item.values(key)
        )
    return found


def _parameters(definition: Definition) -> dict[str, tuple[str, ...]]:
    return {
        f"parameter {item.id!r}": tuple(
            f"{key}={value}" for key, value in sorted(item.attributes, key=lambda pair: pair[0])
        )
        for item in definition.parameters
    }


def _values(definition: Definition) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for item in definition.values:
        what = f"value of parameter {item.id!r}"
        found[what] = (*found.get(what, ()), item.value)
    return found


def _tags(manifest: Manifest) -> dict[str, tuple[str, ...]]:
    return {f"tag {key!r}": (value,) for key, value in manifest.own_tags.items()}
