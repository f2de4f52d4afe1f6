"""`taskrunner plugins`: every activity, precondition, database and format that is installed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import click

from taskrunner.config.options import FORMAT
from taskrunner.errors import TaskError
from taskrunner.plugins.discovery import Plugin, discover, remedy

_EXIT_FAILED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """A plugin and whether it can be used: found, loads, or a problem in one line."""

    plugin: Plugin
    problem: str | None
    checked: bool

    @property
    def state(self) -> str:
        if self.problem is not None:
            return "refused" if self.plugin.refused is not None else "broken"
        return "loads" if self.checked else "found"


def _run(form: str, *, check: bool) -> int:
    lines = [_line(plugin, check=check) for plugin in discover()]
    click.echo(_RENDER[form](lines))
    return _EXIT_FAILED if any(line.problem is not None for line in lines) else 0


def _line(plugin: Plugin, *, check: bool) -> _Line:
    problem = plugin.refused or plugin.missing()
    if check and problem is None:
        try:
            plugin.load()
        except TaskError as error:
            problem = str(error)
    return _Line(plugin=plugin, problem=problem, checked=check)


def _as_text(lines: Sequence[_Line]) -> str:
    heads = ("KIND", "NAME", "PACKAGE", "CLASS", "STATE")
    rows = [heads, *(_row(line) for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    printed = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    for line in lines:
        if line.problem is not None:
            plugin = line.plugin
            printed += ["", f"{plugin.kind} {plugin.name} of {plugin.origin}: {line.problem}"]
            printed.append(f"  -> {remedy(plugin)}")
    return "\n".join(printed)


def _row(line: _Line) -> tuple[str, ...]:
    plugin = line.plugin
    package = f"{plugin.origin} {plugin.version}" + (" (built in)" if plugin.built_in else "")
    return (str(plugin.kind), plugin.name, package, plugin.target, line.state)


def _as_json(lines: Sequence[_Line]) -> str:
    found = [
        {
            "kind": line.plugin.kind,
            "name": line.plugin.name,
            "distribution": line.plugin.origin,
            "version": line.plugin.version,
            "built_in": line.plugin.built_in,
            "group": line.plugin.kind.group,
            "class": line.plugin.target,
            "state": line.state,
            "problem": line.problem,
        }
        for line in lines
    ]
    return json.dumps({"plugins": found}, indent=2)


_RENDER = {"text": _as_text, "json": _as_json}

command = click.Command(
    "plugins",
    callback=_run,
    params=[
        click.Option(
            ["--check"],
            is_flag=True,
            help="Import each one, and the drivers that it needs, and say what goes wrong.",
        ),
        FORMAT,
    ],
    help="List every activity, precondition, database and format that is installed: name, package "
    "and version, class, and whether it is there. Nothing is imported without --check. Exit code 0 "
    "when all can be used, else 1.",
)
