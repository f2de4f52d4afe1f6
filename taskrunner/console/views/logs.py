"""A page of a log."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from taskrunner.console.views import addresses
from taskrunner.console.views.ansi import Piece, pieces
from taskrunner.service.v1.log_shapes import LogMatch, LogMatches
from taskrunner.service.v1.requests import LogName
from taskrunner.service.v1.shapes import LogPage

#: Agents push the parts of a log that grows about as often.
FOLLOW_S = 5
#: What `taskrunner logs --stream` calls them.
STREAMS: Mapping[LogName, str] = {
    LogName.OUTPUT: "stdout",
    LogName.ERROR: "stderr",
    LogName.ACTIVITY: "activity",
}
_WORDS: Mapping[LogName, str] = {
    LogName.OUTPUT: "Output",
    LogName.ERROR: "Errors",
    LogName.ACTIVITY: "Activity",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LogTab:
    """One of an attempt's logs."""

    word: str
    address: str
    shown: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """A line, with an address of its own where its place is known."""

    pieces: Sequence[Piece]
    #: At how many bytes it begins; None: that is not known.
    offset: int | None
    #: The address of a page that begins with it, or nothing.
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogView:
    """The page."""

    tabs: Sequence[LogTab]
    lines: Sequence[LogLine]
    stream: str
    place: str
    #: Addresses of what stands before and after, of the end, or nothing.
    earlier: str
    later: str
    end: str
    final: bool
    #: Why there is nothing to show.
    problem: str
    #: This page's address, and whether it shows the log's end.
    here: str
    at_end: bool
    #: Every so many seconds an open page asks for the log's end anew; 0: it does not grow.
    follows: int
    #: The address of all of it as a file, or nothing; and the same from a shell.
    download: str
    command: str


def log_view(
    address: str,
    stream: LogName,
    found: LogPage | None,
    *,
    command: str = "",
    at_end: bool = False,
    running: bool = False,
    problem: str = "",
) -> LogView:
    """The page of an answer, or of why there is none.

    `at_end`: it was asked for as the log's end; `running`: the attempt still writes to it.
    """

    def to(**query: str) -> str:
        return addresses.with_query(address, {"stream": [stream.value]}, **query)

    lines = _lines(found.text) if found else []
    starts = places(lines, found.offset if found else None)
    return LogView(
        tabs=[
            LogTab(
                word=word,
                address=addresses.with_query(address, {}, stream=name.value),
                shown=name is stream,
            )
            for name, word in _WORDS.items()
        ],
        lines=[
            LogLine(
                pieces=pieces(line),
                offset=at,
                address="" if at is None else f"{to(offset=str(at))}#b{at}",
            )
            for line, at in zip(lines, starts, strict=True)
        ],
        stream=stream.value,
        place=found.place if found else "",
        earlier=to(before=found.before) if found and found.before else "",
        later=to(offset=str(found.next_offset))
        if found and found.next_offset is not None and not found.last
        else "",
        end=to() if found and not found.last else "",
        final=found.final if found else True,
        problem=problem,
        here=to(),
        at_end=at_end,
        follows=FOLLOW_S if found and at_end and running and not found.final else 0,
        download=addresses.with_query(f"{address}/file", {}, stream=stream.value) if found else "",
        command=command,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundLine:
    """A line that has the text that was looked for."""

    number: int
    address: str
    #: What is the text, and what stands around it.
    pieces: Sequence[tuple[str, bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchView:
    """The page of a search."""

    tabs: Sequence[LogTab]
    text: str
    stream: str
    lines: Sequence[FoundLine]
    #: How far was looked, as people say it.
    searched: str
    #: The address that looks on from there, or nothing.
    more: str
    problem: str


def search_view(
    address: str,
    stream: LogName,
    text: str,
    found: LogMatches | None,
    *,
    problem: str = "",
) -> SearchView:
    """The page of an answer, or of why there is none; `address` is that of the logs."""
    query = {"stream": [stream.value], "text": [text]}
    path = f"{address}/search"
    marker = found.marker if found else None
    return SearchView(
        tabs=[
            LogTab(
                word=word,
                address=addresses.with_query(path, query, stream=name.value),
                shown=name is stream,
            )
            for name, word in _WORDS.items()
        ],
        text=text,
        stream=stream.value,
        lines=[_found_line(address, stream, text, match) for match in found.matches]
        if found
        else (),
        searched=size(found.searched) if found else "",
        more=addresses.with_query(path, query, marker=marker) if marker else "",
        problem=problem,
    )


def _found_line(address: str, stream: LogName, text: str, match: LogMatch) -> FoundLine:
    line = "".join(piece.text for piece in pieces(match.text))
    query = {"stream": [stream.value], "offset": [str(match.page)]}
    return FoundLine(
        number=match.number,
        address=f"{addresses.with_query(address, query)}#b{match.offset}",
        pieces=list(_marked(line, text)),
    )


def _marked(line: str, text: str) -> Iterator[tuple[str, bool]]:
    """The line in pieces, and of each whether it is the text."""
    at = 0
    for found in re.finditer(re.escape(text), line, re.IGNORECASE):
        yield line[at : found.start()], False
        yield found[0], True
        at = found.end()
    yield line[at:], False


def size(count: int) -> str:
    """A number of bytes: `512 B`, `64.0 kB`, `3.2 MB`."""
    if count < 1000:
        return f"{count} B"
    amount, unit = float(count), 0
    while amount >= 999.95 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1000, unit + 1
    return f"{amount:.1f} {_UNITS[unit]}"


_UNITS = ("B", "kB", "MB", "GB", "TB")


def places(lines: Sequence[str], offset: int | None) -> Sequence[int | None]:
    """At how many bytes each line begins, as far as that is known.

    Behind what is no UTF-8, and was replaced, it is not.
    """
    found: list[int | None] = []
    for line in lines:
        found.append(offset)
        if offset is not None:
            offset = None if "\ufffd" in line else offset + len(line.encode()) + 1
    return found


def last_lines(found: LogPage, most: int) -> Sequence[Sequence[Piece]]:
    """The last lines of a log."""
    return [pieces(line) for line in _lines(found.text)[-most:]]


def _lines(text: str) -> list[str]:
    """The lines of a log; a carriage return alone begins a line anew and does not end it."""
    lines = text.split("\n")
    return lines[:-1] if lines[-1] == "" else lines
