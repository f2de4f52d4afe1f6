"""Free space: the agent takes no work while its disk is nearly full, and says so once."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from taskrunner.agent.polling.gate import DISK, Gate
from taskrunner.clock import Clock
from taskrunner.config.kinds import Space
from taskrunner.logs import get_logger

log = get_logger()

_EVERY_S = 10.0
#: A disk that hovers about the floor must not open and shut the gate each time.
_RESUME_AT = 1.1
#: An attempt makes a dozen files; one that is about to have none left breaks in odd places.
_LEAST_INODES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskSpace:
    """A disk as it is; `inodes_free` is None where the file system has no such limit."""

    total: int
    free: int
    inodes_free: int | None


def measure(path: Path) -> DiskSpace:
    """The disk that holds `path`, as far as this user may use it. Raises OSError."""
    found = os.statvfs(path)
    return DiskSpace(
        total=found.f_blocks * found.f_frsize,
        free=found.f_bavail * found.f_frsize,
        inodes_free=found.f_favail if found.f_files else None,
    )


def amount_text(size: int) -> str:
    """An amount of disk as people say it: 512 kB, 8.0 MB, 74 GB."""
    for unit, shift in (("TB", 40), ("GB", 30), ("MB", 20)):
        if size >= 10 << shift:
            return f"{size >> shift} {unit}"
    return f"{size >> 10} kB" if size < 1 << 20 else f"{size / (1 << 20):.1f} MB"


class DiskWatch:
    """Shuts the gate when the disk of the work folder runs low, and opens it again."""

    def __init__(
        self,
        path: Path,
        floor: Space,
        gate: Gate,
        clock: Clock,
        *,
        probe: Callable[[Path], DiskSpace] = measure,
    ) -> None:
        self.floor = floor
        self._path = path
        self._gate = gate
        self._clock = clock
        self._probe = probe
        self._next = clock.monotonic()
        self._low = False

    def look(self) -> DiskSpace | None:
        """The disk now; None when it does not say."""
        try:
            return self._probe(self._path)
        except OSError:
            return None

    def is_low(self) -> bool:
        """Whether the disk has less space than is needed to take tasks again."""
        space = self.look()
        return space is not None and space.free < self.floor.of(space.total) * _RESUME_AT

    def tick(self) -> None:
        """Look at the disk when it is time to."""
        now = self._clock.monotonic()
        if now < self._next:
            return
        self._next = now + _EVERY_S
        space = self.look()
        if space is not None:
            self._judge(space)

    def _judge(self, space: DiskSpace) -> None:
        ask = _RESUME_AT if self._low else 1.0
        floor = self.floor.of(space.total)
        enough = space.free >= floor * ask
        if floor and space.inodes_free is not None:
            enough = enough and space.inodes_free >= _LEAST_INODES * ask
        if enough == self._low:
            self._turn(space, low=not enough, floor=floor)

    def _turn(self, space: DiskSpace, *, low: bool, floor: int) -> None:
        self._low = low
        facts = {
            "path": str(self._path),
            "free_mb": space.free >> 20,
            "floor_mb": floor >> 20,
            "inodes_free": space.inodes_free,
        }
        if low:
            free, least = amount_text(space.free), amount_text(floor)
            why = f"{free} are free in {self._path}, less than min_free_disk, {least}"
            if space.free >= floor:
                why = f"{space.inodes_free} files can still be made on the disk of {self._path}"
            self._gate.shut(DISK, why)
            log.warning(
                "low disk: no more tasks are taken until there is space again",
                error=why,
                **facts,
                remedy=f"make space, or lower min_free_disk and reload; logs are in "
                f"{self._path / 'output' / 'logs'}",
            )
        else:
            self._gate.open(DISK)
            log.info("the disk has space again", **facts)
