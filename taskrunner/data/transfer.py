"""Moving rows and files from one data node to another, with bounded memory.

Whatever ends a transfer early leaves the target as it was: an object appears when its last byte is
known to be good, and a load is one transaction. Only a copy of many files is not one step: each
file appears whole, several at a time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial

from taskrunner.data.both_sides import BothSides, Etags, shown
from taskrunner.data.databases.base import Batch, Database, Result, RowRefusedError, Target
from taskrunner.data.databases.load_fence import LoadFence
from taskrunner.data.databases.registry import open_database
from taskrunner.data.databases.text import NotAsText
from taskrunner.data.databases.tolerant_load import TolerantLoad, width_of
from taskrunner.data.fitting.columns import LossyValueError, Row, RowWidthError
from taskrunner.data.fitting.rules import OnLossyValue
from taskrunner.data.formats.bad_rows import BadRow, BadRows
from taskrunner.data.formats.base import Column, RowWriter
from taskrunner.data.formats.compression import compressing
from taskrunner.data.formats.quoting import TextDialect
from taskrunner.data.keyed_unload import unload_ranges
from taskrunner.data.node_reader import NodeReader, in_its_file
from taskrunner.data.nodes import FileNode, TableNode
from taskrunner.data.objects.base import ObjectInfo, ObjectStore
from taskrunner.data.partitions import KEYS_OF_A_PARTITION, in_turns, readers_of
from taskrunner.data.rejects import Rejects
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
    check_place,
    columns_of,
    declared_types,
    goal,
    in_charset,
    keyed_table,
    open_kept,
    select_all,
    with_types,
)
from taskrunner.data.transfer_progress import Bounds, Monitor, Moved, TransferProgress
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError

_LOG = logging.getLogger(__name__)


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
        bounds: Bounds | None = None,
    ) -> None:
        """`resume`: go on with what an earlier attempt of the run has kept, and keep as much.

        `partitions`: how many connections read a table side by side.
        """
        bounds = bounds or Bounds()
        self._rejects = bounds.rejects
        self._progress = TransferProgress(monitor, bounds)
        self._objects = objects
        self._settings = settings
        self._file_name = file_name
        self._on_lossy_value = on_lossy_value
        self._resume = resume
        self._partitions = partitions
        #: What reads the source's files, where it is files.
        self._reader: NodeReader | None = None
        self._files = SourceFiles(objects)
        # Each file of the source becomes one of its own.
        self._is_one_of_many = False
        #: Of the objects that were made.
        self._made = Etags()
        #: Rows and checksums of source and target, where there are any.
        self.sides = BothSides()

    @property
    def moved(self) -> Moved:
        """What has been done so far."""
        return self._progress.moved

    def copy(self, source: FileNode | TableNode, target: FileNode | TableNode) -> Moved:
        """Copy everything; returns what was moved. Raises TaskError."""
        check_place(target)
        if self._partitions > 1:
            check_partitions(source, target)
        if isinstance(source, FileNode):
            self._progress.total = self._files.size(source)
            reader = self._reader = NodeReader(
                self._objects,
                source,
                self._files,
                count=self._progress.count_read,
                bad=self._bad_rows(),
            )
            if isinstance(target, FileNode):
                self._files_to_files(source, reader, target)
            elif self._rejects is not None:
                with reader.rows() as rows:
                    self._load(target, self._progress.watched(rows.batches), rows.columns)
            else:
                with reader.rows() as rows:
                    batches = self._progress.watched(rows.batches)
                    self._load(
                        target,
                        reader.lines(rows, batches, self._progress.count_loaded),
                        rows.columns,
                    )
        elif isinstance(target, FileNode):
            if not self._unload_by_key(source, target):
                self._unload(source, target)
        else:
            with self._query(source) as result:
                self._load(target, self._progress.watched(result.batches), ())
        if self._rejects is not None:
            self._rejects.finish(self.moved.rows)
        self._note_sides(target)
        return self.moved

    def _note_sides(self, target: FileNode | TableNode) -> None:
        sides, reader, moved = self.sides, self._reader, self.moved
        if isinstance(target, FileNode):
            sides.target_checksum = str(self._made)
            if reader is None or moved.rows:
                sides.source_rows = sides.target_rows = moved.rows
            if reader is None and moved.crc is not None:
                sides.source_checksum = shown(moved.crc)
        if reader is not None and sides.target_rows is not None:
            sides.source_checksum = str(reader.etags)
            if isinstance(target, TableNode):
                sides.target_checksum = str(reader.text_sum)
        if self._rejects is not None and sides.source_rows is not None:
            sides.source_rows += self._rejects.count

    def _bad_rows(self) -> BadRows | None:
        return BadRows(tell=self._rejects.add) if self._rejects is not None else None

    def _unload_by_key(self, source: TableNode, target: FileNode) -> bool:
        """Unload a table so that the next attempt can go on; false, and nothing done, if not."""
        try:
            return self._unload_ranges(source, target, by_lines=True)
        except NotAsText:
            # Goes on behind the last range that was whole.
            self._progress.moved = Moved()
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
                self.moved.crc = unload_ranges(
                    table,
                    progress,
                    writer,
                    read=lambda queries: in_turns(
                        queries, readers, partial(self._pieces, target=target, by_lines=by_lines)
                    ),
                    compress=lambda inner: compressing(inner, target.compression),
                    count=self._progress.count_written,
                    take_over=self._progress.take_over,
                )
                self._progress.check()
            self._made.add(uri, writer)
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
            self._progress.moved = Moved()
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
                    if self._rejects is not None:
                        self._rejects.leave()
                    return
            try:
                if self._rejects is not None:
                    took = self._load_tolerantly(database, node, target, batches, self._rejects)
                else:
                    took = database.load(target, batches)
                self.sides.took(took, sent=self.moved.rows, table=target.full_name)
            except (LossyValueError, RowRefusedError, RowWidthError) as error:
                raise in_its_file(error, self._reader) from error
            except TaskError as error:
                if not self._was_applied(node, target, error):
                    raise
            if fence is not None:
                fence.check()

    def _load_tolerantly(
        self,
        database: Database,
        node: TableNode,
        target: Target,
        batches: Iterable[Batch],
        rejects: Rejects,
    ) -> int:
        """Load the good rows; the others are in the reject file before anything is committed."""
        reader = self._reader
        if reader is not None and reader.bad is not None:
            reader.bad.width = width_of(database, target)

        def reject(row: int, values: Row, reason: str) -> None:
            source, number = (reader.place_of(row) if reader else None) or (node.id, row)
            told = BadRow(source=source, row=number, reason=reason, values=tuple(values))
            rejects.add(told)
            self.moved.rows -= 1

        load = TolerantLoad(database, target, reject)
        return load.run(batches, before_commit=rejects.finish)

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
        self._progress.check()
        with self._objects.open_write(uri, encrypt=node.encrypt) as opened:
            with compressing(opened, node.compression) as put:
                self._pass_on(pieces, put)
            self._progress.check()
            if self._rejects is not None and not self._is_one_of_many:
                self._rejects.finish(self.moved.rows)  # too many bad ones, and nothing appears
        self._made.add(uri, opened)
        self.moved.files += 1

    def _pass_on(self, pieces: Iterable[Piece], put: Callable[[bytes], object]) -> None:
        for data, rows in pieces:
            put(data)
            self._progress.sum_up(data)
            self._progress.count_written(rows, len(data))

    def _files_to_files(self, source: FileNode, reader: NodeReader, target: FileNode) -> None:
        check_apart(source, target)
        # Of bytes nobody knows which rows are bad.
        as_bytes = source.has_same_bytes_as(target) and self._rejects is None
        if source.is_many and not target.is_directory:
            with reader.rows() as rows:
                result = Result(columns=rows.columns, batches=rows.batches)
                self._write(target.uri, target, result)
            return
        if as_bytes and source.is_directory:
            self._copy_directory(source, target)
            return
        self._is_one_of_many = source.is_many
        for uri in self._files.uris(source, all_files=as_bytes, is_apart=source.is_many):
            to = self._goal(uri, source, target)
            if as_bytes:
                self._progress.check()
                self._progress.count_copied(self._objects.copy(uri, to, encrypt=target.encrypt))
            else:
                with reader.opened(uri, source.format.columns) as opened:
                    result = Result(columns=opened.columns, batches=iter(opened.batches))
                    self._write(to, target, result)

    def _copy_directory(self, source: FileNode, target: FileNode) -> None:
        def wanted() -> Iterator[tuple[ObjectInfo, str]]:
            for info in self._files.in_directory(source, all_files=True):
                self._progress.check()
                yield info, self._goal(info.uri, source, target)

        for size in self._objects.copy_all(wanted(), encrypt=target.encrypt):
            self._progress.count_copied(size)

    def _goal(self, uri: str, source: FileNode, target: FileNode) -> str:
        to = goal(uri, source, target)
        if to == uri:
            message = f"{target.id!r} would write over {uri}, which {source.id!r} reads"
            raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
        return to

    def _target_uri(self, node: FileNode) -> str:
        if not node.is_directory:
            return node.uri
        extension = node.format.extension + node.compression.extension
        return node.uri + self._file_name + extension
