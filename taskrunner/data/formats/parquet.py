"""The data format Parquet, by pyarrow: columns have types, and each value is exact or refused.

A file is written as its rows come, a row group at a time, and is read a batch at a time; since what
says where everything is stands at its end, what is read comes into a file of its own first. The
types are in `parquet_types`.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from types import ModuleType
from typing import IO, Any, ClassVar

from taskrunner.data.formats.bad_rows import BadRows
from taskrunner.data.formats.base import Column, Format, Opened, RowWriter
from taskrunner.data.formats.columns import listed_columns, written_columns
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError
from taskrunner.model.task import TaskObject

#: A row group ends with the batch that makes it as large as this, in rows or characters.
_GROUP_ROWS = 100_000
_GROUP_LENGTH = 32 << 20
_BATCH = 1000

Row = Sequence[str | None]


@dataclass(frozen=True)
class Parquet(Format):
    """Columns with names and types: of what is read, or as they are listed."""

    extension = ".parquet"
    compressible: ClassVar[bool] = False

    listed: tuple[Column, ...] = ()
    columns: tuple[str, ...] = field(default=(), compare=False)

    @property
    def has_names(self) -> bool:
        """With their types."""
        return True

    @classmethod
    def from_object(cls, described: TaskObject | None) -> Parquet:
        """Read the columns, where they are listed."""
        listed = listed_columns(described)
        return cls(listed=listed, columns=tuple(column.name for column in listed))

    def encode(self, batch: Iterable[Row]) -> bytes:
        """A whole file of some rows, where the columns are listed."""
        writer = self.writer(())
        return b"".join([writer.begin(), writer.encode(batch), writer.end()])

    def decode(self, chunks: Iterable[bytes], *, source: str) -> Iterator[Sequence[Row]]:
        """The rows, in batches."""
        opened = self.open(chunks, source=source)
        try:
            yield from opened.batches
        finally:
            opened.close()

    def writer(self, columns: Sequence[Column]) -> RowWriter:
        """By the types of what is read, or those that are listed; else of texts."""
        return _Writer(self, written_columns(self.listed, columns, who="Parquet names"))

    def open(
        self,
        chunks: Iterable[bytes],
        *,
        source: str,
        names: tuple[str, ...] = (),
        bad: BadRows | None = None,
    ) -> Opened:
        """The columns of the file, or those that are wanted of it, in that order."""
        file = tempfile.TemporaryFile()  # noqa: SIM115  it lasts as long as the rows are read
        try:
            for chunk in chunks:
                file.write(chunk)
            return _opened(file, self.columns or names, is_listed=bool(self.columns), source=source)
        except BaseException:
            file.close()
            raise


class _Writer(RowWriter):
    """Gathers rows for a row group, and gives the bytes that the library makes of it."""

    def __init__(self, form: Format, columns: Sequence[Column]) -> None:
        from taskrunner.data.formats.parquet_types import ToArrow

        super().__init__(form)
        names = [column.name for column in columns]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            message = f"the column {twice!r} is there twice, and Parquet goes by names"
            raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
        library, arrow = _library()
        self._makers = [ToArrow.of(column, arrow) for column in columns]
        self._arrow = arrow
        schema = arrow.schema(
            [arrow.field(maker.name, maker.type, nullable=True) for maker in self._makers]
        )
        self._sink = _Sink()
        self._schema = schema
        self._file = library.ParquetWriter(self._sink, schema, compression="snappy")
        self._waiting: list[Row] = []
        self._length = 0
        self._rows = 0

    def encode(self, batch: Iterable[Row]) -> bytes:
        """What a row group that is full gives, and else nothing yet."""
        rows = list(batch)
        self._waiting += rows
        self._length += sum(len(value) for row in rows for value in row if value is not None)
        if self._length < _GROUP_LENGTH and len(self._waiting) < _GROUP_ROWS:
            return b""
        self._write()
        return self._sink.take()

    def end(self) -> bytes:
        """The last row group, and where all of them are."""
        if self._waiting:
            self._write()
        self._file.close()
        return self._sink.take()

    def _write(self) -> None:
        width = len(self._makers)
        wrong = next((row for row in self._waiting if len(row) != width), None)
        if wrong is not None:
            raise TaskError(f"a row has {len(wrong)} values, wanted {width}, one for each column")
        columns = zip(*self._waiting, strict=True)
        arrays = [
            maker.array(values, rows_before=self._rows)
            for maker, values in zip(self._makers, columns, strict=True)
        ]
        self._file.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))
        self._rows += len(self._waiting)
        self._waiting, self._length = [], 0


class _Sink(io.RawIOBase):
    """A file whose bytes are taken away as they come."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """How many bytes it has had."""
        return self._position

    def write(self, data: Any, /) -> int:
        """Add bytes."""
        self._kept.append(bytes(data))
        self._position += len(self._kept[-1])
        return len(self._kept[-1])

    def take(self) -> bytes:
        """What has come since the last time."""
        data = b"".join(self._kept)
        self._kept.clear()
        return data


def _opened(file: IO[bytes], wanted: tuple[str, ...], *, is_listed: bool, source: str) -> Opened:
    from taskrunner.data.formats.parquet_types import FromArrow

    library, arrow = _library()
    with _problems(source, arrow):
        found = library.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20)
        schema = found.schema_arrow
    names = wanted or tuple(schema.names)
    missing = [name for name in names if schema.names.count(name) != 1]
    others = [] if is_listed else [name for name in schema.names if name not in names]
    if missing or others:
        message = f"{source} has the columns {', '.join(schema.names)}; wanted {', '.join(names)}"
        raise TaskError(message, error_id=ErrorId.INVALID_FIELD)
    makers = [FromArrow.of(schema.field(name), arrow, source=source) for name in names]

    def batches() -> Iterator[Sequence[Row]]:
        rows = 0
        for batch in _read(found, names, source, arrow):
            texts = [
                maker.texts(batch.column(batch.schema.get_field_index(maker.name)), rows)
                for maker in makers
            ]
            rows += batch.num_rows
            if batch.num_rows:
                yield list(zip(*texts, strict=True))

    def close() -> None:
        found.close(force=True)
        file.close()

    return Opened(columns=names, batches=batches(), close=close)


def _read(found: Any, names: Sequence[str], source: str, arrow: ModuleType) -> Iterator[Any]:
    with _problems(source, arrow):
        yield from found.iter_batches(batch_size=_BATCH, columns=list(names), use_threads=False)


@contextmanager
def _problems(source: str, arrow: ModuleType) -> Iterator[None]:
    try:
        yield
    except (arrow.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        message = f"{source}: the Parquet data cannot be read ({reason})"
        raise TaskError(message, error_id=ErrorId.INVALID_FIELD) from error


def _library() -> tuple[Any, Any]:
    try:
        return import_module("pyarrow.parquet"), import_module("pyarrow")
    except ImportError as error:
        message = (
            "Parquet needs the Python package pyarrow, which is not installed on this host: "
            "pip install 'taskrunner-agent[parquet]'"
        )
        raise PermanentTaskError(message, error_id=ErrorId.UNSUPPORTED_TYPE) from error
