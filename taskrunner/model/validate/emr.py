"""Warnings about EMR's activities: steps that nothing could run, fields about clusters."""

from __future__ import annotations

from taskrunner.model.steps.reader import read_step
from taskrunner.model.validate.context import Context, Item

_STEPPED = "EmrActivity"
_RESIZED = frozenset({"EmrActivity", "HiveActivity", "PigActivity"})
#: Fields that change the size of a cluster of AWS's.
_SIZES = ("resizeClusterBeforeRunning", "resizeClusterMaxInstances")


def check_emr(context: Context) -> None:
    """Find steps that cannot be read, and fields without effect."""
    for item in context.items:
        if item.type is None:
            continue
        if item.type.name == _STEPPED:
            _check_steps(context, item)
        if item.type.name in _RESIZED:
            _check_sizes(context, item)


def _check_steps(context: Context, item: Item) -> None:
    for field in item.own_fields("step"):
        text = context.known(field.value)
        if not text:
            continue  # an expression; what is empty is told elsewhere
        try:
            read_step(text)
        except ValueError as error:
            context.note_value("bad-step", str(error), item, field)


def _check_sizes(context: Context, item: Item) -> None:
    for key in _SIZES:
        if (item.text(key) or "false").strip().lower() != "false":
            message = "it has no effect here: no cluster is made larger"
            context.note("no-effect", message, item, key)
