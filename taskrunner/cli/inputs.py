"""What several commands take: a definition's file, parameter values, moments."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from datetime import datetime

import click

from taskrunner.cli.documents import Sources, load_document
from taskrunner.errors import UsageError
from taskrunner.model.document import Definition
from taskrunner.model.times import parse_datetime


def moment(_ctx: click.Context, _param: click.Parameter, value: str | None) -> datetime | None:
    """An option's callback: a value such as 2026-02-13T02:00:00, in UTC."""
    if value is None:
        return None
    try:
        return parse_datetime(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def load_definition(path: str, given: Iterable[str] = ()) -> Definition:
    """Read a definition, `-` for standard input, with parameter values given as `id=value`.

    Raises UsageError when the file cannot be opened or a value has no id, DefinitionError when
    something in the file is not of a definition's shape.
    """
    return load_document(Sources(path=path, params=tuple(given))).checked()


def find_object_id(definition: Definition, object_id: str) -> str:
    """The id when an object has it; raises UsageError naming the nearest one otherwise."""
    known = [obj.id for obj in definition.objects]
    if object_id in known:
        return object_id
    near = difflib.get_close_matches(object_id, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise UsageError(f"{definition.source or 'the definition'} has no object {object_id!r}{hint}")
