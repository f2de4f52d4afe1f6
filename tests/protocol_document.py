"""The tables of docs/protocol.md, so that a row without a test is a failing test."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["codes_in", "table"]

DOCUMENT = Path(__file__).parents[1] / "docs" / "protocol.md"


def table(heading: str, number: int = 1) -> list[tuple[str, ...]]:
    """The rows of the n-th table under a heading; a blank first cell is that of the row above."""
    _, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(f"\n## {heading}\n")
    assert rest, f"{DOCUMENT.name} has no section {heading!r}"
    section = rest.partition("\n## ")[0]
    blocks = re.findall(r"(?:^\|.*\|\n?)+", section, re.MULTILINE)
    rows: list[tuple[str, ...]] = []
    for line in blocks[number - 1].splitlines()[2:]:
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        rows.append((cells[0] or rows[-1][0], *cells[1:]))
    return rows


def header(heading: str, number: int = 1) -> tuple[str, ...]:
    """The column names of the n-th table under a heading."""
    _, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(f"\n## {heading}\n")
    blocks = re.findall(r"(?:^\|.*\|\n?)+", rest.partition("\n## ")[0], re.MULTILINE)
    return tuple(cell.strip() for cell in blocks[number - 1].splitlines()[0].strip("|").split("|"))


def codes_in(cell: str) -> list[str]:
    """The error codes that a cell names."""
    return re.findall(r"`(\w+(?:Exception|Error))`", cell)
