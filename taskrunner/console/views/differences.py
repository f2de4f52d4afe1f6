"""What differs between two texts, line by line, with a little of what is the same around it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum

#: Of what is the same, so many lines are shown before and after a difference.
AROUND = 3
#: Of more lines that differ, all are shown as gone and come anew: to pair them would take long.
MOST_PAIRED = 4000


class Kind(StrEnum):
    """What a line of a comparison is."""

    SAME = "same"
    REMOVED = "removed"
    ADDED = "added"
    GAP = "gap"


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffLine:
    """A line, with its numbers in the older and in the newer text (0: it is not in that)."""

    kind: Kind
    old: int
    new: int
    text: str


def differences(old: Sequence[str], new: Sequence[str]) -> Sequence[DiffLine]:
    """The lines that differ and those around them; nothing where the texts are the same."""
    whole = list(_whole(old, new))
    near = [False] * len(whole)
    for at, line in enumerate(whole):
        if line.kind is not Kind.SAME:
            first, last = max(0, at - AROUND), min(len(whole), at + AROUND + 1)
            near[first:last] = [True] * (last - first)
    return list(_with_gaps(whole, near))


def changes(found: Sequence[DiffLine]) -> tuple[int, int]:
    """How many lines came, and how many went."""
    kinds = [line.kind for line in found]
    return kinds.count(Kind.ADDED), kinds.count(Kind.REMOVED)


def _with_gaps(whole: Sequence[DiffLine], near: Sequence[bool]) -> Iterator[DiffLine]:
    left_out = 0
    for line, is_shown in zip(whole, near, strict=True):
        if is_shown and left_out:
            yield _gap(left_out)
        left_out = 0 if is_shown else left_out + 1
        if is_shown:
            yield line
    if left_out and any(near):
        yield _gap(left_out)


def _gap(count: int) -> DiffLine:
    noun = "line is" if count == 1 else "lines are"
    return DiffLine(kind=Kind.GAP, old=0, new=0, text=f"{count:,} {noun} the same")


def _whole(old: Sequence[str], new: Sequence[str]) -> Iterator[DiffLine]:
    """Every line of both."""
    begin = _alike(old, new)
    end = _alike(old[begin:][::-1], new[begin:][::-1])
    gone, come = old[begin : len(old) - end], new[begin : len(new) - end]
    yield from (_same(at, at, old[at]) for at in range(begin))
    for tag, i1, i2, j1, j2 in _opcodes(gone, come):
        if tag == "equal":
            for step in range(i2 - i1):
                yield _same(begin + i1 + step, begin + j1 + step, gone[i1 + step])
            continue
        for at in range(i1, i2):
            yield DiffLine(kind=Kind.REMOVED, old=begin + at + 1, new=0, text=gone[at])
        for at in range(j1, j2):
            yield DiffLine(kind=Kind.ADDED, old=0, new=begin + at + 1, text=come[at])
    for step in range(end):
        at = len(old) - end + step
        yield _same(at, len(new) - end + step, old[at])


def _opcodes(gone: Sequence[str], come: Sequence[str]) -> Sequence[tuple[str, int, int, int, int]]:
    if max(len(gone), len(come)) > MOST_PAIRED:
        return [("replace", 0, len(gone), 0, len(come))]
    return SequenceMatcher(None, gone, come, autojunk=False).get_opcodes()


def _alike(one: Sequence[str], other: Sequence[str]) -> int:
    """How many lines are the same at the beginning."""
    pairs = zip(one, other, strict=False)
    return next(
        (at for at, (left, right) in enumerate(pairs) if left != right), min(len(one), len(other))
    )


def _same(old: int, new: int, text: str) -> DiffLine:
    return DiffLine(kind=Kind.SAME, old=old + 1, new=new + 1, text=text)
