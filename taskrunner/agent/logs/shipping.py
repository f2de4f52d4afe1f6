"""Pushing logs to where `pipelineLogUri` says, gzipped: the agent's side.

A process of its own does it: the S3 library is loaded there and leaves the machine's memory with
it soon after the last upload, while many uploads in a row pay for the loading once.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from taskrunner.agent.forks.children import Spawner
from taskrunner.agent.ipc import frames
from taskrunner.agent.ipc.attempt_roles import SHIPPER
from taskrunner.agent.lifecycle import Threads
from taskrunner.clock import Clock
from taskrunner.errors import ErrorId, TaskError

#: Is told how an upload ended.
Done = Callable[[TaskError | None], None]

_LET_GO = "it was still to be uploaded when the agent had to go"


class LogShipper:
    """The agent's handle on the shipper, which it starts when needed and ends when idle."""

    def __init__(
        self, spawner: Spawner, threads: Threads, clock: Clock, *, idle_s: float = 5.0
    ) -> None:
        self._spawner = spawner
        self._threads = threads
        self._clock = clock
        self._idle_s = idle_s
        self._lock = threading.Lock()
        self._connection: _Connection | None = None
        self._users = 0
        self._used = threading.Event()
        self._hurried = False

    def hurry(self) -> None:
        """Wait for no upload any more, now or later: callers get an error, the uploads go on."""
        with self._lock:
            self._hurried = True
            if self._connection is not None:
                self._connection.let_go()

    def busy(self) -> bool:
        """Whether an upload is under way."""
        return self.waiting() > 0

    def waiting(self) -> int:
        """How many uploads are under way or queued."""
        with self._lock:
            return 0 if self._connection is None else self._connection.waiting()

    def ship(self, uploads: Sequence[tuple[Path, str]], *, as_user: str | None = None) -> None:
        """Push each file; raises the TaskError of the first one that failed.

        `as_user` is whose rights count where that is a place on this host, if not the agent's.
        """
        if uploads:
            works = [{"path": str(path), "uri": uri, "as": as_user} for path, uri in uploads]
            self._wait(works)

    def drop(self, uris: Sequence[str], *, as_user: str | None = None) -> None:
        """Remove objects that are not needed any more; raises TaskError."""
        if uris:
            self._wait([{"drop": list(uris), "uri": uris[0], "as": as_user}])

    def push(
        self,
        path: Path,
        uri: str,
        start: int,
        end: int,
        done: Done,
        *,
        as_user: str | None = None,
    ) -> None:
        """Push a range of a file and come back at once; `done` gets the error, or None.

        It is called by the thread that reads the answers, or this one, and must not block.
        Nothing is raised here, whatever the host is out of.
        """
        work = {"path": str(path), "uri": uri, "start": start, "end": end, "as": as_user}
        try:
            with self._connected() as connection:
                connection.send(work, done)
        except TaskError as error:
            done(error)

    def _wait(self, works: Sequence[Mapping[str, object]]) -> None:
        with self._connected() as connection:
            pending = [connection.send(work) for work in works]
            for upload in pending:
                upload.done.wait()
        failures = [upload.error for upload in pending if upload.error is not None]
        if failures:
            raise failures[0]

    def end_when_idle(self, stopping: threading.Event) -> None:
        """The loop that ends an idle shipper."""
        while not stopping.is_set():
            self._used.wait()
            self._clock.wait(stopping, self._idle_s)
            self.tick()

    def tick(self) -> None:
        """End the shipper when nothing is under way."""
        with self._lock:
            if self._users == 0 and self._connection is not None and not self._connection.waiting():
                self._connection.close()
                self._connection = None
                self._used.clear()

    @contextmanager
    def _connected(self) -> Iterator[_Connection]:
        """Raises TaskError when there can be no process just now."""
        with self._lock:
            if self._connection is None or self._connection.broken:
                self._connection = self._connect()
            if self._hurried:
                self._connection.let_go()
            self._users += 1
            self._used.set()
            connection = self._connection
        try:
            yield connection
        finally:
            with self._lock:
                self._users -= 1

    def _connect(self) -> _Connection:
        try:
            return _Connection(self._spawner, self._threads)
        except (OSError, RuntimeError) as error:  # out of descriptors, or of threads
            message = f"logs cannot be uploaded just now: {error}"
            raise TaskError(message, error_id=ErrorId.CONNECTION_FAILED) from error


class _Connection:
    """One shipper process."""

    def __init__(self, spawner: Spawner, threads: Threads) -> None:
        """Raises OSError, or RuntimeError when there can be no more threads."""
        self.broken = False
        self._sock, theirs = socket.socketpair()
        self._lock = threading.Lock()
        self._waiting: dict[int, _Upload] = {}
        self._let_go = False
        self._next = 0
        with theirs:
            # The thread first: without it nothing is left that would have to be ended.
            try:
                threads.run("shipper-answers", self._read)
            except RuntimeError:
                self._sock.close()
                raise
            spawner.spawn(SHIPPER, b"", on_exit=self._ended, descriptor=theirs.fileno())

    def waiting(self) -> int:
        """How many uploads have no answer yet."""
        with self._lock:
            return len(self._waiting)

    def let_go(self) -> None:
        """End every wait with an error, now and later; the uploads themselves go on."""
        with self._lock:
            self._let_go = True
            waiting = list(self._waiting.values())
        for upload in waiting:
            upload.finish(_LET_GO, ErrorId.LOGS_NOT_SHIPPED)

    def close(self) -> None:
        """Let the process end."""
        with suppress(OSError):  # it ended by itself
            self._sock.shutdown(socket.SHUT_RDWR)

    def send(self, work: Mapping[str, object], then: Done | None = None) -> _Upload:
        """Send a piece of work to the process; does not wait for it."""
        upload = _Upload(str(work["uri"]), then)
        with self._lock:
            self._next += 1
            self._waiting[self._next] = upload
            if not self.broken:
                self._post({"id": self._next, **work})
        if self.broken:
            self._ended()
        elif self._let_go:
            upload.finish(_LET_GO, ErrorId.LOGS_NOT_SHIPPED)
        return upload

    def _post(self, head: dict[str, object]) -> None:
        try:
            frames.send(self._sock, head)
        except OSError:
            self.broken = True

    def _read(self) -> None:
        while (frame := frames.receive(self._sock)) is not None:
            with self._lock:
                upload = self._waiting.pop(frame.head["id"], None)
            if upload is not None:  # else the process's end was told before this answer was read
                upload.finish(frame.head.get("error"), frame.head.get("error_id"))
        self._ended()
        self._sock.close()

    def _ended(self) -> None:
        """The process is gone: whatever was under way has failed, and may be tried again."""
        with self._lock:
            self.broken = True
            waiting, self._waiting = self._waiting, {}
        for upload in waiting.values():
            upload.finish("the process that uploads logs ended", ErrorId.CONNECTION_FAILED)


class _Upload:
    """One upload under way."""

    def __init__(self, uri: str, then: Done | None) -> None:
        self.uri = uri
        self.done = threading.Event()
        self.error: TaskError | None = None
        self._then = then
        self._lock = threading.Lock()
        self._finished = False

    def finish(self, error: str | None, error_id: str | None) -> None:
        with self._lock:
            if self._finished:
                return
            self._finished = True
        if error is not None:
            message = f"log {self.uri}: {error}"
            self.error = TaskError(message, error_id=error_id or ErrorId.INTERNAL)
        if self._then is not None:
            self._then(self.error)
        self.done.set()
