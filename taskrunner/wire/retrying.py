"""Second tries, within each call's budget. Only what brought no usable answer is retried.

The loops that call never retry by themselves; the poll is never retried at all.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import tenacity

from taskrunner.clock import Clock
from taskrunner.errors import ServiceUnreachable
from taskrunner.wire.api import Call, R, Request, operation_of
from taskrunner.wire.budgets import budget_of


class RetryingCalls:
    """Makes another one's calls, and makes them again within their budgets."""

    def __init__(self, call: Call, *, clock: Clock, fraction: Callable[[], float]) -> None:
        """`fraction` gives random numbers of 0 to 1."""
        self._call = call
        self._clock = clock
        self._hurried = threading.Event()
        self._fraction = fraction

    def hurry(self) -> None:
        """From now on nothing is tried a second time, and waits for that are over."""
        self._hurried.set()

    def call(self, request: Request[R]) -> R:
        """The reply of the first try that brings one."""
        try:
            return self._call(request)
        except ServiceUnreachable as error:
            return self._tried_again(request, error)

    def _tried_again(self, request: Request[R], first: ServiceUnreachable) -> R:
        """The same after the first try: mostly that is all, and needs nothing that is around it."""
        failed = [first]

        def try_once(request: Request[R]) -> R:
            if failed:
                raise failed.pop()
            return self._call(request)

        budget = budget_of(operation_of(request))
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(ServiceUnreachable),
            stop=tenacity.stop_any(
                tenacity.stop_after_attempt(budget.attempts),
                tenacity.stop_when_event_set(self._hurried),
            ),
            wait=lambda state: budget.wait_s(state.attempt_number, self._fraction()),
            sleep=self._sleep,
            reraise=True,
        )
        reply: R = retrying(try_once, request)
        return reply

    def _sleep(self, seconds: float) -> None:
        self._clock.wait(self._hurried, seconds)
