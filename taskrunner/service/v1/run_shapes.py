"""What /v1 answers about one run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from taskrunner.service.v1.alarm_shapes import Alarm
from taskrunner.service.v1.schema import about
from taskrunner.service.v1.shapes import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowRun:
    """One run of a pipeline."""

    pipeline_id: str = about("The pipeline's id.")
    start: datetime = about("The start of its period.")


@dataclass(frozen=True, slots=True, kw_only=True)
class CriticalStep:
    """An instance on the critical path."""

    instance_id: str = about("The instance.")
    component_id: str = about("Its component.")
    began: datetime = about("When it began.")
    ended: datetime | None = about("When it ended; left out while it goes on.", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenBy:
    """What an activity says that its last attempt has moved."""

    instance_id: str = about("The instance.")
    component_id: str = about("Its component.")
    rows: int | None = about("Rows, or items of DynamoDB.", default=None)
    bytes: int | None = about("Bytes.", default=None)
    files: int | None = about("Files.", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDetail:
    """One run: what made it take as long, what it has written, and whom it told."""

    run: Run = about("As the list has it.")
    critical_path: tuple[CriticalStep, ...] = about(
        "The steps one after the other that made it take as long as it did, the first one first: "
        "what ended last, before it what that had waited for longest, and so on.",
        default=(),
    )
    written: tuple[WrittenBy, ...] = about(
        "What its activities have written, as far as they say it.", default=()
    )
    total: Mapping[str, int] = about(
        "The same of all together: `rows`, `bytes` and `files`.", default_factory=dict
    )
    alarms: tuple[Alarm, ...] = about(
        "The newest alarms that its instances have raised, 100 at most.", default=()
    )
