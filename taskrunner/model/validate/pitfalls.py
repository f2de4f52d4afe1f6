"""Warnings of what runs, but seldom as it was meant."""

from __future__ import annotations

import re

from taskrunner.model.document import Field, Unresolved
from taskrunner.model.validate.context import Context, Item
from taskrunner.model.validate.schedules import is_backfilled

__all__ = ["check_pitfalls"]

_SECRET_NAME = re.compile(
    r"passw(or)?d|secret(?!s?(Name|Arn|Id))|accessKey$|privateKey", re.IGNORECASE
)
_S3_FIELDS = frozenset({"directoryPath", "filePath", "manifestFilePath", "pipelineLogUri"})
_MAX_HOPS = 4


def check_pitfalls(context: Context) -> None:
    """What runs, but seldom as meant."""
    backfilled = any(
        is_backfilled(context, i) for i in context.items if i.type and i.type.name == "Schedule"
    )
    for item in context.items:
        for field in item.own.fields:
            if isinstance(field.value, str):
                _check_secret(context, item, field)
                _check_path(context, item, field)
                if backfilled and field.key == "failureAndRerunMode":
                    _check_cascade(context, item, field)
    _check_mixed_types(context)
    _check_outputs(context)


def _check_secret(context: Context, item: Item, field: Field) -> None:
    text = field.value
    secret = field.key.startswith("*") or _SECRET_NAME.search(field.key)
    if not secret or not isinstance(text, str) or isinstance(text, Unresolved) or "#{" in text:
        return
    name = field.key.removeprefix("*")
    message = (
        f"a secret stands here as plain text; use a parameter: #{{*my{name[:1].upper()}{name[1:]}}}"
    )
    _add(context, "plain-text-secret", message, item, field.key)


def _check_path(context: Context, item: Item, field: Field) -> None:
    if field.key not in _S3_FIELDS or not isinstance(field.value, str):
        return
    text = context.known(field.value)
    if text and "://" not in text:
        message = f"found {text!r}, wanted an S3 path: s3://bucket/key"
        _add(context, "not-s3-path", message, item, field.key)


def _check_cascade(context: Context, item: Item, field: Field) -> None:
    if str(field.value).strip().lower() == "cascade":
        message = "with cascade, one failed interval of the backfill fails what consumes it"
        _add(context, "cascade-backfill", message, item, field.key)


def _check_mixed_types(context: Context) -> None:
    """Objects that say cron beside objects that say timeseries; inherited words count."""
    first: dict[str, Item] = {}
    for item in context.items:
        text = item.text("scheduleType") if item.type else None
        if text is not None and text.lower() in {"cron", "timeseries"}:
            first.setdefault(text.lower(), item)
    if len(first) == 2:
        one, other = first.values()
        message = (
            f"{one.id!r} is {one.text('scheduleType')} and {other.id!r} is "
            f"{other.text('scheduleType')}: they run at opposite ends of an interval"
        )
        _add(context, "mixed-schedule-types", message, other, "scheduleType")


def _check_outputs(context: Context) -> None:
    """S3 nodes that a scheduled activity writes, at a path that is the same every time."""
    if context.on_demand:
        return
    written = {ref.id for item in context.items if item.type for ref in item.refs("output")}
    for item in context.by_id.values():
        if item.id not in written or item.type is None or item.type.name != "S3DataNode":
            continue
        for key in ("directoryPath", "filePath"):
            text = item.text(key)
            if text is not None and not _is_dated(context, item, text) and not _once(context, item):
                message = f"found {text!r}: every run writes to the same place"
                hint = "; put a date in, as #{format(@scheduledStartTime, 'YYYY-MM-dd')}"
                _add(context, "undated-output", message + hint, item, key)


def _is_dated(context: Context, item: Item, text: str, hops: int = 0) -> bool:
    """Whether the text holds something of the run, directly or through parameters and fields."""
    if isinstance(text, Unresolved) or "#{" not in text:
        return isinstance(text, Unresolved)
    if "@" in text or hops == _MAX_HOPS:
        return True
    for name in re.findall(r"[A-Za-z_*][A-Za-z0-9_*]*", text):
        values = (
            *context.parameters.get(name, ()),
            *(v for v in item.values(name) if isinstance(v, str)),
        )
        if any(_is_dated(context, item, value, hops + 1) for value in values):
            return True
    return False


def _once(context: Context, item: Item) -> bool:
    """Whether the object's schedule has only one interval."""
    ref = next(item.refs("schedule"), None)
    schedule = context.by_id.get(ref.id) if ref else None
    return schedule is not None and schedule.text("occurrences") == "1"


def _add(context: Context, code: str, message: str, item: Item, key: str) -> None:
    context.add(code, message, object_id=item.id, key=key, position=item.position(key))
