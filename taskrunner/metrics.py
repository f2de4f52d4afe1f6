"""Counts of what a program did, and Prometheus's text form of them.

By hand: the client library would cost an idle agent memory, and the service a twentieth of a second
of its start, for what is a hundred lines here.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

#: Types, errorIds and worker groups come from others: whoever writes them must not fill memory.
_MOST_SERIES = 2000
_OTHER = "other"

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Family:
    """What one metric means."""

    kind: str
    help: str
    #: Of a histogram, the upper ends of its buckets, rising.
    buckets: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a metric; labels in the order in which they are shown."""

    name: str
    value: float
    labels: Labels = ()


class Counters:
    """Sums by name and labels; safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[tuple[str, Labels], float] = {}

    def add(self, name: str, amount: float = 1.0, **labels: str) -> None:
        """Count; `name` is one of the program's families."""
        key = (name, tuple(labels.items()))
        with self._lock:
            if len(self._values) >= _MOST_SERIES and key not in self._values:
                key = (name, tuple((label, _OTHER) for label in labels))
            self._values[key] = self._values.get(key, 0.0) + amount

    def samples(self) -> list[Sample]:
        """Every sum as it is now."""
        with self._lock:
            return [Sample(name, value, labels) for (name, labels), value in self._values.items()]


class Histogram:
    """How often values fell into each bucket, of one metric; safe for threads."""

    def __init__(self, name: str, family: Family) -> None:
        self._name, self._ends = name, family.buckets
        self._lock = threading.Lock()
        #: Of each set of labels, the counts of its buckets, the last one endless; and the sum.
        self._held: dict[Labels, tuple[list[int], list[float]]] = {}

    def observe(self, value: float, **labels: str) -> None:
        """Count a value."""
        key = tuple(labels.items())
        with self._lock:
            held = self._held.get(key)
            if held is None:
                held = self._held[key] = ([0] * (len(self._ends) + 1), [0.0])
            held[0][bisect_left(self._ends, value)] += 1
            held[1][0] += value

    def samples(self) -> list[Sample]:
        """Its buckets, each with what is in those below it, its sum and its count."""
        with self._lock:
            held = {key: (list(counts), sums[0]) for key, (counts, sums) in self._held.items()}
        return [
            one for key, (counts, total) in held.items() for one in self._of(key, counts, total)
        ]

    def _of(self, key: Labels, counts: Sequence[int], total: float) -> list[Sample]:
        found, below = [], 0
        for end, count in zip((*map(str, self._ends), "+Inf"), counts, strict=True):
            below += count
            found.append(Sample(f"{self._name}_bucket", below, (*key, ("le", end))))
        found.append(Sample(f"{self._name}_sum", total, key))
        found.append(Sample(f"{self._name}_count", below, key))
        return found


def render(samples: Iterable[Sample], families: Mapping[str, Family]) -> str:
    """The samples in Prometheus's text format, version 0.0.4, in the order of the families."""
    by_name: dict[str, list[Sample]] = {}
    for sample in samples:
        by_name.setdefault(_family_of(sample.name, families), []).append(sample)
    lines = []
    for name, family in families.items():
        if found := by_name.pop(name, None):
            lines += [f"# HELP {name} {family.help}", f"# TYPE {name} {family.kind}"]
            lines += map(_line, found)
    assert not by_name, f"metrics without a family: {sorted(by_name)}"  # noqa: S101
    return "\n".join(lines) + "\n"


def _family_of(name: str, families: Mapping[str, Family]) -> str:
    """The metric that a sample belongs to: of a histogram each name has an ending."""
    if name in families:
        return name
    base, _, ending = name.rpartition("_")
    is_part = ending in {"bucket", "sum", "count"} and base in families
    return base if is_part and families[base].kind == "histogram" else name


def _line(sample: Sample) -> str:
    labels = ",".join(f'{key}="{_escaped(value)}"' for key, value in sample.labels)
    return (
        f"{sample.name}{{{labels}}} {sample.value!r}"
        if labels
        else (f"{sample.name} {sample.value!r}")
    )


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
