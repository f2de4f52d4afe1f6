"""What a transfer is made of: readers that count, names of files, what must not be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from taskrunner.data.databases.base import Database, Result
from taskrunner.data.formats.base import Column, Format, RowWriter
from taskrunner.data.formats.charset import refuse_character
from taskrunner.data.keyed_unload import KeyedTable
from taskrunner.data.nodes import FileNode, TableNode
from taskrunner.data.objects.base import (
    CheckpointedWriter,
    ObjectReader,
    ObjectStore,
    ObjectWriter,
    ResumableStore,
    Tagged,
)
from taskrunner.errors import ErrorId, PermanentTaskError


class Counted:
    """A reader that tells how much is read."""

    def __init__(self, reader: ObjectReader, count: Callable[[int], None]) -> None:
        self._reader = reader
        self._count = count

    def read(self, size: int = -1, /) -> bytes:
        """As the reader's own."""
        data = self._reader.read(size)
        self._count(len(data))
        return data


class Unkept:
    """A writer of whose object nothing is kept for the next attempt."""

    state: str | None = None

    def __init__(self, writer: ObjectWriter) -> None:
        self.write = writer.write
        self._writer = writer

    @property
    def etag(self) -> str:
        """As the writer's own, where it knows one."""
        return self._writer.etag if isinstance(self._writer, Tagged) else ""

    def checkpoint(self, state: str) -> None:
        """Nothing is kept."""


def can_keep(store: ObjectStore, uri: str) -> bool:
    """Whether what is written of an object is kept for the next attempt."""
    return isinstance(store, ResumableStore) and store.can_resume(uri)


@contextmanager
def open_kept(
    store: ObjectStore, uri: str, *, plan: str | None, encrypt: bool | None
) -> Iterator[CheckpointedWriter]:
    """Write an object; with a plan, so that the next attempt can go on with it."""
    if plan is not None and isinstance(store, ResumableStore):
        with store.open_resumable(uri, plan=plan, encrypt=encrypt) as kept:
            yield kept
    else:
        with store.open_write(uri, encrypt=encrypt) as writer:
            yield Unkept(writer)


def check_place(target: FileNode | TableNode) -> None:
    """Refuse an output that names no place; raises PermanentTaskError."""
    if isinstance(target, FileNode) and target.is_manifest:
        message = (
            f"S3DataNode {target.id!r} has only a manifestFilePath, which lists what is read; "
            "an output needs a filePath or directoryPath"
        )
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)


def check_partitions(source: FileNode | TableNode, target: FileNode | TableNode) -> None:
    """Refuse partitions where nothing is read by ranges; raises PermanentTaskError."""
    if isinstance(source, TableNode) and isinstance(target, FileNode):
        return
    message = (
        f"partitions: found a copy of {source.id!r} to {target.id!r}, wanted one of a table to a "
        "file or an object in S3"
    )
    raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)


def keyed_table(database: Database, node: TableNode, *, partitions: int) -> KeyedTable | None:
    """The node's table, if it is read by ranges; raises PermanentTaskError where it has to be."""
    table = KeyedTable.find(database, node)
    if table is None and partitions > 1:
        what = (
            "a query" if node.select_query else f"the table {node.table!r}, which has no such key"
        )
        message = (
            f"partitions: found {what} in {node.id!r}, wanted a table whose primary key is one "
            "column of whole numbers"
        )
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
    return table


def select_all(database: Database, node: TableNode) -> str:
    """The query for every row of a node's table."""
    return f"SELECT * FROM {database.table(node.table, node.schema)}"  # noqa: S608  it is quoted


def goal(uri: str, source: FileNode, target: FileNode) -> str:
    """The URI that one of the source's files gets in the target."""
    if not target.is_directory:
        return target.uri
    base = source.uri if source.is_directory else uri.rpartition("/")[0] + "/"
    name = uri.removeprefix(base)
    if source.compression is not target.compression:
        name = name.removesuffix(source.compression.extension) + target.compression.extension
    return target.uri + name


def check_apart(source: FileNode, target: FileNode) -> None:
    """Refuse what would read its own output."""
    inside = target.uri.startswith(source.uri) if source.is_directory else False
    if inside or source.uri == target.uri:
        message = f"{target.id!r} ({target.uri}) lies inside {source.id!r} ({source.uri})"
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)


def check_joinable(node: FileNode, *, partitions: int) -> None:
    """Refuse partitions of what is not put together of pieces; raises PermanentTaskError."""
    if partitions > 1:
        message = (
            f"partitions: found a data format of {node.id!r} with names or a character set of its "
            "own, wanted rows alone, in UTF-8: pieces of it do not make one file"
        )
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)


def columns_of(result: Result) -> list[Column]:
    """The columns of a query's answer, or of files, with what is known of their types."""
    types = result.types or [""] * len(result.columns)
    return [Column(name=n, type=t) for n, t in zip(result.columns, types, strict=True)]


#: SQLite, of whose answers the columns tell no types, has numbers for them.
_NO_BOOLEANS = {"boolean": "integer", "bool": "integer"}


def declared_types(database: Database, table: str) -> Mapping[str, str]:
    """The types of a table's columns by their names; `table` is its name in SQL."""
    columns = database.target_columns(table)
    return {c.name: _NO_BOOLEANS.get(c.type.lower(), c.type) for c in columns}


def with_types(result: Result, declared: Mapping[str, str]) -> Result:
    """With the types of the table's columns, where answers tell none, as SQLite's do."""
    if result.types or not declared:
        return result
    return replace(result, types=tuple(declared.get(name, "") for name in result.columns))


#: Bytes that are so many rows.
Piece = tuple[bytes, int]


def around(writer: RowWriter, rows: Iterable[Piece]) -> Iterator[Piece]:
    """A file's rows, with what is before and behind them."""
    if begin := writer.begin():
        yield begin, 0
    yield from rows
    if end := writer.end():
        yield end, 0


def in_charset(
    pieces: Iterator[Piece], form: Format, names: Sequence[str], *, target: str
) -> Iterator[Piece]:
    """Pieces of UTF-8 as the format's character set has them; raises PermanentTaskError."""
    charset = form.charset
    if charset.is_utf8:
        yield from pieces
        return
    encoder = charset.encoder()
    before = 0
    for data, rows in pieces:
        try:
            yield encoder.encode(data.decode()), rows
        except UnicodeEncodeError as error:
            found = (row for batch in form.decode([data], source=target) for row in batch)
            raise refuse_character(
                charset, found, names, target=target, rows_before=before
            ) from error
        before += rows


def check_columns(node: FileNode, found: tuple[str, ...]) -> None:
    """Refuse an answer of another width than the file's format; raises PermanentTaskError."""
    expected = node.format.columns
    if expected and found and len(expected) != len(found):
        message = (
            f"the query gives {len(found)} columns ({', '.join(found)}), but the data format "
            f"of {node.id!r} lists {len(expected)} ({', '.join(expected)})"
        )
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
    if node.format.has_names and expected != found and set(expected) == set(found):
        message = (
            f"the data format of {node.id!r} lists the columns {', '.join(expected)}, but they are "
            f"read in the order {', '.join(found)}: values would come under the wrong names"
        )
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
