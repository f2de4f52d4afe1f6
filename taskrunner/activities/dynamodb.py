"""Tables of DynamoDB to S3, back, and into one another, with the context of an attempt.

For HiveCopyActivity, the steps of EmrActivity that name AWS's export or import, and whatever else
needs a table's items as files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from taskrunner.activities.base import Context
from taskrunner.clock import SystemClock
from taskrunner.data.dynamodb.calls import Calls, Named
from taskrunner.data.dynamodb.export import Export, Exporter
from taskrunner.data.dynamodb.export_files import folder_of
from taskrunner.data.dynamodb.items import Item
from taskrunner.data.dynamodb.load import Import, Importer
from taskrunner.data.dynamodb.nodes import region_of
from taskrunner.data.dynamodb.table import DEFAULT_SHARE, described
from taskrunner.data.transfer_progress import Moved
from taskrunner.errors import TaskError
from taskrunner.model.task import TaskObject

#: Makes the way to DynamoDB in a region (None: that of boto3's configuration), as a role or not.
Connect = Callable[[str | None, str | None], Calls]


class Step(Protocol):
    """What a step with AWS's DynamoDBExport or DynamoDBImport asks for."""

    @property
    def is_export(self) -> bool:
        """Whether the table is read, not written."""
        ...

    @property
    def path(self) -> str:
        """The folder of the export."""
        ...

    @property
    def table(self) -> str:
        """The table's name, or its ARN."""
        ...

    @property
    def ratio(self) -> float | None:
        """The share of the table's throughput; None: AWS's default."""
        ...

    @property
    def segments(self) -> int | None:
        """How many segments a scan has; None: as many as suit the table."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TableUse:
    """A table, and how it is reached and used."""

    named: Named
    #: The share of its read or write capacity.
    share: float
    #: None: that of the table's ARN, else that of the agent.
    region: str | None = None
    connect: Connect | None = None


def run_step(ctx: Context, step: Step, *, field: str, connect: Connect | None = None) -> Moved:
    """Do what a step asks for; `field` is the one that it stands in. Raises TaskError."""
    main = ctx.task.main
    use = TableUse(
        named=Named(table=step.table, owner=f"{main.type} {main.component_id!r}", field=field),
        share=DEFAULT_SHARE if step.ratio is None else step.ratio,
        region=region_of_step(main, step),
        connect=connect,
    )
    if step.is_export:
        return export_table(ctx, use, step.path, segments=step.segments)
    return import_table(ctx, use, step.path)


def region_of_step(activity: TaskObject, step: Step) -> str | None:
    """The region that a step's table is in: of its data node, else of the cluster.

    On EMR, a step's table is in the region of the cluster that runs it.
    """
    nodes = activity.related("input" if step.is_export else "output")
    ours = [node for node in nodes if node.get("tableName") == step.table]
    places = [*ours, *activity.related("runsOn")]
    return region_of(step.table, next(filter(None, (one.get("region") for one in places)), None))


def export_table(
    ctx: Context,
    use: TableUse,
    path: str,
    *,
    segments: int | None = None,
    gzip: bool = False,
    encrypt: bool | None = None,
    keep: Callable[[Item], Item | None] | None = None,
    kept: str = "",
) -> Moved:
    """Export a table into a folder; raises TaskError.

    `kept` tells one `keep` from another, so that no attempt goes on with files of another filter.
    """
    export = Export(
        folder=folder_of(path),
        share=use.share,
        segments=segments,
        gzip=gzip,
        encrypt=encrypt,
        keep=keep,
        owner=f"{ctx.task.pipeline_id} {ctx.task.instance_id} {kept}",
    )
    with connected(ctx, use) as calls:
        exporter = Exporter(
            export,
            calls=calls,
            table=described(calls, use.named),
            objects=ctx.objects,
            monitor=ctx,
            log=ctx.log,
            clock=SystemClock(),
        )
        moved = exporter.run()
    ctx.progress(items=moved.rows, bytes=moved.bytes, files=moved.files, percent=100)
    units = exporter.limiter.consumed
    ctx.log.info("Exported %d items in %s; %g read units", moved.rows, _files(moved), units)
    return moved


def import_table(
    ctx: Context, use: TableUse, path: str, *, wants: Callable[[Item], bool] | None = None
) -> Moved:
    """Import a folder's export, or one object of it, into a table; raises TaskError."""
    with connected(ctx, use) as calls:
        importer = Importer(
            Import(uri=path, share=use.share, wants=wants),
            calls=calls,
            table=described(calls, use.named),
            objects=ctx.objects,
            monitor=ctx,
            log=ctx.log,
            clock=SystemClock(),
        )
        moved = importer.run()
    ctx.progress(items=moved.rows, bytes=moved.bytes, files=moved.files, percent=100)
    units = importer.limiter.consumed
    ctx.log.info("Imported %d items of %s; %g write units", moved.rows, _files(moved), units)
    return moved


@contextmanager
def connected(ctx: Context, use: TableUse, *, role: str | None = None) -> Iterator[Calls]:
    """The way to the region of a table, while the block lasts; raises TaskError."""
    region = region_of(use.named.table, use.region) or ctx.data.region
    try:
        calls = (use.connect or _connect)(region, role)
    except TaskError as error:
        origin = use.named.origin if role is None else f"{use.named.owner}, field 'role'"
        raise TaskError(f"{origin}: {error}", error_id=error.error_id) from error
    try:
        yield calls
    finally:
        calls.close()


def _connect(region: str | None, role: str | None) -> Calls:
    # Here because botocore is large: most tasks need none of it.
    from taskrunner.data.dynamodb.client import connect

    return connect(region, role)


def _files(moved: Moved) -> str:
    return "1 file" if moved.files == 1 else f"{moved.files} files"
