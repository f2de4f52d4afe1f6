"""Objects behind a URI: what activities, staging and log shipping need of S3 or a folder.

A written object appears whole or not at all. A backend raises TaskError with the errorIds
NOT_FOUND, ACCESS_DENIED, CONNECTION_FAILED, STORAGE_FULL or INVALID_FIELD and a message that names
the URI; never its library's own exceptions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol, runtime_checkable

from taskrunner.data.objects.location import Location


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """What a listing says of one object."""

    uri: str
    size: int
    modified: datetime
    #: What the store says of its content, if it does.
    etag: str | None = field(default=None, compare=False)


class ObjectReader(Protocol):
    """A stream of an object's bytes."""

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes (all of the rest when negative); empty at the end."""
        ...


class ObjectWriter(Protocol):
    """Takes an object's bytes; nothing of them is visible before the whole is committed."""

    def write(self, data: bytes, /) -> int:
        """Add bytes."""
        ...


@runtime_checkable
class AnyOrderWriter(Protocol):
    """A writer that takes an object's bytes in any order as well, from several threads."""

    def write_at(self, data: memoryview, start: int, /) -> None:
        """Put bytes where they belong."""
        ...

    def read_at(self, into: memoryview, start: int, /) -> None:
        """Fill memory with what has been put there."""
        ...

    def settle(self, size: int, /) -> None:
        """So many bytes more, from the object's start on, are there and are not read again."""
        ...


@runtime_checkable
class PouringReader(Protocol):
    """A reader that can have the object's bytes received and written by several threads."""

    def pour(self, target: AnyOrderWriter, /) -> Iterator[int]:
        """Put all of an object, of which nothing has been read, into a writer.

        Gives the sizes of what has been put, in order; ends early when whoever takes them does.
        """
        ...


@runtime_checkable
class Tagged(Protocol):
    """A reader, or a writer that has committed, of a store that says what objects' content is."""

    @property
    def etag(self) -> str:
        """The object's ETag, without quotes; empty where it is not known (yet)."""
        ...


class CheckpointedWriter(ObjectWriter, Protocol):
    """An ObjectWriter that can be gone on with by a later attempt, on any host."""

    @property
    def state(self) -> str | None:
        """What the last checkpoint of an earlier attempt said; None where it begins anew."""
        ...

    def checkpoint(self, state: str) -> None:
        """Keep what has been written so far, if there is enough of it, and what to go on with."""
        ...


class ObjectStore(Protocol):
    """Objects by URI: `s3://bucket/key`, `file:///path`, or a bare absolute path.

    `encrypt` asks for encryption at rest by the server: true or false; None leaves it to the
    backend (AES256 at AWS's own endpoints, the server's default elsewhere).
    """

    def open_read(self, uri: str) -> AbstractContextManager[ObjectReader]:
        """Stream an object from its start, with bounded memory."""
        ...

    def open_write(
        self, uri: str, *, encrypt: bool | None = None
    ) -> AbstractContextManager[ObjectWriter]:
        """Write an object: committed when the block ends well, discarded when it raises."""
        ...

    def stat(self, uri: str) -> ObjectInfo | None:
        """The object's size and time; None where there is none."""
        ...

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Every object whose URI starts with `prefix`, in key order; unfinished ones are hidden."""
        ...

    def copy(self, source: str, target: str, *, encrypt: bool | None = None) -> int:
        """Copy one object (on the server where it can); returns its size in bytes."""
        ...

    def copy_all(
        self, wanted: Iterable[tuple[ObjectInfo, str]], *, encrypt: bool | None = None
    ) -> Iterator[int]:
        """Copy objects, as `list` had them, each to a URI, several at a time.

        Their sizes come in this order. Where one fails, others behind it may have been copied.
        """
        ...

    def download(self, uri: str, path: Path) -> int:
        """Copy an object into a local file; returns its size in bytes."""
        ...

    def upload(self, path: Path, uri: str) -> int:
        """Copy a local file into an object; returns its size in bytes."""
        ...

    def delete(self, uri: str) -> None:
        """Remove an object; no error where there is none."""
        ...


@runtime_checkable
class ResumableStore(Protocol):
    """A store that keeps what an attempt has written of an object, for the next one."""

    def can_resume(self, uri: str) -> bool:
        """Whether that is so of this object."""
        ...

    def open_resumable(
        self, uri: str, *, plan: str, encrypt: bool | None = None
    ) -> AbstractContextManager[CheckpointedWriter]:
        """As `open_write`; goes on with an earlier attempt of the same run that had this plan."""
        ...


class Backend(Protocol):
    """One kind of place that holds objects; the store sends each URI to the backend of its scheme.

    The methods promise what those of ObjectStore do, for locations of this backend alone.
    """

    def open_read(self, location: Location) -> AbstractContextManager[ObjectReader]:
        """Stream an object from its start."""
        ...

    def open_write(
        self, location: Location, *, encrypt: bool | None = None
    ) -> AbstractContextManager[ObjectWriter]:
        """Write an object, whole or not at all."""
        ...

    def stat(self, location: Location) -> ObjectInfo | None:
        """The object's size and time; None where there is none."""
        ...

    def list(self, prefix: Location) -> Iterator[ObjectInfo]:
        """Every object whose URI starts with the prefix, in key order."""
        ...

    def copy(
        self,
        source: Location,
        target: Location,
        *,
        encrypt: bool | None = None,
        known: ObjectInfo | None = None,
    ) -> int:
        """Copy within this backend; returns the size in bytes.

        `known` is what a listing said of the source just now.
        """
        ...

    def delete(self, location: Location) -> None:
        """Remove an object; no error where there is none."""
        ...


@runtime_checkable
class ResumableBackend(Protocol):
    """A backend that does what ResumableStore promises."""

    def can_resume(self, location: Location) -> bool:
        """Whether what is written of this object is kept for the next attempt."""
        ...

    def open_resumable(
        self, location: Location, *, plan: str, encrypt: bool | None = None
    ) -> AbstractContextManager[CheckpointedWriter]:
        """Write an object, from where an earlier attempt had come."""
        ...


@runtime_checkable
class RangeBackend(Protocol):
    """A backend that reads some bytes of an object without the others."""

    def read_range(self, location: Location, start: int, size: int) -> bytes:
        """So many bytes from a place on; fewer at the object's end, none beyond it."""
        ...


@runtime_checkable
class SomeAtOnceBackend(Protocol):
    """A backend that copies a few of its objects at a time with hardly more work than one."""

    def copy_some(
        self,
        wanted: Sequence[tuple[Location, Location, ObjectInfo]],
        *,
        encrypt: bool | None = None,
    ) -> Sequence[int]:
        """Copy objects, as a listing had them, each to a place of its own; returns their sizes."""
        ...
