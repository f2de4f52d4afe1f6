"""Data nodes that are not on S3, as tables of a script: their rows are copied to S3 before it.

What the script puts into such a table is copied from S3 after it. So Hive and Pig need neither a
driver nor a storage handler, and what is read and written is what CopyActivity and HiveCopyActivity
read and write. The copies lie below `generatedScriptsPath`, else `pipelineLogUri`, and are removed
when the script has run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import ClassVar, Self

from taskrunner.activities.base import Context
from taskrunner.activities.dynamodb import Connect, TableUse, export_table, import_table
from taskrunner.data.databases.registry import open_database
from taskrunner.data.dynamodb.export_files import find_files, lines
from taskrunner.data.dynamodb.items import BadItem, from_line, to_line
from taskrunner.data.dynamodb.nodes import TABLE_NODE, TableNode, table_node
from taskrunner.data.dynamodb.rows import Rows
from taskrunner.data.formats.base import Format
from taskrunner.data.formats.compression import chunks
from taskrunner.data.formats.delimited import Delimited
from taskrunner.data.nodes import FileNode
from taskrunner.data.nodes import table_node as sql_node
from taskrunner.data.transfer import Transfer
from taskrunner.data.transfer_parts import select_all
from taskrunner.errors import ErrorId, PermanentTaskError
from taskrunner.model.document import Field, PipelineObject, Ref
from taskrunner.model.task import Task, TaskObject

SQL_NODES = ("SqlDataNode", "MySqlDataNode", "RedshiftDataNode")
Row = Sequence[str | None]
#: What the rows' file is called.
_FILE = "rows"
_ROWS = 1000
#: Stands between columns for Pig, which knows no escape character.
PIG_SEPARATOR = "\x01"
_PIG_FORBIDDEN = (PIG_SEPARATOR, "\n", "\r")


#: Why there is no staging folder, as a part of a sentence.
NO_PLACE = (
    "neither generatedScriptsPath nor pipelineLogUri names a place there for a copy of its rows"
)


def staging_folder(task: Task, name: str) -> str | None:
    """Where the rows of a table of a script are copied to on S3, with a slash at its end.

    None: the activity names no place there.
    """
    places = (task.main.get("generatedScriptsPath"), task.main.get("pipelineLogUri"))
    place = next(filter(None, places), None)
    if place is None:
        return None
    instance = task.instance_id.removeprefix("@").replace(":", "-")
    return f"{place.rstrip('/')}/staging/{task.pipeline_id}/{instance}/{name}/"


@dataclass(frozen=True)
class PigRows(Format):
    """Values between separators as PigStorage has them: an empty text is NULL."""

    extension: ClassVar[str] = ""

    @classmethod
    def from_object(cls, described: TaskObject | None) -> Self:
        """The only one there is."""
        return cls()

    def encode(self, batch: Iterable[Row]) -> bytes:
        """The bytes of some rows; raises PermanentTaskError for a text that Pig would cut."""
        return "".join(f"{PIG_SEPARATOR.join(map(self._value, row))}\n" for row in batch).encode()

    def _value(self, text: str | None) -> str:
        if text is not None and any(character in text for character in _PIG_FORBIDDEN):
            message = (
                f"Pig cannot be given the value {text[:60]!r}: it knows no way to write line ends "
                "within a value"
            )
            raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
        return text or ""

    def decode(self, chunks: Iterable[bytes], *, source: str) -> Iterator[Sequence[Row]]:
        """The rows, in batches."""
        rest = b""
        for chunk in chunks:
            *whole, rest = (rest + chunk).split(b"\n")
            if whole:
                yield [self._row(line) for line in whole]
        if rest:
            yield [self._row(rest)]

    @staticmethod
    def _row(line: bytes) -> list[str | None]:
        return [text or None for text in line.decode("utf-8").split(PIG_SEPARATOR)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lent:
    """A data node that is elsewhere, and where its rows are on S3 for the script's sake."""

    #: What the script calls it: `input1`.
    name: str
    node: TaskObject
    #: A URI with a slash at its end.
    folder: str
    #: `NAME TYPE` each, or a name alone; empty where nobody asks.
    columns: tuple[str, ...]

    @property
    def is_input(self) -> bool:
        """Whether the script reads it."""
        return self.name.startswith("input")

    @property
    def rows(self) -> str:
        """The folder of the rows."""
        return f"{self.folder}rows/"

    @property
    def items(self) -> str:
        """The folder of DynamoDB's items."""
        return f"{self.folder}items/"

    def stand_in(self, separator: str | None) -> TaskObject:
        """An S3DataNode in its place, of the format that its rows are copied in."""
        name = f"{self.node.id}/{self.name}"
        columns = [Field("column", column) for column in self.columns]
        layout = [] if separator is None else [Field("columnSeparator", separator)]
        kind = Field("type", "CSV" if separator is None else "Custom")
        fmt = PipelineObject(id=f"{name}/format", name=self.name, fields=(kind, *columns, *layout))
        fields = (
            Field("type", "S3DataNode"),
            Field("directoryPath", self.rows),
            Field("dataFormat", Ref(fmt.id)),
        )
        obj = PipelineObject(id=name, name=self.node.name, fields=fields)
        task = self.node.task
        return TaskObject(obj, replace(task, objects={**task.objects, fmt.id: fmt, name: obj}))


class Elsewhere:
    """The nodes of one script that are elsewhere."""

    def __init__(
        self,
        ctx: Context,
        used: Mapping[str, TaskObject],
        *,
        pig: bool,
        connect: Connect | None = None,
    ) -> None:
        """Raises TaskError for a node whose rows cannot be had."""
        self._ctx = ctx
        self._connect = connect
        self._format: Format = PigRows() if pig else Delimited()
        self._separator = PIG_SEPARATOR if pig else None
        self._lent = [
            Lent(
                name=name,
                node=node,
                folder=self._folder(name),
                columns=self._columns(name, node),
            )
            for name, node in used.items()
            if node.type != "S3DataNode"
        ]

    @property
    def stand_ins(self) -> Mapping[str, TaskObject]:
        """The S3DataNodes in their places, by the variable's name."""
        return {one.name: one.stand_in(self._separator) for one in self._lent}

    def before(self) -> None:
        """Copy to S3 what the script reads; raises TaskError."""
        self._clear()
        for one in self._lent:
            if one.is_input:
                self._ctx.log.info("Copying %s to %s", one.node.component_id, one.rows)
                is_dynamodb = one.node.type == TABLE_NODE
                copy = self._items_to_rows if is_dynamodb else self._query_to_rows
                copy(one)

    def after(self) -> None:
        """Copy from S3 what the script wrote; raises TaskError."""
        for one in self._lent:
            if not one.is_input:
                self._ctx.log.info("Copying %s into %s", one.rows, one.node.component_id)
                is_dynamodb = one.node.type == TABLE_NODE
                copy = self._rows_to_items if is_dynamodb else self._rows_to_table
                copy(one)
        self._clear()

    def _clear(self) -> None:
        """Remove the copies, also those of an attempt that ended in their midst."""
        for one in self._lent:
            for info in list(self._ctx.objects.list(one.folder)):
                self._ctx.objects.delete(info.uri)

    # -- what there is -----------------------------------------------------------------------------

    def _columns(self, name: str, node: TaskObject) -> tuple[str, ...]:
        if node.type == TABLE_NODE:
            return _columns_of_items(node)
        if node.type not in SQL_NODES:
            raise _invalid(node, f"it cannot be staged as ${{{name}}}")
        if fmt := node.one("dataFormat"):
            return fmt.all("column")
        is_pig = self._separator is not None
        if is_pig and name.startswith("output"):
            return ()  # a STORE of Pig's has none
        described = sql_node(node)
        with open_database(described.database, self._ctx.data) as database:
            query = described.select_query or select_all(database, described)
            with database.stream(query) as result:
                return result.columns

    def _folder(self, name: str) -> str:
        folder = staging_folder(self._ctx.task, name)
        if folder is None:
            raise _invalid(self._ctx.task.main, f"${{{name}}} is not on S3, and {NO_PLACE}")
        return folder

    # -- tables of databases -----------------------------------------------------------------------

    def _query_to_rows(self, one: Lent) -> None:
        self._transfer().copy(sql_node(one.node), self._files(one))

    def _rows_to_table(self, one: Lent) -> None:
        if not list(self._written(one)):
            self._ctx.log.info("The script has written no rows for %s", one.node.component_id)
            return
        self._transfer().copy(self._files(one), sql_node(one.node))

    def _transfer(self) -> Transfer:
        return Transfer(self._ctx.objects, self._ctx.data, self._ctx, file_name=_FILE)

    def _files(self, one: Lent) -> FileNode:
        return FileNode(
            id=one.node.component_id,
            uri=one.rows,
            is_directory=True,
            format=self._format,
        )

    # -- tables of DynamoDB ------------------------------------------------------------------------

    def _items_to_rows(self, one: Lent) -> None:
        node = table_node(one.node)
        export_table(self._ctx, self._use(node, node.read_share), one.items)
        with self._ctx.objects.open_write(f"{one.rows}{_FILE}") as target:
            for batch in _batches(self._rows_of_items(one, Rows(node.columns.types))):
                target.write(self._format.encode(batch))
                self._ctx.check_canceled()

    def _rows_of_items(self, one: Lent, rows: Rows) -> Iterator[Row]:
        for uri in find_files(self._ctx.objects, one.items):
            for number, line in lines(self._ctx.objects, uri):
                with _told_of(one.node, f"{uri}, line {number}"):
                    yield rows.row(from_line(line))

    def _rows_to_items(self, one: Lent) -> None:
        node = table_node(one.node)
        with self._ctx.objects.open_write(f"{one.items}{_FILE}") as target:
            for batch in _batches(self._rows_written(one)):
                target.write(self._lines(one, Rows(node.columns.types), batch))
                self._ctx.check_canceled()
        import_table(self._ctx, self._use(node, node.write_share), f"{one.items}{_FILE}")

    def _lines(self, one: Lent, rows: Rows, batch: Sequence[Row]) -> bytes:
        with _told_of(one.node, "a row of the script's"):
            return b"".join(to_line(rows.item(row)) for row in batch)

    def _rows_written(self, one: Lent) -> Iterator[Row]:
        for uri in self._written(one):
            with self._ctx.objects.open_read(uri) as reader:
                for batch in self._format.decode(chunks(reader), source=uri):
                    yield from batch

    def _written(self, one: Lent) -> Iterator[str]:
        """The files that the script has written: those of an empty answer may be none."""
        for info in self._ctx.objects.list(one.rows):
            if not info.uri.rpartition("/")[2].startswith(("_", ".")):
                yield info.uri

    def _use(self, node: TableNode, share: float) -> TableUse:
        return TableUse(named=node.named, share=share, region=node.region, connect=self._connect)


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while batch := list(islice(rows, _ROWS)):
        yield batch


@contextmanager
def _told_of(node: TaskObject, where: str) -> Iterator[None]:
    try:
        yield
    except BadItem as error:
        raise _invalid(node, f"{where}: {error}") from error


def _columns_of_items(node: TaskObject) -> tuple[str, ...]:
    fmt, types = node.one("dataFormat"), table_node(node).columns.types
    if fmt is None or not types:
        raise _invalid(
            node,
            "to be staged as a table it needs a DynamoDBDataFormat that lists the attributes, each "
            "a column NAME TYPE: items have no columns of their own",
        )
    try:
        Rows(types)
    except ValueError as error:
        raise _invalid(node, str(error)) from error
    return fmt.all("column")


def _invalid(described: TaskObject, problem: str) -> PermanentTaskError:
    message = f"{described.type} {described.component_id!r}: {problem}"
    return PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
