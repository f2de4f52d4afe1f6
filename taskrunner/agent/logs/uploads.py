"""Inside the shipper's process: gzip each log into its object, with bounded memory.

An upload counts only when what the store has was compared with what was sent.
"""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from taskrunner.agent.ipc import frames
from taskrunner.agent.logs.gzipping import Gzip
from taskrunner.data.objects.base import ObjectStore, Tagged
from taskrunner.data.objects.digest import Digest
from taskrunner.data.objects.sent import verify
from taskrunner.errors import ErrorId, TaskError
from taskrunner.host.capped_log import gap_of, pieces

_THREADS = 4
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
#: Logs larger than this go one after another: each has parts of a multipart upload in memory, and
#: keeps all processors busy. Small ones do not wait for them.
_LARGE = 4 << 20
#: How often a range may change under its reader, which the log's own limit makes it do.
_TRIES = 5


class Uploader:
    """What the shipper does for the agent. Safe for threads."""

    def __init__(self, store: ObjectStore, compressing: Executor) -> None:
        self._store = store
        self._compressing = compressing

    def log(self, path: Path, uri: str) -> None:
        """Make an object of a whole log."""
        self.part(path, uri, 0, path.stat().st_size)

    def part(self, path: Path, uri: str, start: int, end: int) -> None:
        """Make an object of a range of a log that may still be written to."""
        for _ in range(_TRIES):
            if self._upload(path, uri, start, end):
                return
        message = f"{uri}: {path.name} is being left out faster than it can be read"
        raise TaskError(message, error_id=ErrorId.CONNECTION_FAILED)

    def drop(self, uris: list[str]) -> None:
        """Remove objects."""
        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(self._store.delete, uris))

    def _upload(self, path: Path, uri: str, start: int, end: int) -> bool:
        """Whether the range stayed the same meanwhile; else there is no object."""
        before = gap_of(path).within(start, end)
        sent = Digest()
        with suppress(_Changed):
            with self._store.open_write(uri) as target:
                _compress(pieces(path, start, end), target.write, sent, self._compressing)
                # A gap is written down before it is made: unchanged, nothing was read out of it.
                _check_unchanged(before, gap_of(path).within(start, end))
            told = target.etag if isinstance(target, Tagged) else ""
            verify(self._store, uri, sent, told)
            return True
        return False


class _Changed(Exception):
    """The range that is being read has lost bytes."""


def _check_unchanged(before: tuple[int, int], now: tuple[int, int]) -> None:
    if now != before:
        raise _Changed


def _compress(
    data: Iterator[bytes], write: Callable[[bytes], object], sent: Digest, executor: Executor
) -> None:
    def send(piece: bytes) -> None:
        sent.add(piece)
        write(piece)

    stream = Gzip(send, executor)
    for piece in data:
        stream.add(piece)
    stream.finish()


def serve_uploads(sock: socket.socket, open_store: Callable[[str | None], ObjectStore]) -> None:
    """The shipper's loop: one message a piece of work; ends when the agent closes the socket.

    `open_store` takes the user whose rights count on this host, if they are not the agent's.
    """
    stores = cache(open_store)
    _give_memory_back()
    answering = threading.Lock()
    with ThreadPoolExecutor(min(os.cpu_count() or 1, _THREADS)) as compressing:

        def work(head: Any) -> None:
            uploader = Uploader(stores(head.get("as")), compressing)
            answer = {"id": head["id"], **_attempt(uploader, head)}
            with answering:
                frames.send(sock, answer)

        with ThreadPoolExecutor(_THREADS) as small, ThreadPoolExecutor(1) as large:
            while (frame := frames.receive(sock)) is not None:
                (large if _is_large(frame.head) else small).submit(work, frame.head)


def _give_memory_back() -> None:
    """Tell malloc to return large blocks at once and to use one heap, which saves a third."""
    with suppress(AttributeError):  # a C library that does not know of it
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_MMAP_THRESHOLD, 1 << 20)


def _is_large(head: Mapping[str, Any]) -> bool:
    if "end" in head:
        return bool(head["end"] - head["start"] > _LARGE)
    with suppress(OSError, KeyError):
        return Path(head["path"]).stat().st_size > _LARGE
    return False


def _attempt(uploader: Uploader, head: Mapping[str, Any]) -> dict[str, str]:
    try:
        if "drop" in head:
            uploader.drop(head["drop"])
        elif "end" in head:
            uploader.part(Path(head["path"]), head["uri"], head["start"], head["end"])
        else:
            uploader.log(Path(head["path"]), head["uri"])
    except TaskError as error:
        return {"error_id": error.error_id, "error": str(error)}
    except Exception as error:
        return {"error_id": ErrorId.INTERNAL, "error": f"{type(error).__name__}: {error}"}
    return {}
