"""HiveCopyActivity: items between DynamoDB and S3, or two tables, with a filter; without Hive."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from taskrunner.activities.base import Activity, Context
from taskrunner.activities.dynamodb import Connect, TableUse, connected, export_table, import_table
from taskrunner.activities.engines.around import check_config, run_config, warn
from taskrunner.activities.engines.steps import Steps
from taskrunner.clock import Clock, SystemClock
from taskrunner.data.dynamodb.copy import Copier, Side
from taskrunner.data.dynamodb.filter.parser import parse
from taskrunner.data.dynamodb.filter.tokens import BadFilter
from taskrunner.data.dynamodb.items import Item
from taskrunner.data.dynamodb.nodes import (
    TABLE_NODE,
    Columns,
    ItemsNode,
    TableNode,
    items_node,
    table_node,
)
from taskrunner.data.dynamodb.table import described
from taskrunner.data.formats.compression import Compression
from taskrunner.errors import ErrorId, PermanentTaskError
from taskrunner.model.task import TaskObject


class HiveCopyActivity(Activity):
    """Copies the items of `input` that `filterSql` lets pass to `output`."""

    type = "HiveCopyActivity"

    def __init__(self, connect: Connect | None = None, clock: Clock | None = None) -> None:
        self._connect = connect
        self._clock = clock or SystemClock()

    def run(self, ctx: Context) -> None:
        """Copy, and log what was moved."""
        main = ctx.task.main
        source, target = _node(main, "input"), _node(main, "output")
        copy = self._copy_of(ctx, source, target, self._filter(main, source.columns))
        check_config(ctx)
        warn(ctx)
        # The copy needs no engine; scripts run where those of the other activities do.
        engine = Steps.prepare(ctx, ()).engine
        run_config(ctx, "preActivityTaskConfig", engine)
        copy()
        run_config(ctx, "postActivityTaskConfig", engine)

    def _copy_of(
        self,
        ctx: Context,
        source: TableNode | ItemsNode,
        target: TableNode | ItemsNode,
        wants: Callable[[Item], bool] | None,
    ) -> Callable[[], object]:
        """The way from one node to the other; raises PermanentTaskError where there is none."""
        if isinstance(source, TableNode) and isinstance(target, ItemsNode):
            _check_folder(target)
            return partial(self._export, ctx, source, target, wants)
        if isinstance(source, ItemsNode) and isinstance(target, TableNode):
            use = self._use(target, write=True)
            return partial(import_table, ctx, use, source.files.uri, wants=wants)
        if isinstance(source, TableNode) and isinstance(target, TableNode):
            return partial(self._copy, ctx, source, target, wants)
        problem = "found an S3DataNode as input and output, wanted a table"
        raise _invalid(ctx.task.main, "output", problem)

    def _use(self, node: TableNode, *, write: bool = False) -> TableUse:
        share = node.write_share if write else node.read_share
        return TableUse(named=node.named, share=share, region=node.region, connect=self._connect)

    def _filter(self, main: TaskObject, columns: Columns) -> Callable[[Item], bool] | None:
        text = main.get("filterSql")
        if text is None or not text.strip():
            return None
        types: Mapping[str, str] = columns.types
        try:
            return parse(text, columns=types, now=self._clock.now())
        except BadFilter as error:
            raise _invalid(main, "filterSql", str(error)) from error

    def _export(
        self,
        ctx: Context,
        source: TableNode,
        target: ItemsNode,
        wants: Callable[[Item], bool] | None,
    ) -> None:
        export_table(
            *(ctx, self._use(source), target.files.uri),
            gzip=target.files.compression is Compression.GZIP,
            encrypt=target.files.encrypt,
            keep=_keep(wants, source.columns),
            kept=f"{ctx.task.main.get('filterSql') or ''} {source.columns}",
        )

    def _copy(
        self,
        ctx: Context,
        source: TableNode,
        target: TableNode,
        wants: Callable[[Item], bool] | None,
    ) -> None:
        keep = _keep(wants, source.columns)

        def project(item: Item) -> Item | None:
            kept = keep(item)
            return None if kept is None else target.columns.project(kept)

        reading, writing = self._use(source), self._use(target, write=True)
        with connected(ctx, reading) as reads, connected(ctx, writing) as writes:
            copier = Copier(
                Side(calls=reads, table=described(reads, source.named), share=reading.share),
                Side(calls=writes, table=described(writes, target.named), share=writing.share),
                keep=project,
                monitor=ctx,
                log=ctx.log,
                clock=self._clock,
            )
            moved = copier.run()
        ctx.progress(items=moved.rows, bytes=moved.bytes, percent=100)
        units = (copier.reads.consumed, copier.writes.consumed)
        ctx.log.info("Copied %d items; %g read and %g write units", moved.rows, *units)


def _check_folder(node: ItemsNode) -> None:
    if not node.files.is_directory:
        message = (
            f"S3DataNode {node.id!r}, field 'filePath': items are written into the files of a "
            "folder, wanted directoryPath"
        )
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)


def _keep(wants: Callable[[Item], bool] | None, columns: Columns) -> Callable[[Item], Item | None]:
    return lambda item: columns.project(item) if wants is None or wants(item) else None


def _node(activity: TaskObject, key: str) -> TableNode | ItemsNode:
    nodes = activity.related(key)
    if len(nodes) != 1:
        raise _invalid(activity, key, f"found {len(nodes)} data nodes, wanted one")
    if nodes[0].type == TABLE_NODE:
        return table_node(nodes[0])
    if nodes[0].type == "S3DataNode":
        return items_node(nodes[0])
    found = f"found the {nodes[0].type} {nodes[0].component_id!r}"
    raise _invalid(activity, key, f"{found}, wanted a {TABLE_NODE} or an S3DataNode")


def _invalid(activity: TaskObject, key: str, problem: str) -> PermanentTaskError:
    message = f"HiveCopyActivity {activity.component_id!r}, field {key!r}: {problem}"
    return PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
