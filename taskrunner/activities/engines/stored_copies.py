"""What a Hive script for Spark reads and writes of DynamoDB: copied before it, and back after it.

The rows lie on S3 as JSON objects, beside those of data nodes that are staged (see `elsewhere`).
All that the script has put into its tables is looked at before the first item is written, so that a
row that is no item leaves the tables as they were.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice

from taskrunner.activities.base import Context
from taskrunner.activities.dynamodb import Connect, TableUse, export_table, import_table
from taskrunner.activities.engines.elsewhere import NO_PLACE, staging_folder
from taskrunner.activities.engines.stored_by import (
    BadTable,
    StoredScript,
    StoredTable,
    insert_view,
    read_script,
)
from taskrunner.data.dynamodb.calls import Named
from taskrunner.data.dynamodb.export_files import find_files, lines
from taskrunner.data.dynamodb.items import BadItem, from_line, to_line
from taskrunner.data.dynamodb.typed_rows import TypedRows
from taskrunner.errors import ErrorId, PermanentTaskError
from taskrunner.model.steps.works import Pairs

_ROWS = 1000
_FILE = "rows"
#: Spark makes no view of a folder that is not there; what begins so is not read.
_PLACEHOLDER = "_empty"


def why_not_spark(ctx: Context, text: str | None, variables: Pairs) -> str | None:
    """What in a Hive script spark-sql cannot do; None where nothing is known. Starts nothing."""
    try:
        script = read_script(text or "", variables)
    except BadTable as error:
        return str(error)
    for table in script.tables:
        if staging_folder(ctx.task, table.name) is None:
            return f"the table {table.name} is copied to S3 for the script, and {NO_PLACE}"
    return None


@contextmanager
def with_copies(
    ctx: Context, text: str, variables: Pairs, connect: Connect | None
) -> Iterator[str]:
    """The script for Spark, while the block lasts; then what it wrote becomes items.

    Raises TaskError.
    """
    if reason := why_not_spark(ctx, text, variables):
        raise PermanentTaskError(reason, error_id=ErrorId.UNSUPPORTED_TYPE)
    script = read_script(text, variables)
    if not script.tables:
        yield text
        return
    copies = _Copies(ctx, script, connect)
    copies.before()
    yield script.text(lambda view: f"{copies.folder(view)}rows/")
    copies.after()


class _Copies:
    """The copies for one script."""

    def __init__(self, ctx: Context, script: StoredScript, connect: Connect | None) -> None:
        self._ctx, self._script, self._connect = ctx, script, connect

    def folder(self, view: str) -> str:
        """Where the rows and items of a view are."""
        return staging_folder(self._ctx.task, view) or ""

    def before(self) -> None:
        """Copy what the script reads, and make room for what it writes."""
        self._clear()
        for table in self._script.tables:
            if table.is_read:
                self._read(table)
            for number in table.inserts:
                placeholder = f"{self.folder(insert_view(number))}rows/{_PLACEHOLDER}"
                with self._ctx.objects.open_write(placeholder):
                    pass

    def after(self) -> None:
        """Make items of what the script wrote: each INSERT's after those of the one before."""
        tables = self._script.tables
        written = {number: table for table in tables for number in table.inserts}
        for number, table in written.items():
            self._to_items(self.folder(insert_view(number)), table)
        for number, table in sorted(written.items(), key=lambda one: one[0]):
            folder = self.folder(insert_view(number))
            self._ctx.log.info("Copying %sitems/ into %s", folder, table.table)
            use = self._use(table, table.write_share)
            import_table(self._ctx, use, f"{folder}items/{_FILE}")
        self._clear()

    def _clear(self) -> None:
        """Remove the copies, also those of an attempt that ended in their midst."""
        for table in self._script.tables:
            for view in table.views:
                for info in list(self._ctx.objects.list(self.folder(view))):
                    self._ctx.objects.delete(info.uri)

    def _use(self, table: StoredTable, share: float) -> TableUse:
        main = self._ctx.task.main
        owner = f"{main.type} {main.component_id!r}, table {table.name} of its script"
        named = Named(table=table.table, owner=owner, field="dynamodb.table.name")
        return TableUse(named=named, share=share, region=table.region, connect=self._connect)

    def _read(self, table: StoredTable) -> None:
        folder = self.folder(table.name)
        self._ctx.log.info("Copying %s to %srows/", table.table, folder)
        export_table(self._ctx, self._use(table, table.read_share), f"{folder}items/")
        rows = TypedRows(table.columns)

        def found() -> Iterator[bytes]:
            for uri in find_files(self._ctx.objects, f"{folder}items/"):
                for number, line in lines(self._ctx.objects, uri):
                    with _told_of(table, f"{uri}, line {number}"):
                        yield rows.line(from_line(line))

        self._write(f"{folder}rows/{_FILE}", found())

    def _to_items(self, folder: str, table: StoredTable) -> None:
        rows = TypedRows(table.columns)

        def found() -> Iterator[bytes]:
            for info in self._ctx.objects.list(f"{folder}rows/"):
                if info.uri.rpartition("/")[2].startswith(("_", ".")):
                    continue
                for number, line in lines(self._ctx.objects, info.uri):
                    with _told_of(table, f"{info.uri}, line {number}"):
                        yield to_line(rows.item(line))

        self._write(f"{folder}items/{_FILE}", found())

    def _write(self, uri: str, found: Iterable[bytes]) -> None:
        rest = iter(found)
        with self._ctx.objects.open_write(uri) as target:
            while batch := list(islice(rest, _ROWS)):
                target.write(b"".join(batch))
                self._ctx.check_canceled()


@contextmanager
def _told_of(table: StoredTable, where: str) -> Iterator[None]:
    try:
        yield
    except BadItem as error:
        message = f"the table {table.name} of DynamoDB, {where}: {error}"
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD) from error
