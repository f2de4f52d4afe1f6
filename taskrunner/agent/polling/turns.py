"""Which worker group may poll next: by weight, and for no more tasks than there are free slots.

A poll is expected to bring a task, and so takes up a slot, until it has been held for a moment: a
service that has work answers at once. From then on its group counts as empty, and its poll waits
beside those of the others without standing in their way, until it brings something after all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

#: A poll that is held for so long is one of an empty group, in seconds.
QUIET_S = 2.0


@dataclass(slots=True)
class _Group:
    name: str
    weight: int
    #: It has no work, as far as is known.
    empty: bool
    #: Grows by its weight with each turn that others get.
    credit: int = 0
    #: When its outstanding poll began.
    since: float | None = None
    #: After a failure it is not polled for a while.
    resting: bool = False

    def is_empty(self, now: float) -> bool:
        return self.empty or (self.since is not None and now - self.since >= QUIET_S)


class Turns:
    """Decides which group polls; has no clock and no threads. Callers hold a lock."""

    def __init__(
        self, groups: Iterable[str], weights: Mapping[str, int] | None = None, *, slots: int
    ) -> None:
        """A group without a weight has 1."""
        self.groups = tuple(groups)
        self.slots = slots
        # With a slot for each, all may be asked at once; no task is then one too many.
        empty = len(self.groups) <= slots
        self._groups = {name: _Group(name, 1, empty) for name in self.groups}
        self.weigh(weights or {})
        #: Slots that have no task; less than none while tasks wait for one.
        self.free = slots

    def weigh(self, weights: Mapping[str, int]) -> None:
        """Other weights from now on; a group that is not named has 1."""
        for group in self._groups.values():
            group.weight, group.credit = weights.get(group.name, 1), 0

    def begin(self, name: str, now: float) -> bool:
        """Whether the group is to poll now; it counts as polling then."""
        group = self._groups[name]
        if self.free < 1 or group.since is not None or group.resting:
            return False
        if not group.empty and not self._take_turn(group, now):
            return False
        group.since = now
        return True

    def _take_turn(self, group: _Group, now: float) -> bool:
        if self.free - self._expected(now) < 1:
            return False
        # Also those that are polling: were their turns passed on, weights would mean nothing.
        rivals = [g for g in self._groups.values() if not g.is_empty(now) and not g.resting]
        if max(rivals, key=lambda g: g.credit + g.weight) is not group:
            return False
        for rival in rivals:
            rival.credit += rival.weight
        group.credit -= sum(rival.weight for rival in rivals)
        return True

    def _expected(self, now: float) -> int:
        """How many polls are expected to bring a task."""
        polling = (g for g in self._groups.values() if g.since is not None)
        return sum(not g.is_empty(now) for g in polling)

    def came(self, name: str, *, task: bool) -> None:
        """The group's poll was answered; a task takes a slot."""
        group = self._groups[name]
        group.since, group.empty = None, not task
        self.free -= task

    def broke_off(self, name: str, now: float, *, rest: bool = False) -> None:
        """The group's poll ended without an answer; with `rest`, it is not to poll for now."""
        group = self._groups[name]
        group.empty = group.is_empty(now)
        group.since, group.resting = None, rest

    def rested(self, name: str) -> None:
        """The group may poll again."""
        self._groups[name].resting = False

    def freed(self) -> None:
        """A slot has no task any more."""
        self.free += 1

    def polling(self) -> dict[str, float]:
        """The groups with an outstanding poll, and when it began."""
        return {g.name: g.since for g in self._groups.values() if g.since is not None}

    def patience(self, now: float) -> float | None:
        """Seconds after which a group may get its turn merely because time passed; None: never."""
        due = [
            g.since + QUIET_S - now
            for g in self._groups.values()
            if g.since is not None and not g.is_empty(now)
        ]
        return max(min(due), 0.01) if due else None
