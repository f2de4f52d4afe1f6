"""Moving rows and files from one data node to another, with bounded memory.

Whatever ends a transfer early leaves the target as it was: an object appears when its last byte is
known to be good, and a load is one transaction. Only a copy of many files is not one step: each
file appears whole, in the order of their keys.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

from taskrunner.data.databases.base import Batch, Database, Result, Target
from taskrunner.data.databases.load_fence import LoadFence
from taskrunner.data.databases.registry import open_database
from taskrunner.data.fitting.columns import LossyValueError
from taskrunner.data.fitting.rules import OnLossyValue
from taskrunner.data.formats.compression import GzipWriter, chunks, gunzipped
from taskrunner.data.keyed_unload import KeyedTable, Sink, unload_ranges
from taskrunner.data.manifest import files_of, names_of
from taskrunner.data.nodes import FileNode, TableNode
from taskrunner.data.objects.base import (
    ObjectInfo,
    ObjectReader,
    ObjectStore,
    ObjectWriter,
    ResumableStore,
)
from taskrunner.data.settings import DataSettings
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError

_LOG = logging.getLogger(__name__)
_GZIP_MAGIC = b"\x1f\x8b"


class Monitor(Protocol):
    """Who is told how far a transfer is, and may end it by raising."""

    def progress(self, **fields: str | int) -> None:
        """Say what has been done so far."""
        ...

    def check_canceled(self) -> None:
        """Raise when the transfer must stop."""
        ...


@dataclass(slots=True)
class Moved:
    """What a transfer has done so far."""

    files: int = 0
    rows: int = 0
    bytes: int = 0

    def __str__(self) -> str:
        counts = {"files": self.files, "rows": self.rows, "bytes": self.bytes}
        return ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "nothing"


class Transfer:
    """One copy; `file_name` is what a file made in a directory is called, without extension."""

    def __init__(
        self,
        objects: ObjectStore,
        settings: DataSettings,
        monitor: Monitor,
        *,
        file_name: str,
        on_lossy_value: OnLossyValue = OnLossyValue.FAIL,
        resume: bool = True,
    ) -> None:
        """`resume`: go on with what an earlier attempt of the run has kept, and keep as much."""
        self._objects = objects
        self._settings = settings
        self._monitor = monitor
        self._file_name = file_name
        self._on_lossy_value = on_lossy_value
        self._resume = resume
        #: Of each source file that was begun, how many rows were before it.
        self._rows_before: list[tuple[int, str]] = []
        #: Bytes of the source files: how many there are (0: not known), how many have been read.
        self._total = self._read = 0
        self._manifests: dict[str, list[ObjectInfo]] = {}
        self.moved = Moved()

    def copy(self, source: FileNode | TableNode, target: FileNode | TableNode) -> Moved:
        """Copy everything; returns what was moved. Raises TaskError."""
        if isinstance(target, FileNode) and target.is_manifest:
            message = (
                f"S3DataNode {target.id!r} has only a manifestFilePath, which lists what is read; "
                "an output needs a filePath or directoryPath"
            )
            raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
        if isinstance(source, FileNode):
            self._total = self._size(source)
            if isinstance(target, FileNode):
                self._files_to_files(source, target)
            else:
                self._load(target, self._rows_of_files(source), source.format.columns)
        elif isinstance(target, FileNode):
            if not self._unload_by_key(source, target):
                with self._query(source) as result:
                    self._write(self._target_uri(target), target, result)
        else:
            with self._query(source) as result:
                self._load(target, result.batches, ())
        return self.moved

    def _unload_by_key(self, source: TableNode, target: FileNode) -> bool:
        """Unload a table so that the next attempt can go on; false, and nothing done, if not."""
        uri, store = self._target_uri(target), self._objects
        if not (self._resume and isinstance(store, ResumableStore) and store.can_resume(uri)):
            return False
        with open_database(source.database, self._settings) as database:
            table = KeyedTable.find(database, source)
            progress = table.cut() if table is not None else None
            if table is None or progress is None:
                return False
            plan = table.plan(target)
            with store.open_resumable(uri, plan=plan, encrypt=target.encrypt) as writer:
                unload_ranges(
                    table,
                    progress,
                    writer,
                    pieces=lambda query: self._pieces(database, query, target),
                    sink=lambda inner: _sink(inner, gzip=target.gzip),
                    count=self._count_moved,
                )
                self._monitor.check_canceled()
        self.moved.files += 1
        return True

    def _pieces(
        self, database: Database, query: str, target: FileNode
    ) -> Iterator[tuple[bytes, int]]:
        with database.stream(query) as result:
            self._check_columns(target, result.columns)
            for batch in result.batches:
                yield target.format.encode(batch), len(batch)

    def _count_moved(self, rows: int, size: int) -> None:
        self.moved.rows += rows
        self.moved.bytes += size
        self._tell(rows=self.moved.rows)
        self._monitor.check_canceled()

    @contextmanager
    def _query(self, node: TableNode) -> Iterator[Result]:
        with open_database(node.database, self._settings) as database:
            query = node.select_query or select_all(database, node)
            with database.stream(query) as result:
                yield result

    def _load(self, node: TableNode, batches: Iterable[Batch], columns: tuple[str, ...]) -> None:
        target = Target(
            table=node.table,
            schema=node.schema,
            columns=columns,
            insert_query=node.insert_query,
            create_table_sql=node.create_table_sql,
            on_lossy_value=self._on_lossy_value,
        )
        with open_database(node.database, self._settings) as database:
            fence = None
            if self._settings.claim is not None:
                fence = LoadFence(database, target, self._settings.claim)
                if not fence.may_load():
                    return
            try:
                database.load(target, self._watched(batches))
            except LossyValueError as error:
                raise self._in_its_file(error) from error
            except TaskError as error:
                if not self._was_applied(node, target, error):
                    raise
            if fence is not None:
                fence.check()

    def _in_its_file(self, error: LossyValueError) -> TaskError:
        """The same, told of the row in its file."""
        begun = [(before, uri) for before, uri in self._rows_before if before < error.row]
        if not begun:
            return error
        before, uri = begun[-1]
        return LossyValueError(error.problem, row=error.row - before, source=uri)

    def _was_applied(self, node: TableNode, target: Target, error: TaskError) -> bool:
        """Whether a load that lost its connection had been committed: the reply alone was lost."""
        if error.error_id != ErrorId.CONNECTION_FAILED or self._settings.claim is None:
            return False
        with suppress(TaskError), open_database(node.database, self._settings) as again:
            if LoadFence(again, target, self._settings.claim).was_applied():
                _LOG.warning("The load was committed, though no answer came (%s)", error)
                return True
        return False

    def _write(self, uri: str, node: FileNode, result: Result) -> None:
        """Make one object of all rows."""
        self._check_columns(node, result.columns)
        with self._objects.open_write(uri, encrypt=node.encrypt) as writer:
            sink = GzipWriter(writer) if node.gzip else writer
            for batch in self._watched(result.batches):
                self.moved.bytes += sink.write(node.format.encode(batch))
            if isinstance(sink, GzipWriter):
                sink.finish()
            self._monitor.check_canceled()
        self.moved.files += 1

    def _check_columns(self, node: FileNode, found: tuple[str, ...]) -> None:
        expected = node.format.columns
        if expected and found and len(expected) != len(found):
            message = (
                f"the query gives {len(found)} columns ({', '.join(found)}), but the data format "
                f"of {node.id!r} lists {len(expected)} ({', '.join(expected)})"
            )
            raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)

    def _files_to_files(self, source: FileNode, target: FileNode) -> None:
        _check_apart(source, target)
        as_bytes = source.has_same_bytes_as(target)
        if source.is_many and not target.is_directory:
            result = Result(columns=(), batches=self._rows_of_files(source))
            self._write(target.uri, target, result)
            return
        for uri in self._uris(source, all_files=as_bytes):
            goal = _goal(uri, source, target)
            if goal == uri:
                message = f"{target.id!r} would write over {uri}, which {source.id!r} reads"
                raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
            if as_bytes:
                self._monitor.check_canceled()
                self.moved.bytes += self._objects.copy(uri, goal, encrypt=target.encrypt)
                self.moved.files += 1
                self._read = self.moved.bytes
                self._tell(files=self.moved.files)
            else:
                batches = self._rows_of_file(uri, source)
                self._write(goal, target, Result(columns=(), batches=batches))

    def _rows_of_files(self, node: FileNode) -> Iterator[Batch]:
        width: int | None = None
        count = 0
        for uri in self._uris(node, all_files=False):
            self._rows_before.append((count, uri))
            for batch in self._rows_of_file(uri, node):
                count += len(batch)
                width = width or len(batch[0])
                if len(batch[0]) != width:
                    message = f"{uri}: rows have {len(batch[0])} values, those before {width}"
                    raise TaskError(message)
                yield batch

    def _rows_of_file(self, uri: str, node: FileNode) -> Iterator[Batch]:
        with self._objects.open_read(uri) as opened:
            reader = _Counted(opened, self._count)
            if node.gzip:
                data = gunzipped(reader, source=uri)
            else:
                data = _not_compressed(chunks(reader), uri)
            yield from node.format.decode(data, source=uri)

    def _uris(self, node: FileNode, *, all_files: bool) -> Iterator[str]:
        """A node's objects, in the order of their keys; markers only where files are copied."""
        if node.is_manifest:
            yield from names_of(self._listed(node), node.uri).values()
            return
        if not node.is_directory:
            yield node.uri
            return
        empty = True
        for info in self._objects.list(node.uri):
            empty = False
            name = info.uri.rpartition("/")[2]
            if name and (all_files or not name.startswith(("_", "."))):
                yield info.uri
        if empty:
            message = f"there is no object in {node.uri} (S3DataNode {node.id!r})"
            raise TaskError(message, error_id=ErrorId.NOT_FOUND)

    def _listed(self, node: FileNode) -> list[ObjectInfo]:
        """The files that a node's manifest lists; it is read once."""
        if node.uri not in self._manifests:
            self._manifests[node.uri] = files_of(self._objects, node.uri)
        return self._manifests[node.uri]

    def _target_uri(self, node: FileNode) -> str:
        if not node.is_directory:
            return node.uri
        extension = node.format.extension + (".gz" if node.gzip else "")
        return node.uri + self._file_name + extension

    def _watched(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Pass batches on; between two of them the transfer may be stopped, and is told."""
        self._monitor.check_canceled()
        for batch in batches:
            yield batch
            self.moved.rows += len(batch)
            self._tell(rows=self.moved.rows)
            self._monitor.check_canceled()

    def _tell(self, **counts: int) -> None:
        """How far it is; how far of all, where the source has a size."""
        if self._total:
            counts["percent"] = min(100 * self._read // self._total, 100)
        self._monitor.progress(**counts, bytes=self.moved.bytes)

    def _count(self, size: int) -> None:
        self._read += size

    def _size(self, node: FileNode) -> int:
        """How many bytes a node's files have; what is missing is found when it is read."""
        if node.is_manifest:
            return sum(info.size for info in self._listed(node))
        if node.is_directory:
            return sum(info.size for info in self._objects.list(node.uri))
        found = self._objects.stat(node.uri)
        return found.size if found else 0


class _Counted:
    """A reader that tells how much is read."""

    def __init__(self, reader: ObjectReader, count: Callable[[int], None]) -> None:
        self._reader = reader
        self._count = count

    def read(self, size: int = -1, /) -> bytes:
        data = self._reader.read(size)
        self._count(len(data))
        return data


def _sink(writer: ObjectWriter, *, gzip: bool) -> Sink:
    """What takes the bytes of a range; each range is a gzip member of its own."""
    if not gzip:
        return writer, _nothing
    zipped = GzipWriter(writer)
    return zipped, zipped.finish


def _nothing() -> None:
    """Nothing is left to be written."""


def select_all(database: Database, node: TableNode) -> str:
    """The query for every row of a node's table."""
    return f"SELECT * FROM {database.table(node.table, node.schema)}"  # noqa: S608  it is quoted


def _goal(uri: str, source: FileNode, target: FileNode) -> str:
    """The URI that one of the source's files gets in the target."""
    if not target.is_directory:
        return target.uri
    base = source.uri if source.is_directory else uri.rpartition("/")[0] + "/"
    name = uri.removeprefix(base)
    if source.gzip and not target.gzip:
        name = name.removesuffix(".gz")
    elif target.gzip and not source.gzip:
        name += ".gz"
    return target.uri + name


def _check_apart(source: FileNode, target: FileNode) -> None:
    """Refuse what would read its own output."""
    inside = target.uri.startswith(source.uri) if source.is_directory else False
    if inside or source.uri == target.uri:
        message = f"{target.id!r} ({target.uri}) lies inside {source.id!r} ({source.uri})"
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)


def _not_compressed(data: Iterator[bytes], uri: str) -> Iterator[bytes]:
    first = next(data, b"")
    if first.startswith(_GZIP_MAGIC):
        message = f"{uri} holds gzip data: set the data node's compression to gzip"
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
    yield first
    yield from data
