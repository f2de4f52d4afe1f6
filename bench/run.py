"""Measurements as ratios against a peer in the same run: `make bench`, or with names for some."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROUNDS = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the result."""

    what: str
    ours_s: float
    peer: str
    peer_s: float

    def __str__(self) -> str:
        ratio = self.ours_s / self.peer_s
        return (
            f"{self.what}: {self.ours_s * 1000:.1f} ms, {ratio:.2f} x {self.peer}"
            f" ({self.peer_s * 1000:.1f} ms)"
        )


def start_time() -> Figure:
    """How long the command needs before it does anything, beside an empty Python."""
    python = sys.executable
    taskrunner = str(Path(python).with_name("taskrunner"))
    ours, peer = alternating([taskrunner, "--version"], [python, "-c", "pass"])
    return Figure(what="taskrunner --version", ours_s=ours, peer="python -c pass", peer_s=peer)


def alternating(ours: Sequence[str], peer: Sequence[str]) -> tuple[float, float]:
    """Median wall time of two commands, run in turns so that a busy machine hits both."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for command, taken in zip((ours, peer), times, strict=True):
            begin = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            taken.append(time.perf_counter() - begin)
    return statistics.median(times[0]), statistics.median(times[1])


BENCHES: dict[str, Callable[[], Figure]] = {"start": start_time}


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        print(f"no measurement {', '.join(unknown)}; there are {', '.join(BENCHES)}")
        return 2
    for name in names or BENCHES:
        print(f"{name}: {BENCHES[name]()}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
