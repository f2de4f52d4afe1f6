"""Removes logs that this host need not keep any longer, and what dead agents have left.

Oldest first, by age, number and size. What is owed to a store is not on the shelf yet, and so
never goes. When the disk is nearly full, logs that are in a store go before their time.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from taskrunner.agent.logs.run_every import run_every
from taskrunner.agent.logs.shelf import Kept, Shelf, size_on_disk
from taskrunner.agent.operations.disk import DiskSpace, measure
from taskrunner.clock import Clock
from taskrunner.config.kinds import Space
from taskrunner.config.settings import Settings
from taskrunner.logs import get_logger

log = get_logger()

_EVERY_S = 60.0
_DAY_S = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How much may stay on this host."""

    days: float = 7.0
    size: Space = field(default_factory=lambda: Space(size=10 << 30, percent=10.0))
    count: int = 10_000

    @classmethod
    def of(cls, settings: Settings) -> Retention:
        """As the settings have it."""
        return cls(
            days=settings.keep_logs_days,
            size=settings.keep_logs_size,
            count=settings.keep_logs_count,
        )


class Janitor:
    """Keeps the shelf within its limits. `keep` and `sweep` may be called by any thread."""

    def __init__(
        self,
        output: Path,
        shelf: Path,
        clock: Clock,
        retention: Retention,
        *,
        in_use: Callable[[], Collection[Path]],
        disk_is_low: Callable[[], bool],
        probe: Callable[[Path], DiskSpace] = measure,
    ) -> None:
        """`output` has the folders `logs` and `tmp`; `in_use`: log folders of running tasks."""
        self.retention = retention
        self._logs = output / "logs"
        self._scratch = output / "tmp"
        self._shelf = Shelf(shelf)
        self._clock = clock
        self._in_use = in_use
        self._disk_is_low = disk_is_low
        self._probe = probe
        self._left_behind: list[Path] = []
        self._waiting: list[Kept] = []
        self._lock = threading.Lock()

    @property
    def kept(self) -> tuple[int, int]:
        """How many attempts' logs are kept, and how many bytes they take."""
        return self._shelf.count, self._shelf.size

    def keep(self, folder: Path, *, pushed: bool) -> None:
        """Put these logs on the list of those that may be removed."""
        with suppress(ValueError):  # not below ours: a journal from another place
            kept = Kept(
                at=self._clock.now().timestamp(),
                size=size_on_disk(folder),
                pushed=pushed,
                folder=str(folder.relative_to(self._logs)),
            )
            with self._lock:
                self._waiting.append(kept)
            self._put_waiting()

    def sweep(self, spare: Collection[Path]) -> None:
        """Find the scratch folders of dead agents, all but these; call it before the first task."""
        with suppress(OSError):
            self._left_behind = [path for path in self._scratch.iterdir() if path not in spare]

    def loop(self, closing: threading.Event) -> None:
        """Tidy up now and then, until the agent closes."""
        run_every(
            "removing old logs", self.tick, clock=self._clock, closing=closing, every_s=_EVERY_S
        )

    def tick(self) -> None:
        """Remove what dead agents left, and the logs that exceed the limits."""
        while self._left_behind:
            shutil.rmtree(self._left_behind.pop(), ignore_errors=True)
        self._put_waiting()
        removed = 0
        while (kept := self._shelf.oldest()) is not None and self._must_go(kept):
            # Taken last: when it cannot be removed just now, it is the oldest still.
            self._remove(kept)
            self._shelf.take()
            removed += 1
        removed += self._make_room()
        if removed:
            log.info("old logs removed", attempts=removed, kept=self.kept[0], bytes=self.kept[1])

    def _put_waiting(self) -> None:
        with self._lock, suppress(OSError):  # a full disk: at the next tick
            while self._waiting:
                self._shelf.put(self._waiting[0])
                del self._waiting[0]

    def _must_go(self, kept: Kept) -> bool:
        folder = self._logs / kept.folder
        if not folder.is_dir():
            return True
        age = self._clock.now().timestamp() - kept.at
        limits = self.retention
        if age >= limits.days * _DAY_S or self._shelf.count > limits.count:
            return True
        return self._shelf.size > self._room()

    def _make_room(self) -> int:
        """On a nearly full disk remove pushed logs early, even when older ones have to stay."""
        gone: set[Kept] = set()
        if self._disk_is_low():
            for kept in self._shelf.all():
                if kept.pushed:
                    self._remove(kept)
                    gone.add(kept)
                    if not self._disk_is_low():
                        break
            self._shelf.drop(gone)
        return len(gone)

    def _room(self) -> int:
        try:
            return self.retention.size.of(self._probe(self._logs).total)
        except OSError:
            return self._shelf.size

    def _remove(self, kept: Kept) -> None:
        folder = self._logs / kept.folder
        if folder in self._in_use() or _is_newer(folder, kept):
            return  # the attempt was handed out once more, and will be put here again
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # not empty
            for parent in folder.parents:
                if parent == self._logs:
                    break
                parent.rmdir()


def _is_newer(folder: Path, kept: Kept) -> bool:
    with suppress(OSError):
        return (folder / "Activity.log").stat().st_mtime > kept.at + 1
    return False
