"""Definitions in the store: the API's form of them, with every secret in it sealed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy.engine import Connection

from taskrunner.model.masks import MASK, is_secret_attribute
from taskrunner.secret import is_secret
from taskrunner.service.store.cipher import PREFIX
from taskrunner.service.store.keyring import Keyring

Body = Mapping[str, Any]
#: A secret text, and the parts of its place within the definition, to what stands there instead.
_Change = Callable[..., str]

#: In `definitions.data_key`: there is nothing to seal.
NO_SECRETS = ""


def sealed_body(ring: Keyring, body: Body, pipeline_id: str, version: int) -> tuple[Body, str]:
    """A definition as it is stored, and the id of the key that has sealed its secrets."""
    key_id, used = ring.current, False

    def seal(text: str, *place: str) -> str:
        nonlocal used
        if text == MASK:  # what is left of a secret that has been removed
            return text
        used = True
        return ring.seal(text, *_place(pipeline_id, version), *place, by=key_id)

    changed = _changed(body, seal)
    return changed, key_id if used else NO_SECRETS


def opened_body(
    conn: Connection, ring: Keyring, body: Body, pipeline_id: str, version: int
) -> Body:
    """The inverse. Raises StoreError."""

    def opened(text: str, *place: str) -> str:
        if not text.startswith(PREFIX):
            return text
        return ring.open(conn, text, *_place(pipeline_id, version), *place)

    return _changed(body, opened)


def _place(pipeline_id: str, version: int) -> tuple[str, ...]:
    return ("definitions", pipeline_id, str(version))


def _changed(body: Body, change: _Change) -> Body:
    parts: Mapping[str, Callable[[int, Body, _Change], Body]] = {
        "pipelineObjects": _object,
        "parameterObjects": _parameter,
        "parameterValues": _value,
    }
    return {
        name: [parts[name](number, item, change) for number, item in enumerate(members)]
        if name in parts
        else members
        for name, members in body.items()
    }


def _object(_number: int, item: Body, change: _Change) -> Body:
    fields = [
        _text(field, change, "object", item["id"], field["key"], str(number))
        if is_secret(field["key"])
        else field
        for number, field in enumerate(item["fields"])
    ]
    return {**item, "fields": fields}


def _parameter(_number: int, item: Body, change: _Change) -> Body:
    if not is_secret(item["id"]):
        return item
    attributes = [
        _text(pair, change, "parameter", item["id"], pair["key"], str(number))
        if is_secret_attribute(pair["key"])
        else pair
        for number, pair in enumerate(item["attributes"])
    ]
    return {**item, "attributes": attributes}


def _value(number: int, item: Body, change: _Change) -> Body:
    if not is_secret(item["id"]):
        return item
    return _text(item, change, "value", item["id"], str(number))


def _text(item: Body, change: _Change, *place: str) -> Body:
    text = item.get("stringValue")
    return item if text is None else {**item, "stringValue": change(text, *place)}
