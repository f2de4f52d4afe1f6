"""What a copy would do: `taskrunner copy --dry-run` reads a little, and writes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from taskrunner.cli.copy_places import STDIN, STDOUT, End
from taskrunner.cli.copy_progress import size_of
from taskrunner.data.databases.base import Database, Row
from taskrunner.data.databases.registry import open_database
from taskrunner.data.formats.compression import plain_bytes
from taskrunner.data.nodes import FileNode, TableNode, node_of
from taskrunner.data.objects.base import ObjectStore
from taskrunner.data.settings import DataSettings
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError
from taskrunner.model.task import Task
from taskrunner.plain import shortened, visible

_SAMPLE = 5
_WIDEST = 40
#: A table's rows and bytes, about, as each server keeps count; `{0}` is its name, `{1}` its schema.
_SIZES = {
    "postgresql": "SELECT CASE WHEN reltuples >= 0 THEN reltuples::bigint END, pg_table_size(oid) "
    "FROM pg_catalog.pg_class WHERE oid = {0}::regclass",
    "mysql": "SELECT table_rows, data_length FROM information_schema.tables "
    "WHERE table_schema = COALESCE({1}, DATABASE()) AND table_name = {0}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """About how much there is; None: unknown."""

    rows: int | None = None
    bytes: int | None = None
    #: Of a source that is files.
    files: int | None = None

    def __str__(self) -> str:
        parts = [f"{self.files} files"] if self.files is not None else []
        parts += [f"about {self.rows:,} rows"] if self.rows is not None else []
        parts += [size_of(self.bytes)] if self.bytes is not None else []
        return ", ".join(parts) or "not known before it is read"


class Preview:
    """A look at both ends of a copy."""

    def __init__(self, task: Task, objects: ObjectStore, data: DataSettings) -> None:
        self._task, self._objects, self._data = task, objects, data

    def lines(self, source: End, target: End) -> Iterator[str]:
        """What would be copied from where to where; raises TaskError for what would fail."""
        yield f"source  {source.shown}"
        node = node_of(self._task.object(source.node.id))
        if isinstance(node, FileNode):
            yield from self._file_lines(node)
        else:
            yield from self._query_lines(node)
        yield f"target  {target.shown}"
        yield from self._target_lines(node_of(self._task.object(target.node.id)))
        yield "Nothing was written: this was a dry run."

    def rows(self, source: End) -> int | None:
        """About how many rows a table has, if its server keeps count."""
        node = node_of(self._task.object(source.node.id))
        if isinstance(node, FileNode) or node.select_query:
            return None
        with open_database(node.database, self._data) as database:
            return _size_of_table(database, node).rows

    def _query_lines(self, node: TableNode) -> Iterator[str]:
        with open_database(node.database, self._data) as database:
            size = Size() if node.select_query else _size_of_table(database, node)
            query = node.select_query or (
                f"SELECT * FROM {database.table(node.table, node.schema)}"  # noqa: S608  quoted
            )
            yield f"query   {' '.join(query.split())}"
            yield f"size    {size}"
            declared = {}
            if not node.select_query:
                name = database.table(node.table, node.schema)
                declared = {column.name: column.type for column in database.target_columns(name)}
            with database.stream(query) as result:
                rows = list(islice((row for batch in result.batches for row in batch), _SAMPLE))
                types = [declared.get(name, "") for name in result.columns]
                types = (
                    [found or other for found, other in zip(types, result.types, strict=False)]
                    if result.types
                    else types
                )
                yield from _sample(result.columns, types, rows)

    def _file_lines(self, node: FileNode) -> Iterator[str]:
        if node.uri == STDIN:
            yield f"size    {Size()}"
            return
        found = list(self._objects.list(node.uri)) if node.is_directory else []
        if not node.is_directory:
            info = self._objects.stat(node.uri)
            found = [info] if info else []
        if not found:
            raise TaskError(f"there is nothing at {node.uri}", error_id=ErrorId.NOT_FOUND)
        size = sum(info.size for info in found)
        yield f"size    {Size(files=len(found), bytes=size)}"
        named = (info.uri for info in found)
        first = next((u for u in named if not u.rpartition("/")[2].startswith(("_", "."))), None)
        if first is None:
            return
        yield f"sample  {first}"
        with self._objects.open_read(first) as reader:
            data = plain_bytes(reader, node.compression, source=first)
            batches = node.format.decode(data, source=first)
            rows = list(islice((row for batch in batches for row in batch), _SAMPLE))
        yield from _sample(node.format.columns, (), rows)

    def _target_lines(self, node: FileNode | TableNode) -> Iterator[str]:
        if isinstance(node, FileNode):
            if node.uri == STDOUT:
                return
            there = not node.is_directory and self._objects.stat(node.uri) is not None
            yield f"        {node.uri}: {'there, and would be replaced' if there else 'new'}"
            return
        with open_database(node.database, self._data) as database:
            name = database.find_table(node.table, node.schema)
            if name is None and not node.create_table_sql:
                message = f"{database.spec}: there is no table {node.table!r}, and no --create"
                raise PermanentTaskError(message, error_id=ErrorId.NOT_FOUND)
            if name is None:
                yield f"        {node.table}: would be made first"
                return
            yield f"        {name}: there, and rows would be added"
            for column in database.target_columns(name):
                generated = "  (made by the server)" if column.is_generated else ""
                yield f"          {visible(column.name)}  {column.type}{generated}"


def _size_of_table(database: Database, node: TableNode) -> Size:
    query = _SIZES.get(database.spec.scheme)
    found = database.find_table(node.table, node.schema)
    if query is None or found is None:
        return Size()
    schema, table = database.split_name(node.table, node.schema)
    names = [found if database.spec.scheme == "postgresql" else table, schema]
    literals = ["NULL" if name is None else "'" + name.replace("'", "''") + "'" for name in names]
    with database.stream(query.format(*literals)) as result:
        row = next((row for batch in result.batches for row in batch), None)
    rows, size = (None if value is None else int(value) for value in row or (None, None))
    return Size(rows=rows, bytes=size)


def _sample(names: Sequence[str], types: Sequence[str], rows: Sequence[Row]) -> Iterator[str]:
    """A table: names, types where they are known, and the first rows."""
    lines = [list(names)] if names else []
    lines += [list(types)] if any(types) else []
    lines += [["NULL" if v is None else visible(v) for v in row] for row in rows]
    cells = [[shortened(text, _WIDEST) for text in line] for line in lines]
    widths = [max(map(len, column)) for column in zip(*cells, strict=False)]
    for line in cells:
        padded = (text.ljust(width) for text, width in zip(line, widths, strict=False))
        yield ("  " + "  ".join(padded)).rstrip()
    if not rows:
        yield "  (no rows)"
