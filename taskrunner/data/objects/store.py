"""One store for every URI: each goes to the backend of its scheme."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from itertools import chain, islice
from pathlib import Path

from taskrunner.data.objects.base import (
    AnyOrderWriter,
    Backend,
    CheckpointedWriter,
    ObjectInfo,
    ObjectReader,
    ObjectStore,
    ObjectWriter,
    PouringReader,
    RangeBackend,
    ResumableBackend,
    SomeAtOnceBackend,
)
from taskrunner.data.objects.local import FileBackend, FolderBackend
from taskrunner.data.objects.location import Location, parse
from taskrunner.data.objects.side_by_side import side_by_side
from taskrunner.data.settings import DataSettings
from taskrunner.errors import TaskError

_CHUNK = 1 << 20
#: How many objects are copied at a time, and how much of those that come by here is in memory.
_AT_ONCE = 16
_MOST_AT_ONCE = 32 << 20
#: How many objects one thread copies at a time where that costs it nothing, and how many threads.
_SOME, _AT_ONCE_OF_SOME = 8, 4
#: What a large object takes of that: parts that wait, or are on their way.
_MOST_OF_ONE = 32 << 20


def open_store(settings: DataSettings, *, tries: int | None = None) -> ObjectStore:
    """The store that the settings describe; S3's library is loaded only where it is used.

    A folder that stands for S3 is the operator's: what the settings say of local files is not for
    it. `tries`: how often a call is made before it counts as failed, if not as often as usual.
    """
    return RoutingStore(
        {
            "file": lambda: FileBackend(local=settings.local, claim=settings.claim),
            "s3": lambda: _s3(settings, tries),
        }
    )


def _s3(settings: DataSettings, tries: int | None) -> Backend:
    if settings.s3_root is not None:
        return FolderBackend(settings.s3_root, claim=settings.claim)
    from taskrunner.data.objects.s3 import S3Backend
    from taskrunner.data.objects.s3_client import create_client

    if tries is None:
        return S3Backend(settings)
    return S3Backend(settings, client=partial(create_client, tries=tries))


class RoutingStore:
    """Objects by URI, over a backend for each scheme, made when first needed."""

    def __init__(self, backends: Mapping[str, Callable[[], Backend]]) -> None:
        self._makers = backends
        self._backends: dict[str, Backend] = {}
        self._making = threading.Lock()

    def open_read(self, uri: str) -> AbstractContextManager[ObjectReader]:
        """Stream an object from its start."""
        location, backend = self._route(uri)
        return backend.open_read(location)

    def read_range(self, uri: str, start: int, size: int) -> bytes:
        """Some bytes of an object; fewer at its end."""
        location, backend = self._route(uri)
        assert isinstance(backend, RangeBackend)  # noqa: S101  all of ours are
        return backend.read_range(location, start, size)

    def open_write(
        self, uri: str, *, encrypt: bool | None = None
    ) -> AbstractContextManager[ObjectWriter]:
        """Write an object, whole or not at all."""
        location, backend = self._route(uri)
        return backend.open_write(location, encrypt=encrypt)

    def can_resume(self, uri: str) -> bool:
        """Whether the object's backend keeps what was written of it for the next attempt."""
        location, backend = self._route(uri)
        return isinstance(backend, ResumableBackend) and backend.can_resume(location)

    def open_resumable(
        self, uri: str, *, plan: str, encrypt: bool | None = None
    ) -> AbstractContextManager[CheckpointedWriter]:
        """Write an object, from where an earlier attempt had come; `can_resume` must be true."""
        location, backend = self._route(uri)
        assert isinstance(backend, ResumableBackend)  # noqa: S101  whoever calls has asked
        return backend.open_resumable(location, plan=plan, encrypt=encrypt)

    def stat(self, uri: str) -> ObjectInfo | None:
        """The object's size and time; None where there is none."""
        location, backend = self._route(uri)
        return backend.stat(location)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Every object whose URI starts with `prefix`, in key order."""
        location, backend = self._route(prefix)
        return backend.list(location)

    def copy(self, source: str, target: str, *, encrypt: bool | None = None) -> int:
        """Copy one object; through this process only from one backend to another."""
        return self._copy(source, target, encrypt=encrypt)

    def copy_all(
        self, wanted: Iterable[tuple[ObjectInfo, str]], *, encrypt: bool | None = None
    ) -> Iterator[int]:
        """Copy objects, as a listing had them, several at a time; their sizes in this order."""
        items = iter(wanted)
        first = next(items, None)
        if first is None:
            return
        items = chain([first], items)
        backend = self._route(first[0].uri)[1]
        if isinstance(backend, SomeAtOnceBackend) and backend is self._route(first[1])[1]:
            yield from self._copy_some(backend, items, encrypt=encrypt)
            return
        ended = threading.Event()

        def work(item: tuple[ObjectInfo, str]) -> int:
            info, target = item
            return self._copy(info.uri, target, encrypt=encrypt, known=info, ended=ended)

        bounds = {"threads": _AT_ONCE, "most": _MOST_AT_ONCE}
        yield from side_by_side(work, items, cost=self._cost, ended=ended, **bounds)

    def _copy_some(
        self,
        backend: SomeAtOnceBackend,
        items: Iterator[tuple[ObjectInfo, str]],
        *,
        encrypt: bool | None,
    ) -> Iterator[int]:
        """Copy objects within a backend, some by each of a few threads."""

        def work(some: Sequence[tuple[ObjectInfo, str]]) -> Sequence[int]:
            found = [(parse(info.uri), parse(target), info) for info, target in some]
            return backend.copy_some(found, encrypt=encrypt)

        lists: Iterator[Sequence[tuple[ObjectInfo, str]]]
        lists = iter(lambda: tuple(islice(items, _SOME)), ())
        for sizes in side_by_side(work, lists, threads=_AT_ONCE_OF_SOME):
            yield from sizes

    def _cost(self, item: tuple[ObjectInfo, str]) -> int:
        """How much memory a copy may take."""
        info, target = item
        if parse(info.uri).scheme == parse(target).scheme:
            return 0
        return min(info.size, _MOST_OF_ONE)

    def _copy(
        self,
        source: str,
        target: str,
        *,
        encrypt: bool | None,
        known: ObjectInfo | None = None,
        ended: threading.Event | None = None,
    ) -> int:
        origin, backend = self._route(source)
        goal, other = self._route(target)
        if backend is other:
            return backend.copy(origin, goal, encrypt=encrypt, known=known)
        size = 0
        with (
            backend.open_read(origin) as reader,
            other.open_write(goal, encrypt=encrypt) as writer,
        ):
            for count in _moved(reader, writer):
                if ended is not None and ended.is_set():
                    raise TaskError(f"the copy of {source} was given up, since another failed")
                size += count
        return size

    def download(self, uri: str, path: Path) -> int:
        """Copy an object into a local file, which appears whole or not at all."""
        return self.copy(uri, str(path.absolute()))

    def upload(self, path: Path, uri: str) -> int:
        """Copy a local file into an object."""
        return self.copy(str(path.absolute()), uri)

    def delete(self, uri: str) -> None:
        """Remove an object; no error where there is none."""
        location, backend = self._route(uri)
        backend.delete(location)

    def _route(self, uri: str) -> tuple[Location, Backend]:
        location = parse(uri)
        with self._making:
            if location.scheme not in self._backends:
                self._backends[location.scheme] = self._makers[location.scheme]()
            return location, self._backends[location.scheme]


def _moved(reader: ObjectReader, writer: ObjectWriter) -> Iterator[int]:
    """The sizes of what has been moved, while all of it is."""
    if isinstance(reader, PouringReader) and isinstance(writer, AnyOrderWriter):
        yield from reader.pour(writer)
    else:
        while chunk := reader.read(_CHUNK):
            yield writer.write(chunk)
