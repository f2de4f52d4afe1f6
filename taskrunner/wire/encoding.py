"""Typed values to what JSON takes, by the service model: one small function a shape, made once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from taskrunner.wire.bindings import binding_of
from taskrunner.wire.shapes import Shape, service_model

Encoder = Callable[[Any], Any]


@cache
def encoder(shape_name: str) -> Encoder:
    """The encoder of a shape of the service model; members that are None are left out."""
    shape = service_model().shapes[shape_name]
    return _MAKERS.get(shape.type, _plain)(shape)


def _structure(shape: Shape) -> Encoder:
    split = binding_of(shape.name).split
    members = {key: encoder(name) for key, name in shape.members.items()}
    return lambda value: {
        key: members[key](item) for key, item in split(value).items() if item is not None
    }


def _list(shape: Shape) -> Encoder:
    item = encoder(shape.element)
    return lambda value: [item(element) for element in value]


def _map(shape: Shape) -> Encoder:
    item = encoder(shape.element)
    return lambda value: {key: item(element) for key, element in value.items()}


def _timestamp(shape: Shape) -> Encoder:
    return lambda value: value.timestamp()


def _plain(shape: Shape) -> Encoder:
    return str if shape.type == "string" else lambda value: value


_MAKERS: Mapping[str, Callable[[Shape], Encoder]] = {
    "structure": _structure,
    "list": _list,
    "map": _map,
    "timestamp": _timestamp,
}
