"""Warnings about definitions that are valid but probably not meant so."""

from __future__ import annotations

import re
from collections.abc import Callable

from taskrunner.model.document import Field, ParameterObject, ParameterValue, Unresolved
from taskrunner.model.masks import MASK, WHAT_IT_IS, parameter_for
from taskrunner.model.validate.context import Context, Item
from taskrunner.model.validate.schedules import is_backfilled

_SECRET_NAME = re.compile(
    r"passw(or)?d|secret(?!s?(Name|Arn|Id))|accessKey$|privateKey", re.IGNORECASE
)
_COMMANDS = frozenset({"ShellCommandActivity", "ShellCommandPrecondition"})
_S3_FIELDS = frozenset({"directoryPath", "filePath", "manifestFilePath", "pipelineLogUri"})
_NAME = re.compile(r"[A-Za-z_*][A-Za-z0-9_*]*")
_IN_URL = re.compile(r"(?i:[?&;]password=)[^#&;]|://[^/:@#]+:[^/@#]+@")
#: What may be done with a mask.
_KEPT = f"{WHAT_IT_IS}: put back to the same pipeline it keeps the secret that is stored"
#: A path that takes more texts than this to work out is not judged.
_MAX_TEXTS = 50


def check_pitfalls(context: Context) -> None:
    """Every warning of this module."""
    backfilled = any(
        is_backfilled(context, i) for i in context.items if i.type and i.type.name == "Schedule"
    )
    for item in context.items:
        for field in item.own.fields:
            if isinstance(field.value, str):
                _check_secret(context, item, field)
                _check_argument(context, item, field)
                _check_path(context, item, field)
                if backfilled and field.key == "failureAndRerunMode":
                    _check_cascade(context, item, field)
    _check_defaults(context)
    _check_mixed_types(context)
    _check_outputs(context)
    _check_activities(context)


def _check_secret(context: Context, item: Item, field: Field) -> None:
    text = field.value
    if not isinstance(text, str) or isinstance(text, Unresolved) or not text:
        return
    if field.key == "connectionString" and _IN_URL.search(text):
        message = (
            "a password stands in the connection string; use the fields username and *password"
        )
        context.note("plain-text-secret", message, item, field.key)
    secret = field.key.startswith("*") or _SECRET_NAME.search(field.key)
    if not secret or "#{" in text:
        return
    name = parameter_for(field.key)
    if text == MASK:
        hint = f"; anywhere else write #{{{name}}} here, and give the secret as its value"
        context.note("masked-secret", _KEPT + hint, item, field.key)
        return
    message = f"a secret stands here as plain text; use a parameter: #{{{name}}}"
    context.note("plain-text-secret", message, item, field.key)


def _check_argument(context: Context, item: Item, field: Field) -> None:
    """Arguments stand in the list of processes while the command runs; SQL's do not."""
    if field.key != "scriptArgument" or (item.type and item.type.name not in _COMMANDS):
        return
    if isinstance(field.value, str) and _names_secret(context, item, field.value):
        message = (
            "a secret stands in scriptArgument: while the command runs, every user of the host can "
            "see it in the list of processes (ps); write it into command, which is a file of the "
            "task's own there"
        )
        context.note("secret-argument", message, item, field.key)


def _check_defaults(context: Context) -> None:
    for parameter in context.definition.parameters:
        given = [text for text in parameter.attribute_values("default") if text]
        if parameter.id.startswith("*") and given == [MASK]:
            _note_masked(context, parameter, "default")
        elif parameter.id.startswith("*") and given and not isinstance(given[0], Unresolved):
            context.add(
                "plain-text-secret",
                "the default of a secret parameter stands here as plain text",
                object_id=parameter.id,
                key="default",
                position=parameter.position,
            )

    for value in context.definition.values:
        if value.id.startswith("*") and value.value == MASK:
            _note_masked(context, value, None)


def _note_masked(
    context: Context, parameter: ParameterObject | ParameterValue, key: str | None
) -> None:
    hint = f"; anywhere else give the secret itself, as --param '{parameter.id}=VALUE'"
    context.add(
        "masked-secret",
        _KEPT + hint,
        object_id=parameter.id,
        key=key,
        position=parameter.position,
    )


def _check_activities(context: Context) -> None:
    if not any(item.type and item.type.category == "activity" for item in context.items):
        context.add("no-activity", "there is no activity in the definition: nothing will run")


def _check_path(context: Context, item: Item, field: Field) -> None:
    if field.key not in _S3_FIELDS or not isinstance(field.value, str):
        return
    text = context.known(field.value)
    if text and "://" not in text:
        message = f"found {text!r}, wanted an S3 path: s3://bucket/key"
        context.note("not-s3-path", message, item, field.key)


def _check_cascade(context: Context, item: Item, field: Field) -> None:
    if str(field.value).strip().lower() == "cascade":
        message = "with cascade, one failed interval of the backfill fails what consumes it"
        context.note("cascade-backfill", message, item, field.key)


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
        context.note("mixed-schedule-types", message, other, "scheduleType")


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
                context.note("undated-output", message + hint, item, key)


def _is_dated(context: Context, item: Item, text: str) -> bool:
    """Whether the text holds something of the run, directly or through parameters and fields."""
    return _comes_to(context, item, text, lambda t: isinstance(t, Unresolved) or "@" in t)


def _names_secret(context: Context, item: Item, text: str) -> bool:
    """Whether the text holds a secret, directly or through parameters and fields."""

    def is_it(text: str) -> bool:
        return "#{" in text and not context.secret_names.isdisjoint(_NAME.findall(text))

    return bool(context.secret_names) and _comes_to(context, item, text, is_it)


def _comes_to(context: Context, item: Item, text: str, is_it: Callable[[str], bool]) -> bool:
    """Whether a text, or one that its expressions name, is what is looked for; or may be."""
    waiting, seen = [text], {text}
    while waiting and len(seen) < _MAX_TEXTS:
        text = waiting.pop()
        if ("#{" in text or isinstance(text, Unresolved)) and is_it(text):
            return True
        if "#{" not in text:
            continue
        for name in set(_NAME.findall(text)):
            values = (*context.parameters.get(name, ()), *item.values(name))
            following = {v for v in values if isinstance(v, str)} - seen
            seen |= following
            waiting += following
    return bool(waiting)


def _once(context: Context, item: Item) -> bool:
    """Whether the object's schedule has only one interval."""
    ref = next(item.refs("schedule"), None)
    schedule = context.by_id.get(ref.id) if ref else None
    return schedule is not None and schedule.text("occurrences") == "1"
