"""Secrets of a definition: never shown again, yet kept when what was shown is put back.

Fields and parameters whose name starts with `*` are secret.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace

from taskrunner.errors import InvalidRequest
from taskrunner.logins import is_findable
from taskrunner.model.document import (
    Definition,
    Field,
    ParameterObject,
    ParameterValue,
    PipelineObject,
)
from taskrunner.model.masks import MASK, is_secret_attribute
from taskrunner.secret import is_secret


def hidden(text: str, secrets: Iterable[str]) -> str:
    """The text with every secret in it hidden, and every line of one that has several."""
    parts = {part for secret in secrets for part in (secret, *secret.splitlines())}
    for part in sorted(parts, key=len, reverse=True):
        if is_findable(part):
            text = text.replace(part, MASK)
    return text


def mask(definition: Definition) -> Definition:
    """The definition with every secret hidden."""
    return replace(
        definition,
        objects=tuple(masked_object(item) for item in definition.objects),
        parameters=tuple(_masked_parameter(item) for item in definition.parameters),
        values=tuple(
            replace(item, value=MASK) if is_secret(item.id) else item for item in definition.values
        ),
    )


def masked_object(item: PipelineObject) -> PipelineObject:
    """The object with every secret hidden."""
    fields = tuple(Field(f.key, MASK) if is_secret(f.key) else f for f in item.fields)
    return replace(item, fields=fields)


def _masked_parameter(item: ParameterObject) -> ParameterObject:
    if not is_secret(item.id):
        return item
    attributes = tuple(
        (key, MASK if is_secret_attribute(key) else text) for key, text in item.attributes
    )
    return replace(item, attributes=attributes)


def unmask(definition: Definition, stored: Definition | None) -> Definition:
    """The definition with each mask replaced by the secret that is stored in its place.

    Raises InvalidRequest where none is stored: a mask is not a secret.
    """
    kept = _Kept(stored or Definition())
    return replace(
        definition,
        objects=tuple(
            replace(item, fields=tuple(_field(item, f, kept) for f in item.fields))
            for item in definition.objects
        ),
        parameters=tuple(
            replace(item, attributes=tuple(_attribute(item, a, kept) for a in item.attributes))
            for item in definition.parameters
        ),
        values=unmasked_values(definition.values, stored),
    )


def unmasked_values(
    values: Iterable[ParameterValue], stored: Definition | None
) -> tuple[ParameterValue, ...]:
    """Parameter values with each mask replaced by the value that is stored."""
    kept = _Kept(stored or Definition())
    return tuple(
        replace(item, value=kept.take("value", item.id, item.id)) if _masks(item) else item
        for item in values
    )


def _masks(item: ParameterValue) -> bool:
    return is_secret(item.id) and item.value == MASK


def _field(item: PipelineObject, field: Field, kept: _Kept) -> Field:
    if not (is_secret(field.key) and field.value == MASK):
        return field
    return Field(field.key, kept.take("object", item.id, field.key), field.position)


def _attribute(item: ParameterObject, pair: tuple[str, str], kept: _Kept) -> tuple[str, str]:
    key, text = pair
    if not (is_secret(item.id) and is_secret_attribute(key) and text == MASK):
        return pair
    return key, kept.take("parameter", item.id, key)


class _Kept:
    """The stored secrets; those with the same place are taken in their order."""

    def __init__(self, stored: Definition) -> None:
        found: dict[tuple[str, str, str], list[str]] = defaultdict(list)
        for place, text in _secrets(stored):
            found[place].append(text)
        self._left = {place: iter(texts) for place, texts in found.items()}

    def take(self, kind: str, owner: str, key: str) -> str:
        text = next(self._left.get((kind, owner, key), iter(())), None)
        if text is None:
            where = f"{kind} {owner!r}" if kind != "value" else "the parameter value"
            raise InvalidRequest(
                f"{where}: {key!r} holds {MASK!r}, which only stands for a secret that is stored "
                "already, and none is stored there; give the secret itself"
            )
        return text


def _secrets(definition: Definition) -> Iterator[tuple[tuple[str, str, str], str]]:
    for item in definition.objects:
        for field in item.fields:
            if is_secret(field.key) and isinstance(field.value, str):
                yield ("object", item.id, field.key), field.value
    for parameter in definition.parameters:
        if is_secret(parameter.id):
            for key, text in parameter.attributes:
                if is_secret_attribute(key):
                    yield ("parameter", parameter.id, key), text
    for value in definition.values:
        if is_secret(value.id):
            yield ("value", value.id, value.id), value.value
