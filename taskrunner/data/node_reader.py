"""Reading the files of a data node: their columns, their rows, or the lines that these are."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from itertools import chain, islice

from taskrunner.data.both_sides import Etags, TextSum
from taskrunner.data.databases.base import Batch, RowRefusedError
from taskrunner.data.databases.lines_in import FileRows
from taskrunner.data.fitting.columns import LossyValueError, RowWidthError
from taskrunner.data.formats.bad_rows import BadRows
from taskrunner.data.formats.base import Opened
from taskrunner.data.formats.compression import decompressing
from taskrunner.data.nodes import FileNode
from taskrunner.data.objects.base import ObjectStore
from taskrunner.data.source_files import SourceFiles
from taskrunner.data.transfer_parts import Counted
from taskrunner.errors import ErrorId, TaskError


class NodeReader:
    """A node's files, opened one after the other, in the order of their keys."""

    def __init__(
        self,
        objects: ObjectStore,
        node: FileNode,
        files: SourceFiles,
        *,
        count: Callable[[int], None],
        bad: BadRows | None = None,
    ) -> None:
        """`files`: which objects they are; `count` is told of the bytes of each piece read.

        `bad`: takes the rows that cannot be read.
        """
        self.bad = bad
        #: Of the objects, and of what they hold.
        self.etags, self.text_sum = Etags(), TextSum()
        self._objects = objects
        self._node = node
        self._files = files
        self._count = count
        #: Of each file that was begun, how many rows were before it.
        self._begun: list[tuple[int, str]] = []

    @contextmanager
    def opened(self, uri: str, names: tuple[str, ...] = ()) -> Iterator[Opened]:
        """One file's columns and rows; `names`: the columns that the values are wanted for."""
        with self._bytes_of(uri) as data:
            opened = self._node.format.open(data, source=uri, names=names, bad=self.bad)
            try:
                yield opened
            finally:
                opened.close()

    @contextmanager
    def rows(self) -> Iterator[Rows]:
        """All files' rows, and whose columns' they are."""
        form = self._node.format
        columns = form.columns
        if form.text is not None and form.has_names and not columns:
            # Its lines may be taken as they are, so that nothing but the names is of use here.
            columns = self._first_names()
        with closing(self._opened(columns)) as files:
            first: list[tuple[str, Opened]] = []
            if form.has_names and not columns:
                first = list(islice(files, 1))
                columns = first[0][1].columns if first else ()
            yield Rows(columns, self._joined(columns, chain(first, files)))

    def place_of(self, row: int) -> tuple[str, int] | None:
        """The file that a row of all, from 1, is in, and its number there."""
        begun = [(before, uri) for before, uri in self._begun if before < row]
        if not begun:
            return None
        before, uri = begun[-1]
        good = row - before
        return uri, self.bad.number_of(uri, good) if self.bad is not None else good

    def lines(self, rows: Rows, batches: Iterator[Batch], count: Callable[[int], None]) -> FileRows:
        """The rows for a load, which may take the lines that they are instead; `count` is told."""
        done = 0

        def counted(number: int) -> None:
            nonlocal done
            done += number
            count(number)

        def files() -> Iterator[tuple[str, AbstractContextManager[Iterator[bytes]]]]:
            for uri in self._files.uris(self._node, all_files=False):
                self._begun.append((done, uri))
                yield uri, self._without_names(uri, rows.columns)

        form = self._node.format
        return FileRows(
            batches=batches,
            escapes=form.text,
            width=len(rows.columns) or None,
            files=files,
            count=counted,
            at_start=not form.has_names,
        )

    def _first_names(self) -> tuple[str, ...]:
        for uri in self._files.uris(self._node, all_files=False):
            with self.opened(uri) as opened:
                return opened.columns
        return ()

    def _opened(self, columns: tuple[str, ...]) -> Generator[tuple[str, Opened], None, None]:
        for uri in self._files.uris(self._node, all_files=False):
            with self.opened(uri, columns) as opened:
                columns = columns or opened.columns
                yield uri, opened

    def _joined(
        self,
        columns: tuple[str, ...],
        files: Iterable[tuple[str, Opened]],
    ) -> Iterator[Batch]:
        """The rows of all files, which must have the same columns, or as many values."""
        self._begun.clear()
        width: int | None = None
        count = 0
        for uri, opened in files:
            self._begun.append((count, uri))
            _check_names(uri, opened.columns, columns)
            for batch in opened.batches:
                count += len(batch)
                width = width or len(batch[0])
                if len(batch[0]) != width:
                    message = f"{uri}: rows have {len(batch[0])} values, those before {width}"
                    raise TaskError(message)
                yield batch

    @contextmanager
    def _without_names(self, uri: str, columns: tuple[str, ...]) -> Iterator[Iterator[bytes]]:
        with self._bytes_of(uri) as data:
            names, rest = self._node.format.take_names(data, source=uri)
            _check_names(uri, self._node.format.columns or names, columns)
            yield rest

    @contextmanager
    def _bytes_of(self, uri: str) -> Iterator[Iterator[bytes]]:
        """What a file holds, decompressed, in UTF-8 where it is text."""
        node = self._node
        with (
            self._objects.open_read(uri) as opened,
            decompressing(
                Counted(opened, self._count), source=uri, compression=node.compression
            ) as data,
        ):
            self.etags.add(uri, opened)
            summed = self.text_sum.passed(uri, data)
            yield node.format.charset.to_utf8(summed, source=uri)


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of files, and the columns that their values are for, where these say any."""

    columns: tuple[str, ...]
    batches: Iterator[Batch]


def in_its_file(
    error: LossyValueError | RowRefusedError | RowWidthError, reader: NodeReader | None
) -> TaskError:
    """An error of a row of a load, told of the row in its file."""
    place = reader.place_of(error.row) if reader is not None else None
    if place is None:
        return error
    if isinstance(error, LossyValueError):
        return LossyValueError(error.problem, row=place[1], source=place[0])
    return error.told(f"{place[0]}: row {place[1]}: {error}")


def _check_names(uri: str, found: tuple[str, ...], wanted: tuple[str, ...]) -> None:
    if found and found != wanted:
        message = f"{uri} has the columns {', '.join(found)}, those before {', '.join(wanted)}"
        raise TaskError(message, error_id=ErrorId.INVALID_FIELD)
