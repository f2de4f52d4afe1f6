"""Wraps the prose of README, changelog, CONTRIBUTING, docs and examples at 100 columns.

Only paragraphs and list items with a line that is too long are filled anew; code and tables stay.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WIDTH = 100
PATTERNS = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/*.md", "examples/**/*.md")
ITEM = re.compile(r"\s*(?:[-*+]|\d+\.)\s+")
#: Code in a line, and links: these are not broken.
WHOLE = re.compile(r"`[^`]+`|\[[^\]]+\]\([^)]*\)")
FENCE = "```"


def pages() -> list[Path]:
    return sorted(path for pattern in PATTERNS for path in ROOT.glob(pattern))


def fill(block: list[str]) -> list[str]:
    """The lines of a paragraph or list item, each as long as it may be."""
    if all(len(line) <= WIDTH for line in block):
        return block
    item = ITEM.match(block[0])
    first = item[0] if item else block[0][: len(block[0]) - len(block[0].lstrip())]
    text = " ".join(line.strip() for line in (block[0][len(first) :], *block[1:]))
    filled = textwrap.wrap(
        WHOLE.sub(lambda found: found[0].replace(" ", "\0"), text),
        WIDTH,
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace("\0", " ") for line in filled]


def wrap(text: str) -> str:
    return "\n".join(_lines(text.split("\n")))


def _lines(lines: list[str]) -> Iterator[str]:
    block: list[str] = []
    fenced = in_list = False
    for line in lines:
        mark = line.lstrip().startswith(FENCE)
        fenced ^= mark
        item = ITEM.match(line)
        indented = line.startswith("    ") and not block
        code = indented and not (in_list and not line.startswith("      "))
        kept = mark or fenced or code or not line.strip() or line.lstrip().startswith(("|", "#"))
        if kept or item:
            yield from fill(block) if block else ()
            block = []
        if kept:
            yield line
            continue
        in_list = bool(item) or (in_list and (bool(block) or line.startswith(" ")))
        block.append(line)
    yield from fill(block) if block else ()


def main() -> int:
    for path in pages():
        text = path.read_text(encoding="utf-8")
        wrapped = wrap(text)
        if wrapped != text:
            path.write_text(wrapped, encoding="utf-8")
            print(f"wrapped {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
