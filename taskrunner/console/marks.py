"""Marks of statuses as HTML: squares of runs and cells of grids, of which a page has thousands.

A template takes ten steps for each; here it is one. What is text stays text: only what is escaped,
or was made of letters and digits alone, comes into it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Protocol

from markupsafe import Markup, escape

from taskrunner.console.views.words import Sign

#: Text that is the same once it is escaped: most ids, all moments.
_IS_PLAIN = re.compile(r"[^&<>\"']*")
_NONE = '<td><span class="cell none"></span></td>'


class Mark(Protocol):
    """What leads somewhere, with its status."""

    @property
    def address(self) -> str:
        """Where."""

    @property
    def sign(self) -> Sign:
        """How it is."""

    @property
    def title(self) -> str:
        """What is said of it."""


def squares(marks: Iterable[Mark]) -> Markup:
    """The strip of a pipeline's last runs."""
    return Markup("".join(_linked("square", mark) for mark in marks))  # noqa: S704 - as above


def cells(marks: Iterable[Mark | None], *, of_group: bool) -> Markup:
    """A row of a grid, None where there is nothing; those of a group open or close it."""
    more = " data-group" if of_group else ""
    return Markup(  # noqa: S704 - as above
        "".join(
            _NONE if mark is None else f"<td>{_linked('cell', mark, more)}</td>" for mark in marks
        )
    )


def _linked(kind: str, mark: Mark, more: str = "") -> str:
    first, last = _around(kind, mark.sign)
    return f'{first}{_text(mark.address)}"{more} aria-label="{_text(mark.title)}{last}'


@lru_cache(maxsize=256)
def _around(kind: str, sign: Sign) -> tuple[str, str]:
    """What stands before the address, and behind what is said."""
    return f'<a class="{kind} {escape(sign.style)}" href="', f'">{escape(sign.glyph)}</a>'


def _text(text: str) -> str:
    return text if _IS_PLAIN.fullmatch(text) else escape(text)
