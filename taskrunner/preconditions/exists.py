"""Exists: whether the data of the data node that has this precondition are there."""

from __future__ import annotations

from taskrunner.activities.base import Context, Precondition
from taskrunner.data.databases.registry import open_database
from taskrunner.data.nodes import FileNode, TableNode, node_of
from taskrunner.errors import ErrorId, PermanentTaskError


class Exists(Precondition):
    """True once the node's object, any object of its directory, its table, or a row is there.

    A row is asked for where the node has a `selectQuery`.
    """

    type = "Exists"

    def check(self, ctx: Context) -> bool:
        """Look for the data."""
        described = ctx.task.main.one("node")
        if described is None:
            message = f"Exists {ctx.task.component_id!r} is not the precondition of a data node"
            raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
        node = node_of(described)
        return _has_files(ctx, node) if isinstance(node, FileNode) else _has_rows(ctx, node)


def _has_files(ctx: Context, node: FileNode) -> bool:
    if node.is_directory:
        return next(ctx.objects.list(node.uri), None) is not None
    return ctx.objects.stat(node.uri) is not None


def _has_rows(ctx: Context, node: TableNode) -> bool:
    with open_database(node.database, ctx.data) as database:
        if node.select_query is None:
            return database.find_table(node.table, node.schema) is not None
        with database.stream(node.select_query) as result:
            return next(result.batches, None) is not None
