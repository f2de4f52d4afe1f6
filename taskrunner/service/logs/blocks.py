"""Any part of a gzipped log without what stands before it.

Agents compress a log by blocks of LOG_BLOCK bytes, apart from each other, each ended by an empty
stored block at a byte's border: whoever finds such an end in the middle of the object can inflate
from there. The same four bytes may stand within a block by chance; then what comes of them is no
deflate stream, or not a whole number of blocks.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from taskrunner.model.log_names import LOG_BLOCK

#: What an empty stored block ends with.
_MARK = b"\x00\x00\xff\xff"
#: CRC and size, behind the last block.
TRAILER = 8
#: Of one piece of compressed bytes no more is made than this: logs of one line may shrink a
#: thousand times.
_MOST = 256 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """Whole blocks of a log."""

    #: Where the first of them begins among the compressed bytes that were looked at.
    begin: int
    text: bytes


def last_blocks(data: bytes, enough: int, is_whole: Callable[[int], bool]) -> Blocks | None:
    """The last blocks of compressed bytes that end at a block's end: as few as are enough.

    With less than enough, all that there are. `is_whole` says of a number of bytes whether it can
    be that of whole blocks up to there.
    """
    found: Blocks | None = None
    at = data.rfind(_MARK)
    while at >= 0:
        begin = at + len(_MARK)
        text = inflate(data[begin:], raw=True)
        if text is not None and is_whole(len(text)):
            found = Blocks(begin=begin, text=text)
            if len(text) >= enough:
                return found
        at = data.rfind(_MARK, 0, at + len(_MARK) - 1)
    return found


def whole_to_the_end(trailer: bytes) -> Callable[[int], bool]:
    """Says of a number of bytes whether blocks of that size can end a log with this trailer."""
    size = int.from_bytes(trailer[4:TRAILER], "little")
    # The size is told modulo 2^32, which is a whole number of blocks.
    return lambda count: (size - count) % LOG_BLOCK == 0


def whole_blocks(count: int) -> bool:
    """Whether blocks in the middle of a log can have so many bytes."""
    return count % LOG_BLOCK == 0


def inflate(data: bytes, *, raw: bool, most: int = _MOST) -> bytes | None:
    """What compressed bytes hold, up to `most` bytes; None: they are none.

    They may end early, and something else may follow them.
    """
    stream = zlib.decompressobj(-zlib.MAX_WBITS if raw else 16 + zlib.MAX_WBITS)
    try:
        return stream.decompress(data, most)
    except zlib.error:
        return None


def inflated(pieces: Iterator[bytes], size: int = 1 << 20) -> Iterator[bytes]:
    """What a whole gzip stream holds, a piece at a time. Raises zlib.error where it is none."""
    stream = zlib.decompressobj(16 + zlib.MAX_WBITS)
    for piece in pieces:
        left = piece
        while left:
            yield stream.decompress(left, size)
            left = stream.unconsumed_tail
            if stream.eof:
                # gzip files may be put one behind the other.
                left, stream = stream.unused_data, zlib.decompressobj(16 + zlib.MAX_WBITS)
