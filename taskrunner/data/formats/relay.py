"""Work on a stream of bytes by another thread, so that two cores have a part in it.

What compresses, and what decompresses, lets go of Python's lock while it does: the reading or the
writing of a database goes on meanwhile. What waits between the two is bounded by its size.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

Piece = TypeVar("Piece")

#: What may wait between two threads, in bytes; a single piece may be larger.
_MOST_WAITING = 2 << 20


class _Ended(Exception):
    """The other side has given up."""


class Pipe(Generic[Piece]):
    """Pieces from one thread to another, in order; either side may end it."""

    def __init__(self, most: int = _MOST_WAITING, *, size: Callable[[Any], int] = len) -> None:
        """`most`: what may wait, as `size` has it."""
        self._size = size
        self._most = most
        self._pieces: deque[Piece] = deque()
        self._waiting = 0
        self._changed = threading.Condition()
        self._is_whole = False
        self._is_closed = False
        self._error: BaseException | None = None

    def put(self, piece: Piece) -> None:
        """Add a piece, when there is room for it; raises what the other side has failed with."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting < self._most or self._is_closed)
            self.check()
            if self._is_closed:
                raise _Ended
            self._pieces.append(piece)
            self._waiting += self._size(piece)
            self._changed.notify_all()

    def end(self, error: BaseException | None = None) -> None:
        """Say that no more is put: because it is whole, or because of an error."""
        with self._changed:
            self._is_whole = True
            self._error = self._error or error
            self._changed.notify_all()

    def close(self, error: BaseException | None = None) -> None:
        """Say that no more is taken; what waits is dropped."""
        with self._changed:
            self._is_closed = True
            self._error = self._error or error
            self._pieces.clear()
            self._waiting = 0
            self._changed.notify_all()

    def check(self) -> None:
        """Raise what the other side has failed with, if it has."""
        if self._error is not None:
            raise self._error

    def __iter__(self) -> Iterator[Piece]:
        """What was put, to its end; raises what the other side has failed with."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pieces or self._is_whole or self._is_closed)
                if not self._pieces:
                    self.check()
                    if not self._is_whole:
                        raise _Ended
                    return
                piece = self._pieces.popleft()
                self._waiting -= self._size(piece)
                self._changed.notify_all()
            yield piece


@contextmanager
def ahead(
    pieces: Iterable[Piece],
    *,
    name: str,
    most: int = _MOST_WAITING,
    size: Callable[[Any], int] = len,
) -> Iterator[Iterator[Piece]]:
    """Pieces that another thread makes before they are asked for, `most` of them by `size`."""
    pipe = Pipe[Piece](most, size=size)

    def work() -> None:
        try:
            for piece in pieces:
                pipe.put(piece)
        except _Ended:
            pass
        except BaseException as error:
            pipe.end(error)
        else:
            pipe.end()

    thread = threading.Thread(target=work, name=name)
    thread.start()
    try:
        yield iter(pipe)
    finally:
        pipe.close()
        thread.join()


@contextmanager
def behind(
    take: Callable[[Iterator[bytes]], None], *, name: str
) -> Iterator[Callable[[bytes], None]]:
    """Gives pieces to another thread, which has taken them all when the block ends well."""
    pipe = Pipe[bytes]()

    def work() -> None:
        try:
            take(iter(pipe))
        except _Ended:
            pass
        except BaseException as error:
            pipe.close(error)

    thread = threading.Thread(target=work, name=name)
    thread.start()
    try:
        yield pipe.put
    except BaseException:
        pipe.close()
        raise
    else:
        pipe.end()
    finally:
        thread.join()
    pipe.check()
