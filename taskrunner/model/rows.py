"""Instances and attempts as the store keeps them: the planner's input, as values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from operator import attrgetter
from typing import Any, Self

from taskrunner.model.states import AttemptStatus, InstanceStatus


class Row:
    """A dataclass with slots, each of which is a column."""

    __slots__ = ()

    @classmethod
    def from_columns(cls, found: Mapping[Any, Any]) -> Self:
        """The value of one result row; columns that the class does not name are left out."""
        names: tuple[str, ...] = cls.__slots__
        return cls(**{key: value for key, value in found.items() if key in names})

    @classmethod
    def of_all(cls, names: tuple[str, ...], values: Sequence[Any]) -> Self:
        """The value of one result row that has a column for each field, in any order.

        By the fields' own slots: what a frozen class makes of keywords takes five times as long.
        """
        row = cls.__new__(cls)
        kind: Any = cls
        for put, value in zip(_putters(names, kind), values, strict=True):
            put(row, value)
        row.__post_init__()
        return row

    def __post_init__(self) -> None:
        """Of those whose values are not yet what their fields hold."""

    def columns(self) -> dict[str, Any]:
        """The inverse of `from_columns`."""
        names: tuple[str, ...] = self.__slots__
        return dict(zip(names, _getter(names)(self), strict=True))


@cache
def _putters(names: tuple[str, ...], cls: Any) -> Sequence[Callable[[Row, Any], None]]:
    """Writes the fields of a new row. Raises ValueError when not every one of them is named."""
    if {*names} != {*cls.__slots__}:
        raise ValueError(f"{cls.__name__} has other fields than these columns: {', '.join(names)}")
    return [getattr(cls, name).__set__ for name in names]


@cache
def _getter(names: tuple[str, ...]) -> Callable[[Row], tuple[Any, ...]]:
    """Reads many columns at once: one after the other would cost twice as much."""
    return attrgetter(*names)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceRow(Row):
    """One component in one period."""

    pipeline_id: str
    instance_id: str
    component_id: str
    name: str
    type: str
    category: str
    version: int
    status: InstanceStatus
    scheduled_start: datetime
    scheduled_end: datetime
    not_before: datetime
    created_at: datetime
    actual_start: datetime | None = None
    actual_end: datetime | None = None
    worker_group: str | None = None
    node_id: str | None = None
    attempt_count: int = 0
    failures: int = 0
    late_fired: bool = False
    error_id: str | None = None
    error_message: str | None = None
    cause: str | None = None
    resource_handle: str | None = None
    due_at: datetime | None = None
    reruns: int = 0
    place_wanted: bool = False
    #: The backfill that has begun it last.
    backfill_id: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "status", InstanceStatus(self.status))


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRow(Row):
    """One try of an instance, and its place in the worker group's queue."""

    pipeline_id: str
    attempt_id: str
    instance_id: str
    number: int
    status: AttemptStatus
    worker_group: str
    queue: str
    ready_at: datetime
    lease_s: float
    created_at: datetime
    task_id: str | None = None
    report_by: datetime | None = None
    timeout_s: float | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    hostname: str | None = None
    error_id: str | None = None
    error_message: str | None = None
    error_stack_trace: str | None = None
    progress: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "status", AttemptStatus(self.status))
