"""A `taskrunner` whose deadlines, waits and intervals are a hundred times shorter, more or less.

    python -m tests.chaos.hasty WITHOUT taskrunner-arguments...

WITHOUT names a defence to take away (see mutants.py), or is `-`.
"""

from __future__ import annotations

import sys
from typing import Any

from tests.chaos.mutants import MUTANTS, become_taskrunner

__all__ = ["LONGEST_S"]

POLL_S, CALL_S = 0.6, 0.4
_WAIT_S, _MOST_S = 0.1, 0.4
_BEAT_S = 0.2
#: By when, at the latest, a poll should follow one that hung: its deadline, and the wait after it.
LONGEST_S = POLL_S + _MOST_S


def hurry() -> None:
    """Shorten what takes time in the agent when its service is hung."""
    from taskrunner.agent import backoff
    from taskrunner.agent.polling import poller
    from taskrunner.agent.polling.heartbeat import Heartbeat
    from taskrunner.wire.budgets import BUDGETS

    for operation, budget in BUDGETS.items():
        deadline_s = POLL_S if operation == "PollForTask" else CALL_S
        object.__setattr__(budget, "deadline_s", deadline_s)
        object.__setattr__(budget, "first_wait_s", _WAIT_S)
        object.__setattr__(budget, "longest_wait_s", _MOST_S)
    poller._LONGEST_POLL_S = 1.5 * POLL_S
    delay = backoff.Backoff.delay
    shortened = backoff.Backoff(first_s=_WAIT_S, most_s=_MOST_S)
    backoff.Backoff.delay = lambda self, failures, random: delay(  # type: ignore[method-assign]
        shortened, failures, random
    )
    original = Heartbeat.__init__

    def made(self: Heartbeat, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **{**kwargs, "interval_s": _BEAT_S})

    Heartbeat.__init__ = made  # type: ignore[method-assign]


def main(argv: list[str]) -> int:
    """Shorten everything, take a defence away, and become `taskrunner`."""
    without, *arguments = argv
    hurry()
    if without != "-":
        MUTANTS[without]()
    return become_taskrunner(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
