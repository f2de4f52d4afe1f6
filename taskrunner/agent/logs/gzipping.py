"""gzip by several threads: zlib lets go of the interpreter's lock, so that each has a processor.

The blocks are compressed apart, each ended at a byte's border, and form one deflate stream in one
gzip member, which every reader of gzip takes.
"""

from __future__ import annotations

import struct
import zlib
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future

from taskrunner.model.log_names import LOG_BLOCK

#: Bytes that one thread compresses at a time; whoever reads a log counts on it.
BLOCK = LOG_BLOCK
#: Blocks under way at once: enough for the threads to have something to do.
_AHEAD = 4
#: A whole log of this size is compressed before a thread would have begun to.
_SMALL = 64 << 10
#: Level 1 is four times as fast as the default, for logs at nearly the same size.
_LEVEL = 1
_HEADER = bytes([0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 4, 255])
#: An empty block that says it is the last.
_LAST = b"\x03\x00"


class Gzip:
    """Takes bytes and writes them gzipped, in order; memory is bounded."""

    def __init__(self, write: Callable[[bytes], object], executor: Executor) -> None:
        self._write = write
        self._executor = executor
        self._under_way: deque[Future[bytes]] = deque()
        self._block = bytearray()
        self._crc = 0
        self._size = 0
        write(_HEADER)

    def add(self, data: bytes) -> None:
        """The next bytes; raises what writing them raises."""
        if not self._block and len(data) == BLOCK:
            self._send(data)
            return
        self._block += data
        while len(self._block) >= BLOCK:
            self._send(bytes(self._block[:BLOCK]))
            del self._block[:BLOCK]

    def finish(self) -> None:
        """Write what is left, and the end."""
        if self._block and not self._under_way and len(self._block) <= _SMALL:
            self._write(_deflate(self._counted(bytes(self._block))))
            self._block.clear()
        elif self._block:
            self._send(bytes(self._block))
            self._block.clear()
        while self._under_way:
            self._write(self._under_way.popleft().result())
        self._write(_LAST + struct.pack("<II", self._crc, self._size & 0xFFFFFFFF))

    def _send(self, block: bytes) -> None:
        self._under_way.append(self._executor.submit(_deflate, self._counted(block)))
        while len(self._under_way) > _AHEAD:
            self._write(self._under_way.popleft().result())

    def _counted(self, block: bytes) -> bytes:
        self._crc = zlib.crc32(block, self._crc)
        self._size += len(block)
        return block


def _deflate(block: bytes) -> bytes:
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return compressor.compress(block) + compressor.flush(zlib.Z_SYNC_FLUSH)
