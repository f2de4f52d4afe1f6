"""`taskrunner eval`: the value of an expression, as a field of some object would have it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import click

from taskrunner.cli.inputs import find_object_id, load_definition, moment
from taskrunner.errors import ExpressionError, TaskrunnerError
from taskrunner.model.document import Definition, PipelineObject, Ref
from taskrunner.model.expressions import Scope, evaluate
from taskrunner.model.inheritance import effective
from taskrunner.model.parameters import parameter_values
from taskrunner.model.period import Period

_REFERRING_FIELDS = ("onSuccess", "onFail", "onLateAction", "precondition")


@click.command(help="Print the value of EXPRESSION (a list: one value a line).")
@click.option("--definition", "path", required=True, metavar="FILE")
@click.option("--object", "object_id", required=True, metavar="ID", help="Whose field it is in.")
@click.option(
    "--scheduled-start", "start", metavar="TIME", callback=moment, help="@scheduledStartTime (UTC)."
)
@click.option(
    "--scheduled-end", "end", metavar="TIME", callback=moment, help="@scheduledEndTime (UTC)."
)
@click.option("--param", "given", multiple=True, metavar="ID=VALUE", help="Repeat for more.")
@click.argument("expression")
def command(
    path: str,
    object_id: str,
    start: datetime | None,
    end: datetime | None,
    given: tuple[str, ...],
    expression: str,
) -> None:
    """Print the value of an expression; braces around the whole of it may be left out."""
    definition = load_definition(path, given)
    scope = _scope(definition, find_object_id(definition, object_id), start, end)
    text = expression if "#{" in expression else f"#{{{expression}}}"
    try:
        values = evaluate(text, scope)
    except ExpressionError as error:
        raise TaskrunnerError(f"{error.message}\n{_pointed(text, error.column)}") from None
    for value in values:
        click.echo(value)


def _scope(
    definition: Definition, object_id: str, start: datetime | None, end: datetime | None
) -> Scope:
    objects = effective(definition)
    if start is not None and end is None:
        end = _end_of_period(objects, object_id, start)
    known = {"@scheduledStartTime": start, "@scheduledEndTime": end}
    return Scope(
        objects=objects,
        object_id=object_id,
        parameters=parameter_values(definition),
        parameter_types={p.id: p.attribute("type") or "String" for p in definition.parameters},
        runtime={object_id: {key: value for key, value in known.items() if value is not None}},
        node=_referrer(objects, object_id),
    )


def _end_of_period(
    objects: Mapping[str, PipelineObject], object_id: str, start: datetime
) -> datetime | None:
    """One period after the start, where the object's schedule tells the period."""
    schedule = objects[object_id].ref("schedule")
    text = objects[schedule.id].string("period") if schedule and schedule.id in objects else None
    try:
        return Period.parse(text or "").add_to(start)
    except (ValueError, OverflowError):
        return None


def _referrer(objects: Mapping[str, PipelineObject], object_id: str) -> str | None:
    """What `node` stands for: the first object that has this one as an action or precondition."""
    this = Ref(object_id)
    for obj in objects.values():
        if obj.type and any(this in obj.refs(key) for key in _REFERRING_FIELDS):
            return obj.id
    return None


def _pointed(text: str, column: int) -> str:
    """The line of the text that the column is in, and a mark under it."""
    before = text[: column - 1]
    line_start = before.rfind("\n") + 1
    line = text[line_start:].split("\n", 1)[0]
    return f"  {line}\n  {' ' * (len(before) - line_start)}^"
