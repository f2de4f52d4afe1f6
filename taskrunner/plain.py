"""Free text made fit for a terminal or a label: nothing hidden in it, and short enough."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from unicodedata import combining, east_asian_width

CUT = "…"


def visible(text: str) -> str:
    """A text in which control characters are written out: ids may hold line breaks."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def cells(text: str) -> int:
    """How many columns of a terminal the text takes: letters of East Asia take two."""
    if text.isascii():
        return len(text)
    return sum(map(_cells_of, text))


def aligned(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lines of columns under their names, for people and for `awk`."""
    lines = [heads, *([visible(cell) for cell in row] for row in rows)]
    widths = [max(cells(line[column]) for line in lines) for column in range(len(heads))]
    return "\n".join(
        "  ".join(
            cell + " " * (width - cells(cell)) for cell, width in zip(line, widths, strict=True)
        ).rstrip()
        for line in lines
    )


def shortened(text: str, width: int, *, tail: int | None = None) -> str:
    """The text in at most `width` cells, cut in the middle: how names end tells them apart.

    `tail` is how many cells of its end are kept; half of them unless it is said.
    """
    if cells(text) <= width:
        return text
    if width < 1:
        return ""
    kept = (width - 1) // 2 if tail is None else min(tail, width - 1)
    end = _start(text[::-1], kept)[::-1]
    return f"{_start(text, width - 1 - kept)}{CUT}{end}"


def distinct(names: Iterable[str], width: int) -> dict[str, str]:
    """A label of at most `width` cells for each name, no two the same.

    Names that look the same when they are cut in the middle are cut elsewhere, so that what
    differs is seen, and are numbered if no cut shows it.
    """
    labels = {name: shortened(visible(name), width) for name in names}
    for label, alike in _alike(labels).items():
        _tell_apart(alike, labels, label, width)
    return labels


def _tell_apart(alike: list[str], labels: dict[str, str], label: str, width: int) -> None:
    """Give names that share a label labels of their own."""
    taken = set(labels.values())
    half = (width - 1) // 2
    # As near to the middle as tells them apart.
    for tail in sorted(range(width), key=lambda tail: abs(tail - half)):
        cut = [shortened(visible(name), width, tail=tail) for name in alike]
        if len(set(cut)) == len(cut) and taken.isdisjoint(cut):
            labels.update(zip(alike, cut, strict=True))
            return
    cut = _around_difference([visible(name) for name in alike], width)
    if len(set(cut)) == len(cut) and taken.isdisjoint(cut):
        labels.update(zip(alike, cut, strict=True))
        return
    number = 0
    for name in alike:
        shown = label
        while shown in taken:
            number += 1
            mark = f"{CUT}{number}"
            shown = _start(visible(name), max(0, width - len(mark))) + mark
        taken.add(shown)
        labels[name] = shown


def _around_difference(texts: list[str], width: int) -> list[str]:
    """The beginning of each text, and what stands where they begin to differ."""
    head = max(0, (width - 2) // 3)
    letters = enumerate(zip(*texts, strict=False))
    same = next((at for at, found in letters if len(set(found)) > 1), min(map(len, texts)))
    return [
        _start(text, head) + CUT + shortened(text[same:], width - head - 1, tail=0)
        for text in texts
    ]


def _alike(labels: dict[str, str]) -> dict[str, list[str]]:
    counts = Counter(labels.values())
    groups: dict[str, list[str]] = defaultdict(list)
    for name, label in labels.items():
        if counts[label] > 1:
            groups[label].append(name)
    return groups


def _start(text: str, width: int) -> str:
    """As much of the text's beginning as fits."""
    room = width
    for index, letter in enumerate(text):
        room -= _cells_of(letter)
        if room < 0:
            return text[:index]
    return text


def _cells_of(letter: str) -> int:
    if combining(letter):
        return 0
    return 2 if east_asian_width(letter) in "WF" else 1
