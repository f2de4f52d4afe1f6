"""Rules between fields: which ones require, exclude or override each other."""

from __future__ import annotations

from taskrunner.model.document import Unresolved
from taskrunner.model.validate.context import Context, Item

_COPIES = frozenset({"CopyActivity", "HiveCopyActivity", "RedshiftCopyActivity"})
_TABLES = frozenset({"SqlDataNode", "MySqlDataNode"})


def check_rules(context: Context) -> None:
    """Find fields that lack the one they require, or exclude or override another."""
    for item in context.items:
        if item.type is None:
            continue
        has = item.has
        if has("onLateAction") and not has("lateAfterTimeout") and item.type.runnable:
            message = "onLateAction is set without lateAfterTimeout, so nothing is ever late"
            context.note("late-action-without-timeout", message, item, "onLateAction")
        _check_runner(context, item)
        _check_copy(context, item)
        if item.type.name == "ShellCommandActivity" and has("scriptUri") and has("scriptArgument"):
            message = "AWS documents scriptArgument with command only; here it works with both"
            context.note("script-argument-with-uri", message, item, "scriptArgument")
        if item.type.name in _TABLES and not has("database") and not has("connectionString"):
            message = f"{item.type.name} has no database; a copy would not know where its table is"
            context.note("no-database", message, item, "database")


def _check_runner(context: Context, item: Item) -> None:
    if item.type is None or item.type.category != "activity":
        return
    runs_on, group = item.has("runsOn"), item.has("workerGroup")
    if not runs_on and not group:
        message = "neither runsOn nor workerGroup is set: no runner will take the work"
        context.note("no-runner", message, item, "runsOn")
    elif runs_on and group and item.own_fields("workerGroup"):
        message = "runsOn is set too, so workerGroup is ignored"
        context.note("worker-group-ignored", message, item, "workerGroup")
    if not runs_on:
        return
    for field in item.own.fields:
        if field.key in {"stdout", "stderr"} and isinstance(field.value, str):
            text = context.known(field.value)
            if text is not None and not text.startswith("s3://"):
                message = f"found {text!r}, wanted an S3 path: a local file goes with the resource"
                context.note("local-path-on-resource", message, item, field.key)


def _check_copy(context: Context, item: Item) -> None:
    if item.type is None or item.type.name not in _COPIES:
        return
    for key in ("input", "output"):
        if not item.has(key):
            message = f"{item.type.name} has no {key}"
            context.note("nothing-to-copy", message, item, key)
    if item.type.name == "HiveCopyActivity":
        source, target = _kind(context, item, "input"), _kind(context, item, "output")
        if source == "S3DataNode" and target not in {None, "DynamoDBDataNode"}:
            message = f"found {target} as output of an S3DataNode, wanted a DynamoDBDataNode"
            context.note("copy-direction", message, item, "output")


def _kind(context: Context, item: Item, key: str) -> str | None:
    ref = next(item.refs(key), None)
    target = context.by_id.get(ref.id) if ref else None
    return target.text("type") if target else None


def check_unresolved(context: Context) -> None:
    """Values that a deployment tool fills in were not checked: say where."""
    for item in context.items:
        for field in item.own.fields:
            if isinstance(field.value, Unresolved):
                message = f"{field.value} is known only after deployment, and was not checked"
                context.note_value("unresolved-value", message, item, field)
    for parameter in context.definition.parameters:
        for key, text in parameter.attributes:
            if isinstance(text, Unresolved):
                message = f"{text} is known only after deployment, and was not checked"
                place = parameter.position
                context.add(
                    "unresolved-value", message, object_id=parameter.id, key=key, position=place
                )
    for value in context.definition.values:
        if isinstance(value.value, Unresolved):
            message = f"{value.value} is known only after deployment, and was not checked"
            context.add("unresolved-value", message, object_id=value.id, position=value.position)
