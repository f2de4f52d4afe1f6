"""Looking for a text in a log: line by line from a place on, in bounded time and memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

#: A line that is longer is looked at in pieces.
_LONGEST_LINE = 64 << 10
#: Of a line that has the text, so much is told.
_TOLD = 500
#: Where a page begins that shows a line: so many lines before it, of those that are at hand.
_LINES_BEFORE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A line that has the text."""

    #: At how many bytes the line begins.
    offset: int
    #: Which line it is, from 1.
    number: int
    #: Where a page begins on which it stands with some lines before it.
    page: int
    text: bytes


@dataclass(slots=True, kw_only=True)
class Search:
    """How far a log was looked through, and what was found."""

    #: Where it goes on, and how many lines stand before that.
    offset: int = 0
    lines: int = 0
    matches: list[Match] = field(default_factory=list)
    #: Whether there may be more: as many were found as were wanted, or it was looked far enough.
    more: bool = False

    def look(
        self, pieces: Iterable[tuple[int, bytes]], wanted: str, *, most: int, until: int
    ) -> None:
        """Look through pieces of the log, each with its place, for a text in whatever case.

        They end at `until` at the latest: a line that goes on behind it is for the next time.
        """
        needle = _Needle(wanted)
        for start, block, is_whole in _whole_lines(pieces):
            self.offset = start
            if not is_whole and start + len(block) >= until:
                self.more = True
                return
            if needle.is_in(block):
                self._look_closely(start, block, needle, most)
            else:
                self.lines += block.count(b"\n")
                self.offset = start + len(block)
            if self.more:
                return
        self.more = self.offset >= until

    def _look_closely(self, start: int, block: bytes, needle: _Needle, most: int) -> None:
        for at, line in _lines(block):
            if needle.is_in(line):
                self.matches.append(
                    Match(
                        offset=start + at,
                        number=self.lines + 1,
                        page=start + _some_lines_before(block, at),
                        text=line.rstrip(b"\n")[:_TOLD],
                    )
                )
            self.lines += line.count(b"\n")
            self.offset = start + at + len(line)
            if len(self.matches) >= most:
                self.more = True
                return


def _lines(block: bytes) -> Iterator[tuple[int, bytes]]:
    """The lines with their places in a block."""
    at = 0
    while at < len(block):
        end = block.find(b"\n", at) + 1 or len(block)
        yield at, block[at:end]
        at = end


class _Needle:
    """A text that is looked for in bytes, in whatever case."""

    def __init__(self, wanted: str) -> None:
        self._plain = wanted.casefold()
        self._bytes = wanted.lower().encode()
        self._is_ascii = wanted.isascii()

    def is_in(self, data: bytes) -> bool:
        """Whether the bytes have it."""
        if self._is_ascii:
            return self._bytes in data.lower()
        return self._plain in data.decode("utf-8", "replace").casefold()


def _some_lines_before(block: bytes, at: int) -> int:
    for _ in range(_LINES_BEFORE):
        if not at:
            break
        at = block.rfind(b"\n", 0, at - 1) + 1
    return at


def _whole_lines(pieces: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes, bool]]:
    """The same cut at the ends of lines, and whether it is: the last one may have none.

    A line that is very long is cut in between.
    """
    held, begin = b"", 0
    for start, piece in pieces:
        if held and start != begin + len(held):
            yield begin, held, True  # what is between was left out of the log
            held = b""
        begin = begin if held else start
        held += piece
        cut = held.rfind(b"\n") + 1
        if not cut and len(held) > _LONGEST_LINE:
            cut = len(held)
        if cut:
            yield begin, held[:cut], True
            begin, held = begin + cut, held[cut:]
    if held:
        yield begin, held, False
