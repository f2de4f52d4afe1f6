"""`taskrunner logs`: the log of an attempt, followed while it runs."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import click

from taskrunner.cli.operators.options import Asked, command, pipeline_argument
from taskrunner.cli.operators.service import Service
from taskrunner.cli.operators.tables import show_json
from taskrunner.errors import ServiceUnreachable, UsageError
from taskrunner.wire.json_api import JsonApi

_PAGE = 256 << 10
_LINE = 200
_PAUSE_S = 2.0
_STREAMS = {"stdout": "StdOutput", "stderr": "StdError", "activity": "Activity.log"}


def _logs(
    asked: Asked,
    pipeline: str,
    what: str,
    stream: str,
    follow: bool,
    lines: int | None,
    whole: bool,
) -> int:
    service = asked.connect()
    v1 = service.ours("to show logs")
    pipeline_id = service.pipeline_id(pipeline)
    attempt_id = _attempt(service, v1, pipeline_id, what)
    path = ("pipelines", pipeline_id, "attempts", attempt_id)
    reader = _Reader(service, v1, path, _STREAMS[stream])
    if asked.as_json:
        show_json(reader.page({"limit": _PAGE}))
        return 0
    if whole:
        return reader.follow(0, wait=follow)
    page = reader.page({"limit": min(1 << 20, _LINE * lines if lines else _PAGE)})
    _write(_last_lines(page["text"], lines))
    if follow and not (page["final"] and page["last"]):
        return reader.follow(page.get("next_offset", 0), wait=True)
    return 0


def _last_lines(text: str, lines: int | None) -> str:
    return "".join(text.splitlines(keepends=True)[-lines:]) if lines else text


def _attempt(service: Service, v1: JsonApi, pipeline_id: str, what: str) -> str:
    """The attempt that is meant: by its id, its instance's newest, or its component's newest."""
    if "_Attempt=" in what:
        return what
    instance_id = what
    if not what.startswith("@"):
        rows = service.instances(pipeline_id, {"component": [what]}, 50)
        tried = [row for row in rows if row["attempts"]]
        if not tried:
            raise UsageError(f"no instance of {what!r} has an attempt in {pipeline_id}")
        instance_id = tried[0]["id"]
    found = v1.get("pipelines", pipeline_id, "instances", instance_id)
    if not found["attempts"]:
        raise UsageError(f"{instance_id} has no attempt yet: it is {found['summary']['status']}")
    return str(found["attempts"][-1]["id"])


class _Reader:
    """One log of an attempt."""

    def __init__(self, service: Service, v1: JsonApi, path: Sequence[str], stream: str) -> None:
        self._service = service
        self._v1 = v1
        self._path = path
        self._stream = stream

    def page(self, query: Mapping[str, Any]) -> Any:
        """Some of it."""
        return self._v1.get(*self._path, "log", stream=self._stream, **query)

    def follow(self, offset: int, *, wait: bool) -> int:
        """Write what follows a place; wait for more of it until the log is whole."""
        never, told = threading.Event(), False
        while True:
            try:
                page = self.page({"offset": offset, "limit": _PAGE})
            except ServiceUnreachable as error:
                if not wait:
                    raise
                if not told:
                    click.echo(f"taskrunner: {error}; trying again", err=True)
                told = True
                self._service.clock.wait(never, _PAUSE_S)
                continue
            told = False
            _write(page["text"])
            offset = page.get("next_offset", offset)
            if page["last"] and (page["final"] or not wait or self._is_over(page)):
                return 0
            if page["last"]:
                self._service.clock.wait(never, _PAUSE_S)

    def _is_over(self, page: Mapping[str, Any]) -> bool:
        """Whether no more will come of a log that is not whole: empty ones are never pushed."""
        if page["text"]:
            return False
        found = self._v1.get(*self._path)
        return found["summary"]["status"] not in {"RUNNING", "WAITING_FOR_RUNNER"}


def _write(text: str) -> None:
    """As it is to another program; on a terminal without what would control that."""
    if sys.stdout.isatty():
        text = "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)
    sys.stdout.write(text)
    sys.stdout.flush()


logs = command(
    "logs",
    _logs,
    "The log of an attempt: WHAT is the id of one, of an instance (its last attempt), or of a "
    "component (its newest instance that was tried). Agents push logs of running tasks in parts, "
    "every --log-interval.",
    [
        pipeline_argument(),
        click.Argument(["what"]),
        click.Option(
            ["--stream"],
            type=click.Choice(list(_STREAMS)),
            default="stdout",
            show_default=True,
            help="Which log.",
        ),
        click.Option(["--follow", "-f"], is_flag=True, help="Go on until the attempt has ended."),
        click.Option(
            ["--lines", "-n"], type=click.IntRange(1, 5000), help="Only so many lines of its end."
        ),
        click.Option(["--all", "whole"], is_flag=True, help="From its beginning, all of it."),
    ],
)
