"""Pushes the logs of running tasks in parts; at the end the whole log replaces them.

A host that is lost takes with it what its tasks wrote since the last part, and no more. Each part
is journaled before it is pushed, so that the end, or the next agent, knows which there may be.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from taskrunner.agent.journal.journal import Entry
from taskrunner.agent.logs.shipping import Done
from taskrunner.clock import Clock
from taskrunner.errors import ErrorId, TaskError
from taskrunner.host.capped_log import gap_of
from taskrunner.logs import get_logger
from taskrunner.model.log_names import LOG_NAMES

log = get_logger()

#: Bytes of a log in one part, at most.
_LARGEST = 64 << 20
#: How far back from its end a part looks for the end of a line.
_LONGEST_LINE = 64 << 10
_TICK_S = 1.0
#: A task that runs for days makes hundreds of parts, not tens of thousands.
_PARTS_OF_TIME = 100
_LONGEST_S = 900.0
#: Failures to push that may pass; any other is a refusal, and stays one.
PASSING = frozenset({ErrorId.CONNECTION_FAILED, ErrorId.INTERNAL})


class PartShipper(Protocol):
    """What pushes a part; see LogShipper."""

    def push(
        self,
        path: Path,
        uri: str,
        start: int,
        end: int,
        done: Done,
        *,
        as_user: str | None = None,
    ) -> None:
        """Push a range of a file and come back at once; only `done` is told of failures."""
        ...


@dataclass(slots=True)
class _Followed:
    """One running task."""

    entry: Entry
    interval_s: float
    since: float
    due: float
    under_way: set[str] = field(default_factory=set)
    #: Logs that get no more parts: refused, or cut short by their task.
    given_up: set[str] = field(default_factory=set)
    idle: threading.Event = field(default_factory=threading.Event)


class LogParts:
    """Pushes what is new of each running task's logs at every interval. Safe for threads."""

    def __init__(self, shipper: PartShipper, clock: Clock, interval_s: float) -> None:
        """An interval of 0 pushes no parts."""
        self.interval_s = interval_s
        self._shipper = shipper
        self._clock = clock
        self._lock = threading.Lock()
        self._followed: list[_Followed] = []
        self._any = threading.Event()

    @contextmanager
    def follow(self, entry: Entry) -> Iterator[None]:
        """Push parts of a task's logs while the block runs; then waits for those under way."""
        if not self.interval_s or entry.files.log_uri is None:
            yield
            return
        now = self._clock.monotonic()
        followed = _Followed(entry, self.interval_s, now, now + self.interval_s)
        with self._lock:
            self._followed.append(followed)
            self._any.set()
        try:
            yield
        finally:
            with self._lock:
                self._followed.remove(followed)
                if not self._followed:
                    self._any.clear()
                waits = bool(followed.under_way)
            if waits:
                followed.idle.wait()

    def loop(self, closing: threading.Event) -> None:
        """Push until the agent closes."""
        while not closing.is_set():
            self._any.wait()
            self._clock.wait(closing, min(_TICK_S, self.interval_s or _TICK_S))
            self.tick()

    def tick(self) -> None:
        """Begin to push whatever is due; waits for nothing."""
        now = self._clock.monotonic()
        with self._lock:
            due = [followed for followed in self._followed if followed.due <= now]
        for followed in due:
            seldom = min((now - followed.since) / _PARTS_OF_TIME, _LONGEST_S)
            followed.due = now + max(followed.interval_s, seldom)
            for name in LOG_NAMES:
                self._begin(followed, name)

    def _begin(self, followed: _Followed, name: str) -> None:
        entry = followed.entry
        with self._lock:
            if name in followed.under_way | followed.given_up or followed not in self._followed:
                return
            part = self._plan(followed, name)
            if part is None:
                return
            followed.under_way.add(name)
            followed.idle.clear()
        entry.part_begun(name, *part)
        path, uri = entry.files.log_dir / name, entry.files.part_uri(name, *part)
        self._shipper.push(
            path,
            uri,
            *part,
            lambda error: self._ended(followed, name, part, error),
            as_user=entry.files.logs_as,
        )

    @staticmethod
    def _plan(followed: _Followed, name: str) -> tuple[int, int] | None:
        entry = followed.entry
        start = entry.pushed.get(name, 0)
        begun = [part for part in entry.parts if part[0] == name and part[1] == start]
        if begun:
            return begun[-1][1:]  # it failed: the same once more, so that parts never overlap
        path = entry.files.log_dir / name
        try:
            return next_part(path, start)
        except ValueError:
            followed.given_up.add(name)
            entry.anew(name)
            log.info("task began a log anew: no more parts of it", path=str(path))
        except OSError as error:
            log.warning("log not readable", path=str(path), error=str(error))
        return None

    def _ended(
        self, followed: _Followed, name: str, part: tuple[int, int], error: TaskError | None
    ) -> None:
        if error is None:
            followed.entry.part_pushed(name, part[1])
            if part[1] - part[0] >= _LARGEST:
                followed.due = self._clock.monotonic()  # there is more than one part's worth
        elif error.error_id not in PASSING:
            # A refusal stays one: the verdict will tell, and parts may do without.
            followed.given_up.add(name)
            why = followed.entry.files.why_not_pushed(error)
            log.warning("no more parts of a log are pushed", error=why)
        with self._lock:
            followed.under_way.discard(name)
            if not followed.under_way:
                followed.idle.set()


def next_part(path: Path, start: int) -> tuple[int, int] | None:
    """The range to push after `start`, if there is anything new; at the end of a line if it can be.

    Raises ValueError when the log has become shorter, OSError when it cannot be read.
    """
    size = path.stat().st_size if path.exists() else 0
    if size < start:
        raise ValueError(path)
    gap = gap_of(path)
    # What was left out before it was pushed is one line in the part that comes after it.
    first = gap.end if gap.start <= start < gap.end else start
    end = min(size, first + _LARGEST)
    if start < gap.start < end:
        end = gap.start
    if end <= start:
        return None
    return start, _end_of_line(path, first, end)


def _end_of_line(path: Path, start: int, end: int) -> int:
    begin = max(start, end - _LONGEST_LINE)
    with path.open("rb", buffering=0) as file:
        found = os.pread(file.fileno(), end - begin, begin).rfind(b"\n")
    return end if found < 0 else begin + found + 1
