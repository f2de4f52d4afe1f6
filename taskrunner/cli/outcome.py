"""How a run on this machine ended: what there is to report, and where its things are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from taskrunner.cli.snapshot import Snapshot
from taskrunner.model.instances import Category
from taskrunner.model.log_names import safe_name
from taskrunner.model.rows import AttemptRow, InstanceRow
from taskrunner.model.states import InstanceStatus
from taskrunner.service.definitions import LoadedDefinition, Moment
from taskrunner.service.engine import Service

#: The fields of a data node that say where it is.
_PATH_FIELDS = ("filePath", "directoryPath")


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What an activity wrote: a data node, in the activity's period."""

    node: str
    type: str
    #: Where it is, of nodes that have a path.
    uri: str | None = None
    #: The table, of nodes in databases.
    table: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where things of a run are to be found."""

    #: The run's own folder; the logs of all its attempts are below it.
    folder: Path
    logs: Path
    #: The folder that stands for S3; None: a real S3.
    s3_root: Path | None = None
    #: Instance id of an activity that finished -> what it wrote.
    outputs: Mapping[str, tuple[Output, ...]] = field(default_factory=dict)
    #: Instance id -> its pipelineLogUri, where the definition has one.
    log_uris: Mapping[str, str] = field(default_factory=dict)

    def shown(self, uri: str) -> str:
        """A URI as a person would open it: the file or folder that stands for it."""
        if self.s3_root is not None and uri.startswith("s3://"):
            return str(self.s3_root / uri.removeprefix("s3://"))
        return uri

    def path_of(self, uri: str) -> str | None:
        """The path on this machine that a URI stands for, if there is one."""
        shown = self.shown(uri)
        return None if "://" in shown else shown

    def attempt_logs(self, row: InstanceRow, attempt: AttemptRow) -> Path:
        """The folder with an attempt's logs on this machine."""
        ids = (row.pipeline_id, row.component_id, row.instance_id, attempt.attempt_id)
        return self.logs.joinpath(*map(safe_name, ids))


@dataclass(frozen=True, slots=True, kw_only=True)
class CutWait:
    """A component whose retryDelay was longer than this run waited."""

    component: str
    #: What retryDelay says, or the default.
    delay: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended."""

    snapshot: Snapshot
    places: Places
    #: Where the definition is from.
    source: str
    began: datetime
    took_s: float
    #: The number of the signal that ended it before its time.
    interrupted: int | None = None
    #: Why it was given up, if it was.
    trouble: str | None = None
    #: Waits that were cut, to how many seconds at most.
    cut_waits: tuple[CutWait, ...] = ()
    longest_wait_s: float = 0.0

    @property
    def verdict(self) -> str:
        """The run's status in one word."""
        if self.snapshot.succeeded:
            return "FINISHED"
        return "FAILED" if self.interrupted is None else "CANCELED"


def find_places(service: Service, snapshot: Snapshot, places: Places) -> Places:
    """The places with what the instances of a run wrote, and where their logs were sent."""
    outputs: dict[str, tuple[Output, ...]] = {}
    log_uris: dict[str, str] = {}
    for row in snapshot.instances:
        loaded = service.loaded(row.pipeline_id, row.version)
        moment = Moment(start=row.scheduled_start, end=row.scheduled_end)
        if row.category == Category.ACTIVITY and row.status is InstanceStatus.FINISHED:
            outputs[row.instance_id] = _outputs(loaded.for_eyes, row.component_id, moment)
        if log_uri := loaded.for_eyes.text(row.component_id, "pipelineLogUri", moment):
            log_uris[row.instance_id] = log_uri.rstrip("/")
    return Places(
        folder=places.folder,
        logs=places.logs,
        s3_root=places.s3_root,
        outputs=outputs,
        log_uris=log_uris,
    )


def _outputs(loaded: LoadedDefinition, component: str, moment: Moment) -> tuple[Output, ...]:
    return tuple(
        Output(
            node=ref.id,
            type=loaded.objects[ref.id].type or "",
            uri=next(
                filter(None, (loaded.text(ref.id, key, moment) for key in _PATH_FIELDS)), None
            ),
            table=loaded.text(ref.id, "table", moment),
        )
        for ref in loaded.objects[component].refs("output")
        if ref.id in loaded.objects
    )


def find_cut_waits(
    load: Callable[[str, int], LoadedDefinition], snapshot: Snapshot
) -> tuple[CutWait, ...]:
    """The components that were tried again sooner than their retryDelay says."""
    found: dict[str, CutWait] = {}
    for row in snapshot.instances:
        loaded = load(row.pipeline_id, row.version)
        moment = Moment(start=row.scheduled_start, end=row.scheduled_end)
        if row.attempt_count < 2 or row.component_id in found:
            continue
        told = LoadedDefinition(loaded.definition).policy(row.component_id, moment)
        cut = loaded.policy(row.component_id, moment)
        checks = row.category == Category.PRECONDITION
        wanted, given = (
            (told.recheck_delay, cut.recheck_delay)
            if checks
            else (told.retry_delay, cut.retry_delay)
        )
        if given < wanted:
            text = loaded.for_eyes.text(row.component_id, "retryDelay", moment)
            default = f"{wanted.total_seconds() / 60:g} minutes"
            found[row.component_id] = CutWait(component=row.component_id, delay=text or default)
    return tuple(found.values())
