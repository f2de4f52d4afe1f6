"""Snapshots made by hand, for what is only shown."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from taskrunner.cli.outcome import Outcome, Places
from taskrunner.cli.snapshot import Snapshot
from taskrunner.model.rows import AttemptRow, InstanceRow
from taskrunner.model.states import AttemptStatus, InstanceStatus, PipelineState
from taskrunner.service.store.rows import AlarmRow

START = datetime(2026, 2, 13, 2, tzinfo=UTC)


def instance(component: str, status: str = "FINISHED", **fields: Any) -> InstanceRow:
    given: dict[str, Any] = {
        "pipeline_id": "df-1",
        "instance_id": f"@{component}_2026-02-13T02:00:00",
        "component_id": component,
        "name": component,
        "type": "ShellCommandActivity",
        "category": "activity",
        "version": 1,
        "status": InstanceStatus(status),
        "scheduled_start": START,
        "scheduled_end": START + timedelta(days=1),
        "not_before": START,
        "created_at": START,
    }
    return InstanceRow(**{**given, **fields})


def attempt(row: InstanceRow, number: int = 1, status: str = "FINISHED", **f: Any) -> AttemptRow:
    given: dict[str, Any] = {
        "pipeline_id": row.pipeline_id,
        "attempt_id": f"{row.instance_id}_Attempt={number}",
        "instance_id": row.instance_id,
        "number": number,
        "status": AttemptStatus(status),
        "worker_group": "wg",
        "queue": "wg",
        "ready_at": START,
        "lease_s": 60.0,
        "created_at": START,
    }
    return AttemptRow(**{**given, **f})


def alarm(row: InstanceRow, **fields: Any) -> AlarmRow:
    given: dict[str, Any] = {
        "pipeline_id": row.pipeline_id,
        "alarm_id": "1",
        "instance_id": row.instance_id,
        "action_id": "Tell",
        "event": "fail",
        "topic_arn": "arn:aws:sns:us-east-1:1:t",
        "subject": "it failed",
        "message": "look at it",
        "status": "SENT",
        "tries": 1,
        "created_at": START,
    }
    return AlarmRow(**{**given, **fields})


def picture(
    *rows: InstanceRow,
    attempts: tuple[AttemptRow, ...] = (),
    alarms: tuple[AlarmRow, ...] = (),
    blocked: Mapping[str, str] | None = None,
    now: datetime = START + timedelta(minutes=1),
) -> Snapshot:
    grouped: dict[str, tuple[AttemptRow, ...]] = {}
    for one in attempts:
        grouped[one.instance_id] = (*grouped.get(one.instance_id, ()), one)
    return Snapshot(
        pipeline_id="df-1",
        state=PipelineState.SCHEDULED,
        now=now,
        instances=rows,
        attempts=grouped,
        alarms=alarms,
        blocked=blocked or {},
    )


def places(**given: Any) -> Places:
    fields: dict[str, Any] = {"folder": Path("/w/runs/r"), "logs": Path("/w/runs/r/logs")}
    return Places(**{**fields, **given})


def outcome(snapshot: Snapshot, where: Places | None = None, **given: Any) -> Outcome:
    fields: dict[str, Any] = {
        "snapshot": snapshot,
        "places": where or places(),
        "source": "p.json",
        "began": START,
        "took_s": 12.3,
        "longest_wait_s": 2.0,
    }
    return Outcome(**{**fields, **given})
