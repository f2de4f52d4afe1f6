"""Moving rows and files from one data node to another, with bounded memory.

Whatever ends a transfer early leaves the target as it was: an object appears when its last byte is
known to be good, and a load is one transaction. Only a copy of many files is not one step: each
file appears whole, several at a time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from taskrunner.data.databases.base import Batch, Database, Result, Target
from taskrunner.data.databases.load_fence import LoadFence
from taskrunner.data.databases.registry import open_database
from taskrunner.data.databases.text import NotAsText
from taskrunner.data.fitting.columns import LossyValueError
from taskrunner.data.fitting.rules import OnLossyValue
from taskrunner.data.formats.base import Column, RowWriter
from taskrunner.data.formats.compression import compressing
from taskrunner.data.formats.quoting import TextDialect
from taskrunner.data.keyed_unload import unload_ranges
from taskrunner.data.node_reader import NodeReader
from taskrunner.data.nodes import FileNode, TableNode
from taskrunner.data.objects.base import ObjectInfo, ObjectStore
from taskrunner.data.partitions import KEYS_OF_A_PARTITION, in_turns, readers_of
from taskrunner.data.settings import DataSettings
from taskrunner.data.source_files import SourceFiles
from taskrunner.data.transfer_parts import (
    Piece,
    around,
    can_keep,
    check_apart,
    check_columns,
    check_joinable,
    check_partitions,
    columns_of,
    declared_types,
    goal,
    in_charset,
    keyed_table,
    open_kept,
    select_all,
    with_types,
)
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError

_LOG = logging.getLogger(__name__)


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
        partitions: int = 1,
    ) -> None:
        """`resume`: go on with what an earlier attempt of the run has kept, and keep as much.

        `partitions`: how many connections read a table side by side.
        """
        self._objects = objects
        self._settings = settings
        self._monitor = monitor
        self._file_name = file_name
        self._on_lossy_value = on_lossy_value
        self._resume = resume
        self._partitions = partitions
        #: What reads the source's files, where it is files.
        self._reader: NodeReader | None = None
        #: Bytes of the source files: how many there are (0: not known), how many have been read.
        self._total = self._read = 0
        self._files = SourceFiles(objects)
        self.moved = Moved()

    def copy(self, source: FileNode | TableNode, target: FileNode | TableNode) -> Moved:
        """Copy everything; returns what was moved. Raises TaskError."""
        if isinstance(target, FileNode) and target.is_manifest:
            message = (
                f"S3DataNode {target.id!r} has only a manifestFilePath, which lists what is read; "
                "an output needs a filePath or directoryPath"
            )
            raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
        if self._partitions > 1:
            check_partitions(source, target)
        if isinstance(source, FileNode):
            self._total = self._files.size(source)
            reader = self._reader = NodeReader(
                self._objects, source, self._files, count=self._count
            )
            if isinstance(target, FileNode):
                self._files_to_files(source, reader, target)
            else:
                with reader.rows() as rows:
                    batches = self._watched(rows.batches)
                    self._load(target, reader.lines(rows, batches, self._loaded), rows.columns)
        elif isinstance(target, FileNode):
            if not self._unload_by_key(source, target):
                self._unload(source, target)
        else:
            with self._query(source) as result:
                self._load(target, self._watched(result.batches), ())
        return self.moved

    def _unload_by_key(self, source: TableNode, target: FileNode) -> bool:
        """Unload a table so that the next attempt can go on; false, and nothing done, if not."""
        try:
            return self._unload_ranges(source, target, by_lines=True)
        except NotAsText:
            # Goes on behind the last range that was whole.
            self.moved = Moved()
            return self._unload_ranges(source, target, by_lines=False)

    def _unload_ranges(self, source: TableNode, target: FileNode, *, by_lines: bool) -> bool:
        uri, several = self._target_uri(target), self._partitions > 1
        if not target.format.is_joinable:
            check_joinable(target, partitions=self._partitions)
            return False
        keeps = self._resume and can_keep(self._objects, uri)
        if not keeps and not several:
            return False
        with open_database(source.database, self._settings) as database:
            table = keyed_table(database, source, partitions=self._partitions)
            progress = table.cut(KEYS_OF_A_PARTITION if several else None) if table else None
            if table is None or progress is None:
                return False
            count, plan = self._partitions, table.plan(target) if keeps else None
            with (
                readers_of(database, source, table.table, self._settings, count=count) as readers,
                open_kept(self._objects, uri, plan=plan, encrypt=target.encrypt) as writer,
            ):
                unload_ranges(
                    table,
                    progress,
                    writer,
                    read=lambda queries: in_turns(
                        queries, readers, partial(self._pieces, target=target, by_lines=by_lines)
                    ),
                    compress=lambda inner: compressing(inner, target.compression),
                    count=self._count_moved,
                )
                self._monitor.check_canceled()
        self.moved.files += 1
        return True

    def _pieces(
        self, database: Database, query: str, target: FileNode, *, by_lines: bool
    ) -> Iterator[Piece]:
        dialect = target.format.text if by_lines else None
        if dialect is not None:
            with database.stream_text(query, dialect) as found:
                if found is not None:
                    check_columns(target, found.columns)
                    yield from ((some.data, some.rows) for some in found.lines)
                    return
        with database.stream(query) as result:
            check_columns(target, result.columns)
            writer = target.format.writer(columns_of(result))
            for batch in result.batches:
                yield writer.encode(batch), len(batch)

    def _count_moved(self, rows: int, size: int) -> None:
        self.moved.rows += rows
        self.moved.bytes += size
        self._tell(rows=self.moved.rows)
        self._monitor.check_canceled()

    @contextmanager
    def _query(self, node: TableNode, *, typed: bool = False) -> Iterator[Result]:
        """What a node gives; `typed`: with what is known of the columns' types."""
        with open_database(node.database, self._settings) as database:
            query = node.select_query or select_all(database, node)
            declared: Mapping[str, str] = {}
            if typed and not node.select_query:
                declared = declared_types(database, database.table(node.table, node.schema))
            with database.stream(query) as result:
                yield with_types(result, declared)

    def _unload(self, source: TableNode, target: FileNode) -> None:
        """By whole lines where the database can write the format, else by rows."""
        uri, dialect = self._target_uri(target), target.format.text
        try:
            if dialect is not None and self._write_text(uri, source, target, dialect):
                return
        except NotAsText:
            self.moved = Moved()
        with self._query(source, typed=target.format.text is None) as result:
            self._write(uri, target, result)

    def _write_text(
        self, uri: str, source: TableNode, target: FileNode, dialect: TextDialect
    ) -> bool:
        """Make one object of what the database writes; false, and nothing made, if it does not."""
        with open_database(source.database, self._settings) as database:
            query = source.select_query or select_all(database, source)
            with database.stream_text(query, dialect) as result:
                if result is None:
                    return False
                check_columns(target, result.columns)
                writer = target.format.writer([Column(name=name) for name in result.columns])
                rows = ((some.data, some.rows) for some in result.lines)
                self._write_pieces(uri, target, writer, rows, names=result.columns)
        return True

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
                database.load(target, batches)
            except LossyValueError as error:
                raise self._in_its_file(error) from error
            except TaskError as error:
                if not self._was_applied(node, target, error):
                    raise
            if fence is not None:
                fence.check()

    def _in_its_file(self, error: LossyValueError) -> TaskError:
        """The same, told of the row in its file."""
        place = self._reader.place_of(error.row) if self._reader is not None else None
        if place is None:
            return error
        return LossyValueError(error.problem, row=place[1], source=place[0])

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
        check_columns(node, result.columns)
        writer = node.format.writer(columns_of(result))
        rows = ((writer.encode(batch), len(batch)) for batch in result.batches)
        self._write_pieces(uri, node, writer, rows, names=result.columns)

    def _write_pieces(
        self,
        uri: str,
        node: FileNode,
        writer: RowWriter,
        rows: Iterable[Piece],
        *,
        names: tuple[str, ...],
    ) -> None:
        """Make one object of what its rows are as bytes, and what is around them."""
        pieces = in_charset(around(writer, rows), node.format, names, target=uri)
        self._monitor.check_canceled()
        with self._objects.open_write(uri, encrypt=node.encrypt) as opened:
            with compressing(opened, node.compression) as put:
                self._pass_on(pieces, put)
            self._monitor.check_canceled()
        self.moved.files += 1

    def _pass_on(self, pieces: Iterable[Piece], put: Callable[[bytes], object]) -> None:
        for data, rows in pieces:
            put(data)
            self.moved.bytes += len(data)
            self.moved.rows += rows
            self._tell(rows=self.moved.rows)
            self._monitor.check_canceled()

    def _files_to_files(self, source: FileNode, reader: NodeReader, target: FileNode) -> None:
        check_apart(source, target)
        as_bytes = source.has_same_bytes_as(target)
        if source.is_many and not target.is_directory:
            with reader.rows() as rows:
                result = Result(columns=rows.columns, batches=rows.batches)
                self._write(target.uri, target, result)
            return
        if as_bytes and source.is_directory:
            self._copy_directory(source, target)
            return
        for uri in self._files.uris(source, all_files=as_bytes):
            to = self._goal(uri, source, target)
            if as_bytes:
                self._monitor.check_canceled()
                self._copied(self._objects.copy(uri, to, encrypt=target.encrypt))
            else:
                with reader.opened(uri, source.format.columns) as opened:
                    result = Result(columns=opened.columns, batches=iter(opened.batches))
                    self._write(to, target, result)

    def _copy_directory(self, source: FileNode, target: FileNode) -> None:
        def wanted() -> Iterator[tuple[ObjectInfo, str]]:
            for info in self._files.in_directory(source, all_files=True):
                self._monitor.check_canceled()
                yield info, self._goal(info.uri, source, target)

        for size in self._objects.copy_all(wanted(), encrypt=target.encrypt):
            self._copied(size)

    def _copied(self, size: int) -> None:
        self.moved.bytes += size
        self.moved.files += 1
        self._read = self.moved.bytes
        self._tell(files=self.moved.files)

    def _goal(self, uri: str, source: FileNode, target: FileNode) -> str:
        to = goal(uri, source, target)
        if to == uri:
            message = f"{target.id!r} would write over {uri}, which {source.id!r} reads"
            raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
        return to

    def _loaded(self, rows: int) -> None:
        self.moved.rows += rows
        self._tell(rows=self.moved.rows)
        self._monitor.check_canceled()

    def _target_uri(self, node: FileNode) -> str:
        if not node.is_directory:
            return node.uri
        extension = node.format.extension + node.compression.extension
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
