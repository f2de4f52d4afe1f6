"""What the service is told when it starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from taskrunner.model.selection import Selection
from taskrunner.service.resources.rules import Rules
from taskrunner.service.store.backend import Opening
from taskrunner.tracing import Tracing

#: The worker group in whose queue preconditions wait that the service checks itself.
CHECKS_GROUP = "service:preconditions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long the store keeps what is over."""

    #: Since it was over; of a version of a definition, since the next one took its place.
    days: float = 30
    #: Replaced versions of each definition.
    versions: int = 10
    #: Rows of each kind: runners, hand-outs, alarms, marks of deleted pipelines.
    rows: int = 100_000
    #: Runs: instances with their attempts, since they ended; None: until their pipeline goes.
    run_days: float | None = None
    #: Runs of each component, the newest; None: all.
    runs: int | None = None
    #: Where runs are written down before they go; None: nowhere.
    archive: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """Where the service finds the logs of attempts, to show them."""

    #: Where agents push those of pipelines without a pipelineLogUri; None: they keep them.
    log_uri: str | None = None
    #: Where agents of this host keep the logs of attempts, which is looked at first (local runs).
    kept: Path | None = None
    #: The local folders that logs may be read from.
    folders: tuple[Path, ...] = ()
    #: As agents have them: a folder that stands for S3, an endpoint other than AWS's, the region.
    s3_root: Path | None = None
    s3_endpoint: str | None = None
    region: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """Settings of the service; times in seconds."""

    database_url: str
    #: What may be done where the store is not the one that was here.
    opening: Opening = field(default_factory=Opening)
    #: How long a runner has to acknowledge a hand-out.
    ack_timeout_s: float = 120
    #: How long a runner may be silent; an object's reportProgressTimeout takes its place.
    lease_timeout_s: float = 300
    retention: Retention = field(default_factory=Retention)
    #: Occurrences to run at once instead of each in its own time (local runs).
    selection: Selection | None = None
    #: Waits between attempts are cut to this (local runs).
    retry_delay_cap: timedelta | None = None
    logs: LogSettings = field(default_factory=LogSettings)
    #: Where resources run; None: the provider of resources launches each.
    resources: Rules | None = None
    #: The types of preconditions that the service checks itself; agents check the others.
    checks: frozenset[str] = frozenset()
    #: Who is told what the service does, as spans.
    tracing: Tracing = field(default_factory=Tracing)
