"""Hadoop's `aggregate` reducer: `FUNCTION:key TAB value` lines, a result for each key.

Keys come sorted, so that only one key's values are held at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby

from taskrunner.errors import TaskError


def aggregated(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The output's lines; raises TaskError for a line that names no known function."""
    pairs = (line.rstrip(b"\n").partition(b"\t") for line in lines)
    for key, group in groupby(pairs, key=lambda pair: pair[0]):
        name, colon, what = key.partition(b":")
        function = _FUNCTIONS.get(name)
        if function is None or not colon:
            known = ", ".join(name.decode() for name in _FUNCTIONS)
            message = (
                f"aggregate: found the key {key[:80]!r}, wanted FUNCTION:KEY with one of {known}"
            )
            raise TaskError(message)
        try:
            yield b"%s\t%s\n" % (what, function(value for _, _, value in group))
        except ValueError as error:
            raise TaskError(f"aggregate: a value of {key[:80]!r} is no number ({error})") from error


def _whole(choose: Callable[[Iterable[int]], int]) -> Callable[[Iterable[bytes]], bytes]:
    return lambda values: b"%d" % choose(map(int, values))


def _distinct(values: Iterable[bytes]) -> bytes:
    return b"%d" % len(set(values))


def _histogram(values: Iterable[bytes]) -> bytes:
    """How many distinct values, then least, median, most, average and deviation of their counts."""
    counts: dict[bytes, int] = {}
    for value in values:
        # A value may say how often it counts: VALUE TAB NUMBER.
        text, _, number = value.partition(b"\t")
        counts[text] = counts.get(text, 0) + int(number or 1)
    found = sorted(counts.values())
    average = sum(found) / len(found)
    deviation = (sum((count - average) ** 2 for count in found) / len(found)) ** 0.5
    facts = (len(found), found[0], found[len(found) // 2], found[-1], average, deviation)
    return "\t".join(map(str, facts)).encode()


_FUNCTIONS: dict[bytes, Callable[[Iterable[bytes]], bytes]] = {
    b"LongValueSum": _whole(sum),
    b"LongValueMax": _whole(max),
    b"LongValueMin": _whole(min),
    b"DoubleValueSum": lambda values: str(sum(map(float, values))).encode(),
    b"StringValueMax": max,
    b"StringValueMin": min,
    b"UniqValueCount": _distinct,
    b"ValueHistogram": _histogram,
}
