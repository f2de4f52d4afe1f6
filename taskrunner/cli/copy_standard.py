"""Standard input and output as objects, for `taskrunner copy - ...`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO

from taskrunner.cli.copy_places import STDIN, STDOUT
from taskrunner.data.objects.base import ObjectInfo, ObjectReader, ObjectStore, ObjectWriter

_CHUNK = 1 << 20


class WithStandardStreams:
    """An object store in which two names are the standard streams.

    What is written to standard output is there at once: whoever reads it sees a copy that fails.
    """

    def __init__(self, objects: ObjectStore, stdin: BinaryIO, stdout: BinaryIO) -> None:
        self._objects = objects
        self._stdin, self._stdout = stdin, stdout

    def open_read(self, uri: str) -> AbstractContextManager[ObjectReader]:
        """Stream an object, or standard input."""
        return nullcontext(self._stdin) if uri == STDIN else self._objects.open_read(uri)

    def open_write(
        self, uri: str, *, encrypt: bool | None = None
    ) -> AbstractContextManager[ObjectWriter]:
        """Write an object, or to standard output."""
        return self._output() if uri == STDOUT else self._objects.open_write(uri, encrypt=encrypt)

    def stat(self, uri: str) -> ObjectInfo | None:
        """Of a stream nobody knows the size."""
        return None if uri in {STDIN, STDOUT} else self._objects.stat(uri)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Every object whose URI starts with `prefix`."""
        return self._objects.list(prefix)

    def copy(self, source: str, target: str, *, encrypt: bool | None = None) -> int:
        """Copy one object; a stream through this process."""
        if source != STDIN and target != STDOUT:
            return self._objects.copy(source, target, encrypt=encrypt)
        size = 0
        with self.open_read(source) as reader, self.open_write(target, encrypt=encrypt) as writer:
            while chunk := reader.read(_CHUNK):
                size += writer.write(chunk)
        return size

    def copy_all(
        self, wanted: Iterable[tuple[ObjectInfo, str]], *, encrypt: bool | None = None
    ) -> Iterator[int]:
        """Copy the objects of a directory."""
        return self._objects.copy_all(wanted, encrypt=encrypt)

    def download(self, uri: str, path: Path) -> int:
        """Copy an object into a local file."""
        return self._objects.download(uri, path)

    def upload(self, path: Path, uri: str) -> int:
        """Copy a local file into an object."""
        return self._objects.upload(path, uri)

    def delete(self, uri: str) -> None:
        """Remove an object."""
        self._objects.delete(uri)

    @contextmanager
    def _output(self) -> Iterator[ObjectWriter]:
        yield self._stdout
        self._stdout.flush()
