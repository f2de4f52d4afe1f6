"""Writing a file by another thread, while whoever has its bytes gets more of them."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO

from taskrunner.data.objects.write_back import WriteBack

#: Smaller pieces, as rows come in, take longer by a thread than without: to hand one over costs as
#: much as to write 100 KiB.
_LARGE = 1 << 19
#: What may wait to be written; a single piece may be larger.
_MOST_WAITING = 4 << 20


class WriteBehind:
    """A file's bytes from its start to its end; to be closed before the file.

    What could not be written is raised by a later call.
    """

    def __init__(
        self, file: BinaryIO, *, large: int = _LARGE, most_waiting: int = _MOST_WAITING
    ) -> None:
        """`large`: the least that a piece has for the other thread to write it."""
        self._file = file
        self._large = large
        self._most_waiting = most_waiting
        self._written = WriteBack(file.fileno()).written
        self._thread: ThreadPoolExecutor | None = None
        self._waiting: deque[tuple[Future[None], int]] = deque()
        self._waiting_size = 0

    def write(self, data: bytes, /) -> int:
        """Add bytes; raises OSError."""
        size = len(data)
        if size < self._large:
            self.finish()
            self._put(data)
            return size
        data = bytes(data)  # what may change, such as a bytearray, is copied
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="write-behind")
        while self._waiting and self._waiting_size + size > self._most_waiting:
            self._wait()
        self._waiting.append((self._thread.submit(self._put, data), size))
        self._waiting_size += size
        return size

    def finish(self) -> None:
        """Wait until all is written; raises OSError."""
        while self._waiting:
            self._wait()

    def close(self) -> None:
        """End the thread; what waits is not written any more."""
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)

    def _put(self, data: bytes) -> None:
        self._file.write(data)
        self._written(len(data))

    def _wait(self) -> None:
        future, size = self._waiting.popleft()
        self._waiting_size -= size
        future.result()
