"""What a run came to, for people."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text

from taskrunner.cli.follow import alarm_line
from taskrunner.cli.outcome import Outcome
from taskrunner.cli.snapshot import Snapshot
from taskrunner.cli.table import duration, instance_table
from taskrunner.errors import ErrorId
from taskrunner.model.instances import Category
from taskrunner.model.rows import InstanceRow
from taskrunner.model.states import AttemptStatus, InstanceStatus
from taskrunner.plain import visible
from taskrunner.service.store.rows import AlarmRow


def print_report(
    console: Console, outcome: Outcome, *, alarms: Sequence[AlarmRow], runs: str
) -> None:
    """What ran, what failed and why, and where outputs and logs are.

    `alarms` are those that nobody was told yet, `runs` says what is kept of earlier runs.
    """
    snapshot = outcome.snapshot
    shown = [row for row in snapshot.instances if row.category != Category.DATANODE]
    console.print(instance_table(snapshot, shown, console.width))
    console.print()
    for line in _failures(snapshot, interrupted=outcome.interrupted is not None):
        console.print(Text(_lines(line), style="red"), soft_wrap=True)
    for line in (*_reservations(snapshot), *_cut_waits(outcome)):
        console.print(Text(_lines(line), style="yellow"), soft_wrap=True)
    for line in (*map(alarm_line, alarms), *_where(outcome), runs):
        console.print(Text(_lines(line)), soft_wrap=True)
    word = outcome.verdict
    counts = Counter(str(row.status) for row in shown)
    told = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    style = "bold green" if word == "FINISHED" else "bold red"
    line = f"{word}: {told} in {duration(outcome.took_s)} (pipeline {snapshot.pipeline_id})"
    console.print(Text(line, style=style), soft_wrap=True)


def _lines(text: str) -> str:
    """A text of several lines in which escape sequences and the like are written out."""
    return "\n".join(visible(line) for line in text.splitlines())


def _failures(snapshot: Snapshot, *, interrupted: bool) -> Iterator[str]:
    if interrupted:
        yield "Stopped on request: what had not ended was canceled."
    for row in snapshot.instances:
        if row.category == Category.DATANODE:
            continue
        if row.instance_id in snapshot.blocked:
            yield f"{row.instance_id} never ran: {snapshot.origin(row)} has not FINISHED"
        elif row.status in {InstanceStatus.FAILED, InstanceStatus.TIMEDOUT}:
            tries = f" after {row.attempt_count} attempts" if row.attempt_count > 1 else ""
            reason = (row.error_message or "no reason was given").strip()
            yield f"{row.instance_id} {row.status}{tries}: [{row.error_id}] {reason}"
        elif row.status in {InstanceStatus.CASCADE_FAILED, InstanceStatus.CANCELED}:
            if interrupted:
                continue
            yield f"{row.instance_id} {row.status}: {row.error_message or 'no reason was given'}"


def _reservations(snapshot: Snapshot) -> Iterator[str]:
    """What went wrong around attempts that nevertheless did their work."""
    for attempts in snapshot.attempts.values():
        for attempt in attempts:
            if attempt.status is AttemptStatus.FINISHED and attempt.error_message:
                reason = attempt.error_message.strip()
                yield f"{attempt.attempt_id} FINISHED, but: [{attempt.error_id}] {reason}"


def _cut_waits(outcome: Outcome) -> Iterator[str]:
    """That what runs here is tried again sooner than it would be elsewhere."""
    if outcome.cut_waits:
        told = ", ".join(f"{cut.component} ({cut.delay})" for cut in outcome.cut_waits)
        longest = duration(outcome.longest_wait_s)
        yield f"Tried again after {longest}, sooner than retryDelay: {told} (--retry-delay-cap)"


def _where(outcome: Outcome) -> Iterator[str]:
    snapshot, places = outcome.snapshot, outcome.places
    found = [output for outputs in places.outputs.values() for output in outputs]
    for uri in dict.fromkeys(output.uri for output in found if output.uri):
        yield f"Output: {places.shown(uri)}"
    yield from dict.fromkeys(
        f"Logs:   {places.shown(f'{places.log_uris[row.instance_id]}/{row.pipeline_id}')}"
        for row in snapshot.instances
        if row.instance_id in places.log_uris and _logs_were_sent(snapshot, row)
    )
    yield f"Local logs: {places.logs / snapshot.pipeline_id}"
    yield f"In the console: taskrunner ui {shlex.quote(str(places.folder))}"


def _logs_were_sent(snapshot: Snapshot, row: InstanceRow) -> bool:
    head = snapshot.head(row)
    return head is not None and head.error_id != ErrorId.LOGS_NOT_SHIPPED
