"""How long a call may take and how often it is tried: one budget a call, with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How long each try and how often a call is tried, and why just so."""

    #: Of one try, the reply's last byte included.
    deadline_s: float = 30.0
    attempts: int = 1
    #: Longest wait before the second try, in seconds; doubled for each further one up to the cap.
    first_wait_s: float = 0.0
    longest_wait_s: float = 0.0
    reason: str

    def wait_s(self, failures: int, fraction: float) -> float:
        """The wait after so many failures; `fraction` (0 to 1) spreads a fleet's second tries."""
        ceiling: float = min(self.longest_wait_s, self.first_wait_s * 2 ** (failures - 1))
        return ceiling * (0.5 + fraction / 2)


#: Of the calls that an agent makes.
BUDGETS: Mapping[str, Budget] = {
    "PollForTask": Budget(
        # The service holds a poll for up to 90 s; ten more for the way there and back.
        deadline_s=100,
        attempts=1,
        reason="A poll whose answer was lost may have been given a task; asking again at once "
        "leaves that one to wait for its acknowledgement window and hides the fault from the loop, "
        "which backs off and polls again anyway.",
    ),
    "ReportTaskProgress": Budget(
        deadline_s=15,
        attempts=3,
        first_wait_s=1,
        longest_wait_s=4,
        reason="The first report must come within 2 minutes of the hand-out and the lease is 5, so "
        "a short cut is worth bridging, by three tries that fit between two reports; after that "
        "the next report is only a minute away, and a late one must not hold back the news that "
        "the lease is in danger.",
    ),
    "SetTaskStatus": Budget(
        deadline_s=30,
        attempts=4,
        first_wait_s=1,
        longest_wait_s=8,
        reason="A verdict ends the attempt and frees the slot, so blips are bridged here. Longer "
        "outages are the outbox's: it holds the verdict on disk and sends it again until the "
        "service says yes or superseded.",
    ),
    "ReportTaskRunnerHeartbeat": Budget(
        deadline_s=15,
        attempts=2,
        first_wait_s=2,
        longest_wait_s=2,
        reason="Nothing is lost with a heartbeat, it only informs; the next one comes by itself.",
    ),
}
_OTHER = Budget(reason="Other calls are made for people, who see what became of them.")


def budget_of(operation: str) -> Budget:
    """The budget of any operation."""
    return BUDGETS.get(operation, _OTHER)
