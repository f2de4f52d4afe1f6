"""Free text made fit for a terminal."""

from __future__ import annotations


def visible(text: str) -> str:
    """A text in which control characters are written out: ids may hold line breaks."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
