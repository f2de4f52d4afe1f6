"""Bytes that wait until there are enough of them, and are moved once."""

from __future__ import annotations

from collections import deque

#: Smaller pieces are put together as they come: each would take more memory than it is long.
_SMALL = 1 << 16


class Pieces:
    """What is added, in order."""

    def __init__(self) -> None:
        self._pieces: deque[bytes | bytearray | memoryview] = deque()
        self._small = bytearray()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, data: bytes, /) -> None:
        """Add bytes, which must not change."""
        self._size += len(data)
        if len(data) < _SMALL:
            self._small += data
        if len(data) >= _SMALL or len(self._small) >= _SMALL:
            self._join()
        if len(data) >= _SMALL:
            self._pieces.append(data)

    def take(self, size: int, spare: bytearray | None = None) -> bytearray:
        """Remove so many bytes, or as many as there are.

        They are put into `spare` where that is as long: new memory takes longer than the move.
        """
        self._join()
        taken: list[bytes | bytearray | memoryview] = []
        left = min(size, self._size)
        self._size -= left
        fits = spare is not None and len(spare) == left
        while left:
            piece = self._pieces.popleft()
            if len(piece) > left:
                view = memoryview(piece)
                self._pieces.appendleft(view[left:])
                piece = view[:left]
            taken.append(piece)
            left -= len(piece)
        if spare is None or not fits:
            return bytearray().join(taken)
        with memoryview(spare) as whole:
            start = 0
            for piece in taken:
                whole[start : start + len(piece)] = piece
                start += len(piece)
        return spare

    def clear(self) -> None:
        """Forget all of them."""
        self._pieces.clear()
        self._small = bytearray()
        self._size = 0

    def _join(self) -> None:
        if self._small:
            self._pieces.append(self._small)
            self._small = bytearray()
