"""Warnings about EMR's activities: what nothing could run."""

from __future__ import annotations

from collections.abc import Callable

from taskrunner.model.steps.reader import read_jar, read_step
from taskrunner.model.validate.context import Context, Item

_SCRIPTS = frozenset({"HiveActivity", "PigActivity"})


def check_emr(context: Context) -> None:
    """Find steps, jars and variables that cannot be read."""
    for item in context.items:
        if item.type is None:
            continue
        if item.type.name == "EmrActivity":
            _check_each(context, item, "step", "bad-step", read_step)
        if item.type.name == "HadoopActivity":
            _check_jar(context, item)
        if item.type.name in _SCRIPTS:
            _check_each(context, item, "scriptVariable", "bad-variable", _read_variable)


def _read_variable(text: str) -> None:
    name, equals, _ = text.partition("=")
    if not equals or not name.strip():
        raise ValueError(f"found {text!r}, wanted NAME=value")


def _check_each(
    context: Context, item: Item, key: str, code: str, read: Callable[[str], object]
) -> None:
    for field in item.own_fields(key):
        text = context.known(field.value)
        if not text:
            continue  # an expression; what is empty is told elsewhere
        try:
            read(text)
        except ValueError as error:
            context.note_value(code, str(error), item, field)


def _check_jar(context: Context, item: Item) -> None:
    """A jar with its arguments, where all of them are known."""
    jar, main_class, *arguments = (
        context.known(value)
        for key in ("jarUri", "mainClass", "argument")
        for value in (item.values(key) or (("",) if key != "argument" else ()))
    )
    if not jar or main_class is None or None in arguments:
        return
    try:
        read_jar(jar, main_class or None, [text for text in arguments if text is not None])
    except ValueError as error:
        context.note("bad-step", str(error), item, "jarUri")
