"""A page of a log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from taskrunner.console.views import addresses
from taskrunner.console.views.ansi import Piece, pieces
from taskrunner.service.v1.requests import LogName
from taskrunner.service.v1.shapes import LogPage

#: Agents push the parts of a log that grows about as often.
FOLLOW_S = 5
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
class LogView:
    """The page."""

    tabs: Sequence[LogTab]
    lines: Sequence[Sequence[Piece]]
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


def log_view(
    address: str,
    stream: LogName,
    found: LogPage | None,
    *,
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
    return LogView(
        tabs=[
            LogTab(
                word=word,
                address=addresses.with_query(address, {}, stream=name.value),
                shown=name is stream,
            )
            for name, word in _WORDS.items()
        ],
        lines=[pieces(line) for line in lines],
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
    )


def last_lines(found: LogPage, most: int) -> Sequence[Sequence[Piece]]:
    """The last lines of a log."""
    return [pieces(line) for line in _lines(found.text)[-most:]]


def _lines(text: str) -> list[str]:
    """The lines of a log; a carriage return alone begins a line anew and does not end it."""
    lines = text.split("\n")
    return lines[:-1] if lines[-1] == "" else lines
