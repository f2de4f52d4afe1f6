"""Logs with the colors that programs write for terminals, as plain pieces of text with classes.

Only colors and bold are taken over (ECMA-48's SGR); every other sequence is left out, so that a log
can neither hide nor move what it says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

#: CSI and OSC sequences, other escapes, and controls that a page would show as boxes.
_SEQUENCE = re.compile(
    r"\x1b\[([0-9;:]*)([ -/]*[@-~])"  # CSI, with its parameters
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC: titles, links
    r"|\x1b[ -/]*[0-~]?"
    r"|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"
)
_COLORS = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")


@dataclass(frozen=True, slots=True)
class Piece:
    """Some text, and the classes of its style; nothing: plain."""

    text: str
    style: str = ""


def pieces(text: str) -> list[Piece]:
    """The pieces of a text. A carriage return within a line begins it anew, as a terminal does."""
    return list(_pieces("\n".join(map(_last_of_line, text.split("\n")))))


def _last_of_line(line: str) -> str:
    line = line.rstrip("\r")
    return line.rpartition("\r")[2] if "\r" in line else line


def _pieces(text: str) -> Iterator[Piece]:
    color, bold, at = "", False, 0
    for found in _SEQUENCE.finditer(text):
        if found.start() > at:
            yield Piece(text[at : found.start()], _style(color, bold=bold))
        at = found.end()
        if found[2] == "m":
            color, bold = _sgr(found[1], color, bold=bold)
    if at < len(text):
        yield Piece(text[at:], _style(color, bold=bold))


def _sgr(parameters: str, color: str, *, bold: bool) -> tuple[str, bool]:
    codes = [int(part[:4] or "0") for part in re.split("[;:]", parameters)] or [0]
    index = 0
    while index < len(codes):
        code = codes[index]
        index += 1
        if code == 0:
            color, bold = "", False
        elif code in {1, 22}:
            bold = code == 1
        elif code == 39:
            color = ""
        elif 30 <= code <= 37 or 90 <= code <= 97:
            color = _COLORS[code % 10]
        elif code in {38, 48, 58}:  # of 256, or of all: what follows says which
            index += {5: 2, 2: 4}.get(codes[index] if index < len(codes) else 0, 1)
    return color, bold


def _style(color: str, *, bold: bool) -> str:
    return " ".join([f"ansi-{color}"] * bool(color) + ["ansi-bold"] * bold)
