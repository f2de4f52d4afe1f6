"""Checks of schedules: that there is one, that it makes sense, and what on-demand allows."""

from __future__ import annotations

from datetime import datetime, timedelta

from taskrunner.model.catalog import ObjectType
from taskrunner.model.document import Ref
from taskrunner.model.schedule import ONDEMAND_ACTIVATION, ONDEMAND_PERIOD
from taskrunner.model.times import format_datetime, parse_datetime
from taskrunner.model.validate.context import Context, Item

_BACKFILL = timedelta(days=1)


def check_schedules(context: Context) -> None:
    """Schedule objects, and the objects that need one."""
    for item in context.items:
        if item.type is None:
            continue
        if item.type.name == "Schedule":
            _check_schedule(context, item)
        elif item.type.scheduled and not context.on_demand and not item.has("schedule"):
            _note_missing(context, item, item.type)


def _note_missing(context: Context, item: Item, object_type: ObjectType) -> None:
    message = f"{object_type.name} has no schedule, its own or inherited"
    if object_type.category == "activity":
        hint = "; set schedule here or on Default, or scheduleType ondemand on Default"
        context.note("missing-schedule", message + hint, item, "schedule")
    else:
        hint = "; it follows the activities that use it"
        context.note("no-own-schedule", message + hint, item, "schedule")


def _moment(context: Context, item: Item, key: str) -> datetime | None:
    """The field's date, where it is one."""
    text = item.text(key)
    known = context.known(text) if text is not None else None
    try:
        return None if known is None else parse_datetime(known)
    except ValueError:
        return None


def _check_schedule(context: Context, item: Item) -> None:
    has = item.has
    if has("occurrences") and has("endDateTime"):
        message = "found occurrences and endDateTime, wanted only one of them"
        context.note("occurrences-and-end", message, item, "occurrences")
    if has("startAt") and has("startDateTime"):
        message = "startAt and startDateTime are both set; startDateTime wins"
        context.note("start-given-twice", message, item, "startAt")
    start, end = _moment(context, item, "startDateTime"), _moment(context, item, "endDateTime")
    if start is not None and end is not None and end <= start:
        message = f"found the end {format_datetime(end)}, wanted one after {format_datetime(start)}"
        context.note("end-before-start", message, item, "endDateTime")
    if is_backfilled(context, item) and start is not None:
        message = (
            f"the schedule starts at {format_datetime(start)}, more than a day ago: "
            "every interval since then runs when the pipeline is activated"
        )
        context.note("backfill", message, item, "startDateTime")


def is_backfilled(context: Context, item: Item) -> bool:
    """Whether activating now would run intervals of more than a day ago."""
    if context.now is None or context.on_demand:
        return False
    start = _moment(context, item, "startDateTime")
    return start is not None and context.now - start > _BACKFILL


def check_on_demand(context: Context) -> None:
    """ScheduleType ondemand is Default's alone, and what belongs to it stands nowhere else."""
    for item in context.items:
        kind = next(
            (f for f in item.own_fields("scheduleType") if not isinstance(f.value, Ref)), None
        )
        text = context.known(kind.value) if kind else None
        if text is not None and not item.is_default:
            _check_own_type(context, item, text.strip().lower())
        if item.type is not None and item.type.name == "Schedule":
            _check_words(context, item)
        if context.on_demand and item.own_fields("lateAfterTimeout"):
            message = "lateAfterTimeout has no effect in a pipeline on demand"
            context.note("late-ignored", message, item, "lateAfterTimeout")


def _check_own_type(context: Context, item: Item, text: str) -> None:
    if context.on_demand and text != "ondemand":
        message = f"found {text}, but Default makes the whole pipeline run on demand"
        context.note("ondemand-mixed", message, item, "scheduleType")
    elif text == "ondemand" and not context.on_demand:
        message = "found ondemand, which only Default may set, for the whole pipeline"
        context.note("ondemand-not-on-default", message, item, "scheduleType")


def _check_words(context: Context, item: Item) -> None:
    words = {"period": ONDEMAND_PERIOD, "startAt": ONDEMAND_ACTIVATION}
    for key, word in words.items():
        found = (item.text(key) or "").strip().upper() == word
        if found and not context.on_demand:
            message = f"found {word}, but Default's scheduleType is not ondemand"
            context.note("ondemand-value", message, item, key)
        elif key == "period" and context.on_demand and not found:
            message = "the pipeline is on demand, so this Schedule has no effect"
            context.note("schedule-ignored", message, item, "type")
