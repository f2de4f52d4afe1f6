"""A component's fields on retries, timeouts and limits, parsed into numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from taskrunner.model.period import Period

#: How many instances of an activity or a resource with a schedule may be active at once: the
#: guide's limits page, "Number of active instances per object".
DEFAULT_ACTIVE_INSTANCES = 5
#: A run of the real service showed two tries left after a first attempt of three.
DEFAULT_MAXIMUM_RETRIES = 2
DEFAULT_RETRY_DELAY = timedelta(minutes=10)
#: How long a precondition that does not hold waits before it is looked at again.
PRECONDITION_RECHECK = timedelta(minutes=1)

#: Longer durations count as this: they must not lead out of the calendar.
LONGEST = timedelta(days=36_500)

#: The fields that say a policy: objects in which they are alike have the same one.
POLICY_FIELDS = frozenset(
    {
        *("actionOnResourceFailure", "actionOnTaskFailure", "attemptTimeout"),
        *("failureAndRerunMode", "initTimeout", "lateAfterTimeout", "maxActiveInstances"),
        *("maximumRetries", "preconditionTimeout", "reportProgressTimeout", "retryDelay"),
        "terminateAfter",
    }
)

#: A field's text with its expressions evaluated, or None when it is not set.
Text = Callable[[str], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How often, how long and how late an instance may be. Durations are timedeltas."""

    maximum_retries: int = DEFAULT_MAXIMUM_RETRIES
    retry_delay: timedelta = DEFAULT_RETRY_DELAY
    recheck_delay: timedelta = PRECONDITION_RECHECK
    attempt_timeout: timedelta | None = None
    late_after: timedelta | None = None
    precondition_timeout: timedelta | None = None
    report_timeout: timedelta | None = None
    terminate_after: timedelta | None = None
    #: How long a resource's runner may take to ask for work.
    init_timeout: timedelta | None = None
    #: Whether a resource is ended once something that runs on it has failed.
    terminate_on_task_failure: bool = False
    #: Whether a resource that is lost is not made again.
    retry_none: bool = False
    max_active: int | None = None
    cascade: bool = False

    @classmethod
    def of(cls, text: Text, *, at: datetime, retry_delay_cap: timedelta | None = None) -> Policy:
        """Read the policy of one component.

        `at` is the moment that month-long periods are counted from. `retry_delay_cap` shortens
        the waits between attempts and between checks of a precondition. A field that cannot be
        read counts as not set: validation has reported it, and a run must not die of it.
        """

        def duration(field: str) -> timedelta | None:
            given = text(field)
            if field == "terminateAfter" and given and given.strip().isdecimal():
                # AWS's table of EmrCluster has a number of hours there, its samples a period.
                given = f"{given.strip()} hours"
            try:
                return min(LONGEST, Period.parse(given).timedelta_from(at)) if given else None
            except OverflowError:
                return LONGEST
            except ValueError:
                return None

        def whole(field: str) -> int | None:
            given = (text(field) or "").strip()
            return int(given) if given.isascii() and given.isdigit() and len(given) < 10 else None

        def capped(delay: timedelta) -> timedelta:
            return delay if retry_delay_cap is None else min(delay, retry_delay_cap)

        def says(field: str, word: str) -> bool:
            return (text(field) or "").strip().lower() == word

        retries = whole("maximumRetries")
        delay = duration("retryDelay")
        return cls(
            maximum_retries=DEFAULT_MAXIMUM_RETRIES if retries is None else retries,
            retry_delay=capped(DEFAULT_RETRY_DELAY if delay is None else delay),
            recheck_delay=capped(PRECONDITION_RECHECK if delay is None else delay),
            attempt_timeout=duration("attemptTimeout"),
            late_after=duration("lateAfterTimeout"),
            precondition_timeout=duration("preconditionTimeout"),
            report_timeout=duration("reportProgressTimeout"),
            terminate_after=duration("terminateAfter"),
            init_timeout=duration("initTimeout"),
            terminate_on_task_failure=says("actionOnTaskFailure", "terminate"),
            retry_none=says("actionOnResourceFailure", "retrynone"),
            max_active=whole("maxActiveInstances") or None,  # with 0 nothing would ever run
            cascade=says("failureAndRerunMode", "cascade"),
        )
