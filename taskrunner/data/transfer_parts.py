"""What a transfer is made of: readers that count, names of files, what must not be."""

from __future__ import annotations

from collections.abc import Callable

from taskrunner.data.databases.base import Database
from taskrunner.data.formats.compression import Compression, writer_of
from taskrunner.data.keyed_unload import Sink
from taskrunner.data.nodes import FileNode, TableNode
from taskrunner.data.objects.base import ObjectReader, ObjectWriter
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


def sink_of(writer: ObjectWriter, compression: Compression) -> Sink:
    """What takes the bytes of a range; each range is a member, or frame, of its own."""
    if compression is Compression.NONE:
        return writer, _nothing
    zipped = writer_of(compression, writer)
    return zipped, zipped.finish


def _nothing() -> None:
    """Nothing is left to be written."""


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


def check_columns(node: FileNode, found: tuple[str, ...]) -> None:
    """Refuse an answer of another width than the file's format; raises PermanentTaskError."""
    expected = node.format.columns
    if expected and found and len(expected) != len(found):
        message = (
            f"the query gives {len(found)} columns ({', '.join(found)}), but the data format "
            f"of {node.id!r} lists {len(expected)} ({', '.join(expected)})"
        )
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
