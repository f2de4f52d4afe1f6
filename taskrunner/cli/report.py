"""What a run came to: for people, and as one JSON document."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from taskrunner.cli.follow import duration, instance_table
from taskrunner.cli.plain import visible
from taskrunner.cli.snapshot import Snapshot
from taskrunner.model.instances import Category
from taskrunner.model.rows import InstanceRow
from taskrunner.model.states import AlarmStatus, AttemptStatus, InstanceStatus
from taskrunner.model.times import format_datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where things of a run are to be found."""

    #: The folder that stands for S3; None: a real S3.
    s3_root: Path | None
    logs: Path
    #: Output URIs that the run's data nodes name.
    outputs: tuple[str, ...]
    #: pipelineLogUri, where the definition has one.
    log_uris: tuple[str, ...]

    def shown(self, uri: str) -> str:
        """A URI as a person would open it: the file or folder that stands for it."""
        if self.s3_root is not None and uri.startswith("s3://"):
            return str(self.s3_root / uri.removeprefix("s3://"))
        return uri


def verdict(snapshot: Snapshot, *, interrupted: bool) -> str:
    """The run's status in one word, as the JSON document has it."""
    if snapshot.succeeded:
        return "FINISHED"
    return "CANCELED" if interrupted else "FAILED"


def json_report(snapshot: Snapshot, *, interrupted: bool) -> str:
    """One JSON document: pipeline, instances with attempts, alarms."""
    document = {
        "pipelineId": snapshot.pipeline_id,
        "status": verdict(snapshot, interrupted=interrupted),
        "instances": [_instance(snapshot, row) for row in snapshot.instances],
        "alarms": [
            {"topicArn": alarm.topic_arn, "subject": alarm.subject, "message": alarm.message}
            for alarm in snapshot.alarms
        ],
    }
    return json.dumps(document, indent=2)


def _instance(snapshot: Snapshot, row: InstanceRow) -> dict[str, object]:
    return {
        "id": row.instance_id,
        "component": row.component_id,
        "type": row.type,
        "status": row.status,
        "scheduledStart": format_datetime(row.scheduled_start),
        "scheduledEnd": format_datetime(row.scheduled_end),
        "attempts": [
            {
                "id": attempt.attempt_id,
                "status": attempt.status,
                "errorId": attempt.error_id,
                "errorMessage": attempt.error_message,
            }
            for attempt in snapshot.attempts.get(row.instance_id, ())
        ],
    }


def print_report(
    console: Console, snapshot: Snapshot, places: Places, *, took_s: float, interrupted: bool
) -> None:
    """What ran, what failed and why, and where outputs and logs are."""
    shown = [row for row in snapshot.instances if row.category != Category.DATANODE]
    console.print(instance_table(snapshot, shown, console.width))
    console.print()
    for line in _failures(snapshot, interrupted=interrupted):
        console.print(Text(_lines(line), style="red"), soft_wrap=True)
    for line in _reservations(snapshot):
        console.print(Text(_lines(line), style="yellow"), soft_wrap=True)
    for alarm in snapshot.alarms:
        done = alarm.status in {AlarmStatus.SENT, AlarmStatus.LOGGED}
        sent = "" if done else f" (not published: {alarm.error or 'not yet'})"
        told = f"Alarm{sent}: {alarm.subject}: {alarm.message}"
        console.print(Text(_lines(told)), soft_wrap=True)
    for line in _where(places):
        console.print(Text(line), soft_wrap=True)
    word = verdict(snapshot, interrupted=interrupted)
    counts = Counter(str(row.status) for row in shown)
    told = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    style = "bold green" if word == "FINISHED" else "bold red"
    line = f"{word}: {told} in {duration(took_s)} (pipeline {snapshot.pipeline_id})"
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


def _where(places: Places) -> Iterator[str]:
    for uri in places.outputs:
        yield f"Output: {places.shown(uri)}"
    for uri in places.log_uris:
        yield f"Logs:   {places.shown(uri)}"
    yield f"Local logs: {places.logs}"
