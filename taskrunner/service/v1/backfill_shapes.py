"""What /v1 answers about backfills."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from taskrunner.service.v1.requests import Order, Redo
from taskrunner.service.v1.schema import about
from taskrunner.service.v1.shapes import Run


class BackfillState(StrEnum):
    """How a backfill is."""

    BEGINNING = "BEGINNING"  # not all of its periods have been set going yet
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"  # what of it has begun goes on, the rest waits
    FINISHED = "FINISHED"  # all of it has ended, well or not
    CANCELING = "CANCELING"  # what had not ended is being canceled
    CANCELED = "CANCELED"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillSummary:
    """A backfill, and how far it has come."""

    id: str = about("Its id.")
    pipeline_id: str = about("The pipeline.")
    state: BackfillState = about("How it is.")
    first: datetime = about("The start of the first period that was asked for.")
    last: datetime = about("The start of the last one.")
    redo: Redo = about("Which of these periods run.")
    components: tuple[str, ...] = about("Only these components; none: all.", default=())
    limit: int | None = about(
        "How many periods go on at once; left out: as many as have places.", default=None
    )
    order: Order = about("Which of them begin first.", default=Order.OLDEST)
    reason: str | None = about("Why, as who asked for it has said.", default=None)
    asked_by: str = about("Who asked for it.")
    asked_at: datetime = about("When.")
    periods: int = about("How many periods run.")
    begun: int = about("How many of them have been set going.")
    counts: Mapping[str, int] = about(
        "Its instances by their statuses, as far as they are kept. One that another backfill has "
        "begun since is that one's."
    )
    done: int = about("How many of its instances have ended.")
    total: int = about("How many instances it has.")
    paused_by: str | None = about("Who has paused it.", default=None)
    paused_at: datetime | None = about("Since when it is paused.", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillList:
    """A page of backfills."""

    backfills: tuple[BackfillSummary, ...] = about("The page, newest first.")
    marker: str | None = about(
        "Ask for the next page with this; left out after the last one.", default=None
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillRuns:
    """What has become of each run that a backfill has set going."""

    runs: tuple[Run, ...] = about(
        "The runs, oldest first; of each the instances that the backfill has begun last."
    )
