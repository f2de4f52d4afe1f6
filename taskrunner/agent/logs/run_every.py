"""Runs a periodic chore, which survives a host that is out of descriptors, disk or threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from random import Random

from taskrunner.agent.backoff import Backoff, Outage
from taskrunner.clock import Clock
from taskrunner.logs import get_logger

log = get_logger()


def run_every(
    chore: str, tick: Callable[[], None], *, clock: Clock, closing: threading.Event, every_s: float
) -> None:
    """Call `tick` at once and then each `every_s` seconds, until the agent closes.

    An OSError (no descriptors left, above all) is told when it begins and when it ends: no chore
    is worth the agent's life, and what runs in it.
    """
    outage = Outage(
        began=lambda error: log.warning(
            "a chore of the agent has to wait", chore=chore, error=str(error)
        ),
        goes_on=lambda error, failures: log.warning(
            "a chore of the agent still has to wait",
            chore=chore,
            error=str(error),
            failures=failures,
        ),
        ended=lambda failures: log.info(
            "a chore of the agent is done again", chore=chore, failures=failures
        ),
        backoff=Backoff(first_s=every_s, most_s=every_s),
        random=Random(),  # noqa: S311  spreads load, guards nothing
    )
    wait_s = 0.0
    while not clock.wait(closing, wait_s):
        wait_s = _once(tick, outage, every_s)


def _once(tick: Callable[[], None], outage: Outage, every_s: float) -> float:
    try:
        tick()
    except OSError as error:
        return outage.failed(error)
    outage.succeeded()
    return every_s
