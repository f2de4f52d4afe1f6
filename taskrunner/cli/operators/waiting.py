"""Waiting for what a command has set going, with an exit code that tells how it ended."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from typing import Any

import click

from taskrunner.cli.operators.service import Service
from taskrunner.cli.operators.tables import counted
from taskrunner.errors import ServiceUnreachable
from taskrunner.model.states import INSTANCE_TERMINAL
from taskrunner.plain import visible

#: As timeout(1) has it.
EXIT_TIMED_OUT = 124
_FIRST_S, _MOST_S = 1.0, 10.0
_GOOD = frozenset({"FINISHED", "SKIPPED"})

WAIT: tuple[click.Parameter, ...] = (
    click.Option(
        ["--wait"],
        is_flag=True,
        help="Stay until it has ended. Exit code 0: all of it has finished, 1: something of it has "
        "not, 124: --timeout has passed.",
    ),
    click.Option(
        ["--timeout"],
        type=click.FloatRange(min=0),
        metavar="SECONDS",
        help="Wait no longer than this.",
    ),
)


def wait_for_run(service: Service, pipeline_id: str, start: str, timeout: float | None) -> int:
    """Wait for a run of a pipeline to end; the exit code."""

    def look() -> Mapping[str, int] | None:
        for run in service.runs(pipeline_id, 50):
            if run["start"] == start:
                return dict(run["counts"])
        return None

    return _wait(service, look, f"run {start}", timeout)


def wait_for_instances(
    service: Service, pipeline_id: str, ids: Collection[str], timeout: float | None
) -> int:
    """Wait for instances to end; the exit code."""
    wanted = set(ids)

    def look() -> Mapping[str, int] | None:
        counts: dict[str, int] = {}
        for start in sorted({_start_of(key) for key in wanted}):
            rows = service.instances(pipeline_id, {"run": start}, 5000)
            for row in rows:
                if row["id"] in wanted:
                    counts[row["status"]] = counts.get(row["status"], 0) + 1
        return counts

    return _wait(service, look, f"{len(wanted)} instances", timeout)


def _start_of(instance_id: str) -> str:
    return instance_id[-len("2026-01-31T02:00:00") :] + "Z"


def _wait(
    service: Service,
    look: Callable[[], Mapping[str, Any] | None],
    what: str,
    timeout: float | None,
) -> int:
    begun, pause_s = service.clock.monotonic(), _FIRST_S
    told, never = "", threading.Event()
    while True:
        try:
            counts = look()
        except ServiceUnreachable as error:
            counts, now = None, f"not known: {error}"  # it may be back in a moment
        else:
            now = counted(counts) if counts else "not there yet"
        if now != told:
            click.echo(f"{what}: {visible(now)}", err=True)
            told = now
        if counts and all(status in INSTANCE_TERMINAL for status in counts):
            return 0 if counts.keys() <= _GOOD else 1
        if timeout is not None and service.clock.monotonic() - begun >= timeout:
            click.echo(f"{what}: not over after {timeout:.0f} s", err=True)
            return EXIT_TIMED_OUT
        service.clock.wait(never, pause_s)
        pause_s = min(_MOST_S, pause_s * 1.3)
