"""How much chaos: a short form that every run of the tests includes, and the full one."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field


@dataclass(slots=True)
class Chaos:
    """One test's share: numbers of trials, a source of chance, and what was seen."""

    full: bool
    seed: int
    findings: list[str]
    random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def trials(self, short: int, full: int) -> int:
        """A number of trials, by the form that runs."""
        return full if self.full else short

    def found(self, invariant: str, text: str) -> None:
        """What a test saw, for the closing report: `A1`, `1000 kills over 500 tasks, 0 lost`."""
        form = "full" if self.full else "short"
        self.findings.append(f"{invariant} ({form}, seed {self.seed}): {text}")


def is_full() -> bool:
    """Whether the full numbers were asked for."""
    return os.environ.get("TASKRUNNER_CHAOS") == "full"


def seed() -> int:
    """The seed given, so that a run can be repeated, or a new one."""
    given = os.environ.get("TASKRUNNER_CHAOS_SEED")
    return int(given) if given else random.SystemRandom().randrange(1 << 32)
