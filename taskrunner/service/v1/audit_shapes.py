"""What /v1 answers about changes that somebody asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from taskrunner.service.v1.schema import about


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One change."""

    id: str = about("The entry's id.")
    at: datetime = about("When it was asked for.")
    user: str = about("Who asked for it.")
    operation: str = about("The operation of AWS's API that it was, or that stands for it.")
    subject: str = about("The pipeline, or the agent, that it was about.")
    key_id: str | None = about("The access key; left out: none was needed.", default=None)
    address: str | None = about("Where the request came from.", default=None)
    objects: str | None = about("Which of its objects.", default=None)
    before: str | None = about("How it was.", default=None)
    after: str | None = about("What it was made, or what was asked for.", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditList:
    """A page of changes."""

    entries: tuple[AuditEntry, ...] = about("The page, newest first.")
    marker: str | None = about(
        "Ask for the next page with this; left out after the last one.", default=None
    )
