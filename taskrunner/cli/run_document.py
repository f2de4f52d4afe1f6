"""What a run came to as one JSON document; docs/run.md says what each key means."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from taskrunner.cli.outcome import Outcome, Output, Places
from taskrunner.errors import ErrorId
from taskrunner.model.log_names import folder_of
from taskrunner.model.rows import AttemptRow, InstanceRow
from taskrunner.model.states import AlarmStatus
from taskrunner.model.times import format_datetime
from taskrunner.service.store.rows import AlarmRow


def json_report(outcome: Outcome) -> str:
    """One JSON document: the run, its instances with their attempts, its alarms."""
    snapshot, places = outcome.snapshot, outcome.places
    document = {
        "pipelineId": snapshot.pipeline_id,
        "definition": outcome.source,
        "status": outcome.verdict,
        "trouble": outcome.trouble,
        **_times(outcome.began, outcome.began + timedelta(seconds=outcome.took_s)),
        "folder": str(places.folder),
        "retryDelayCapSeconds": outcome.longest_wait_s,
        "instances": [_instance(outcome, row) for row in snapshot.instances],
        "alarms": [_alarm(alarm) for alarm in snapshot.alarms],
    }
    return json.dumps(document, indent=2)


def _times(start: datetime | None, end: datetime | None) -> dict[str, object]:
    took = (end - start).total_seconds() if start and end else None
    return {
        "start": format_datetime(start) if start else None,
        "end": format_datetime(end) if end else None,
        "durationSeconds": None if took is None else max(0.0, round(took, 3)),
    }


def _instance(outcome: Outcome, row: InstanceRow) -> dict[str, object]:
    places = outcome.places
    attempts = outcome.snapshot.attempts.get(row.instance_id, ())
    return {
        "id": row.instance_id,
        "component": row.component_id,
        "type": row.type,
        "status": row.status,
        "scheduledStart": format_datetime(row.scheduled_start),
        "scheduledEnd": format_datetime(row.scheduled_end),
        **_times(row.actual_start, row.actual_end),
        "errorId": row.error_id,
        "errorMessage": row.error_message,
        "outputs": [_output(places, out) for out in places.outputs.get(row.instance_id, ())],
        "attempts": [_attempt(places, row, attempt) for attempt in attempts],
    }


def _output(places: Places, output: Output) -> dict[str, object]:
    return {
        "node": output.node,
        "type": output.type,
        "uri": output.uri,
        "path": places.path_of(output.uri) if output.uri else None,
        "table": output.table,
    }


def _attempt(places: Places, row: InstanceRow, attempt: AttemptRow) -> dict[str, object]:
    folder = places.attempt_logs(row, attempt)
    files = list(_files(folder))
    return {
        "id": attempt.attempt_id,
        "status": attempt.status,
        **_times(attempt.started_at, attempt.ended_at),
        "errorId": attempt.error_id,
        "errorMessage": attempt.error_message,
        "logFolder": str(folder) if files else None,
        "logFiles": files,
        "logUri": _log_uri(places, row, attempt),
    }


def _files(folder: Path) -> Iterator[str]:
    if folder.is_dir():
        yield from sorted(str(path) for path in folder.iterdir() if path.is_file())


def _log_uri(places: Places, row: InstanceRow, attempt: AttemptRow) -> str | None:
    """Where the attempt's logs were sent, if they were."""
    base = places.log_uris.get(row.instance_id)
    if base is None or attempt.started_at is None or attempt.error_id == ErrorId.LOGS_NOT_SHIPPED:
        return None
    ids = (row.pipeline_id, row.component_id, row.instance_id, attempt.attempt_id)
    return folder_of(base, *ids)


def _alarm(alarm: AlarmRow) -> dict[str, object]:
    told = alarm.status in {AlarmStatus.SENT, AlarmStatus.LOGGED}
    return {
        "instance": alarm.instance_id,
        "event": alarm.event,
        "topicArn": alarm.shown_topic,
        "subject": alarm.subject,
        "message": alarm.message,
        "status": alarm.status,
        "error": None if told else alarm.error or "not published yet",
    }
