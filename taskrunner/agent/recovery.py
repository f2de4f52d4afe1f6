"""What a new agent owes for its predecessor: end what still runs, then tell what is known.

Nothing is run again. A hand-out whose process had ended gets the verdict that it left; one that
was cut short is reported as interrupted.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from contextlib import suppress

import psutil
import structlog

from taskrunner.agent import verdicts
from taskrunner.agent.attempt import Desk, read_result, ship_logs
from taskrunner.agent.environment import MARK
from taskrunner.agent.journal import Entry, Journal
from taskrunner.process import kill_tree
from taskrunner.wire.api import Verdict

__all__ = ["recover", "verdict_of"]

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


def recover(journal: Journal, desk: Desk) -> None:
    """Settle every hand-out that the journal still holds; called before the first poll."""
    entries = list(journal.open_entries())
    if not entries:
        return
    log.info("hand-outs left by the last run", count=len(entries))
    end_leftovers(entries)
    for entry in entries:
        if entry.verdict is None:
            entry.exited(verdict_of(entry))
        if not entry.logs_shipped:
            ship_logs(entry, desk)
        shutil.rmtree(entry.files.scratch, ignore_errors=True)
        desk.outbox.deliver(entry)


def verdict_of(entry: Entry) -> Verdict:
    """How a hand-out ended whose agent died before it could say so."""
    result = read_result(entry.files.result)
    if result is None or result.status == "CANCELED":
        return verdicts.INTERRUPTED
    return result


def end_leftovers(entries: Iterable[Entry]) -> int:
    """Kill what still runs of these hand-outs: by process, and by the mark in the environment."""
    found = {pid for entry in entries if (pid := _alive(entry)) is not None}
    found |= set(_marked({entry.token for entry in entries}))
    for pid in found:
        kill_tree(pid)
    if found:
        log.warning("ended what the last run had left", processes=len(found))
    return len(found)


def _alive(entry: Entry) -> int | None:
    if entry.process is None:
        return None
    pid, created = entry.process
    with suppress(psutil.NoSuchProcess):
        # Process ids are used again: the time of creation tells ours from another.
        if abs(psutil.Process(pid).create_time() - created) < 0.02:
            return pid
    return None


def _marked(tokens: set[str]) -> Iterable[int]:
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get(MARK) in tokens:
                yield process.pid
