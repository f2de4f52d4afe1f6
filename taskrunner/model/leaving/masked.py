"""The secrets that pulled definitions lack: where a mask stands, and putting them there.

A place is `OBJECT/FIELD`, such as `Database/*password`, or the id of a parameter. What a parameter
has of masks, be it as value, default or allowed value, one entry fills.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import cycle

from taskrunner.errors import UsageError
from taskrunner.model.document import (
    Definition,
    Field,
    ParameterObject,
    ParameterValue,
    PipelineObject,
)
from taskrunner.model.masks import MASK, is_secret_attribute


def masked_places(definition: Definition) -> dict[str, int]:
    """Every place with masks, and how many texts it takes; 0: any number."""
    found: Counter[str] = Counter()
    for item in definition.objects:
        found.update(_place(item, field) for field in item.fields if field.value == MASK)
    values = Counter(value.id for value in definition.values if value.value == MASK)
    found.update(values)
    given = {value.id for value in definition.values}
    for parameter in definition.parameters:
        masks = [key for key, text in parameter.attributes if _is_masked(key, text)]
        if masks and parameter.id not in given:
            found[parameter.id] = masks.count("default")
        elif masks and parameter.id not in values:
            # Its value stands in the file; what else it may be does not.
            found[parameter.id] = 0
    return dict(sorted(found.items()))


def filled(definition: Definition, given: Mapping[str, Sequence[str]]) -> Definition:
    """The definition with secrets in place of masks, at those places that are given.

    Raises UsageError where a place takes another number of texts.
    """
    for place, count in masked_places(definition).items():
        if place in given and count and len(given[place]) != count:
            raise UsageError(
                f"{place}: found {len(given[place])} secret texts, wanted {count}: as many as "
                f"there are masks"
            )
    texts = {place: cycle(found) for place, found in given.items() if found}
    # Values and fields come before attributes, each of which begins anew with the first text.
    return replace(
        definition,
        objects=tuple(_object(item, texts) for item in definition.objects),
        values=tuple(_value(item, texts) for item in definition.values),
        parameters=tuple(_parameter(item, given) for item in definition.parameters),
    )


def _object(item: PipelineObject, texts: Mapping[str, Iterator[str]]) -> PipelineObject:
    return replace(item, fields=tuple(_field(item, field, texts) for field in item.fields))


def _field(item: PipelineObject, field: Field, texts: Mapping[str, Iterator[str]]) -> Field:
    found = texts.get(_place(item, field)) if field.value == MASK else None
    return field if found is None else replace(field, value=next(found))


def _value(item: ParameterValue, texts: Mapping[str, Iterator[str]]) -> ParameterValue:
    found = texts.get(item.id) if item.value == MASK else None
    return item if found is None else replace(item, value=next(found))


def _parameter(item: ParameterObject, given: Mapping[str, Sequence[str]]) -> ParameterObject:
    if not given.get(item.id):
        return item
    texts: dict[str, Iterator[str]] = {}
    attributes = []
    for key, text in item.attributes:
        if _is_masked(key, text):
            attributes.append((key, next(texts.setdefault(key, cycle(given[item.id])))))
        else:
            attributes.append((key, text))
    return replace(item, attributes=tuple(attributes))


def _is_masked(key: str, text: str) -> bool:
    return text == MASK and is_secret_attribute(key)


def _place(item: PipelineObject, field: Field) -> str:
    return f"{item.id}/{field.key}"
