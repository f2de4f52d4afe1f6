"""Verdicts on their way to the service: sent again until it says yes, or superseded."""

from __future__ import annotations

import threading
from collections import deque
from random import Random

from taskrunner.agent.backoff import Backoff, Outage
from taskrunner.agent.journal.journal import Entry
from taskrunner.clock import Clock
from taskrunner.errors import CallRefused, NotAuthorized, ServiceUnreachable, UnknownTask
from taskrunner.logs import get_logger
from taskrunner.wire.api import Verdict
from taskrunner.wire.runner import RunnerApi

log = get_logger()

_AFTER_REFUSAL_S = 30.0
#: The longest wait between two tries: while a verdict waits nobody reports, and the lease that the
#: last report began must see more than one try after the service is back.
_LONGEST_WAIT_S = 30.0
_PART_OF_LEASE = 0.1


class Outbox:
    """Sends each journaled verdict; there is no count after which one is given up."""

    def __init__(
        self,
        api: RunnerApi,
        clock: Clock,
        *,
        lease_s: float = 300.0,
        random: Random | None = None,
    ) -> None:
        self._api = api
        self._clock = clock
        self._waiting: list[Entry] = []
        self._lock = threading.Lock()
        self._work = threading.Event()
        self._delay_s = _AFTER_REFUSAL_S
        self._outage = Outage(
            began=lambda error: log.warning("verdict not taken; will send again", error=str(error)),
            ended=lambda failures: log.info("verdicts are taken again", failures=failures),
            backoff=Backoff(most_s=min(_LONGEST_WAIT_S, lease_s * _PART_OF_LEASE)),
            random=random or Random(),  # noqa: S311  spreads load, guards nothing
        )

    def deliver(self, entry: Entry) -> None:
        """Send a verdict now, unless the service is away; the loop goes on trying.

        It does not wait for older verdicts: the leases of finished tasks would run out behind them.
        """
        if self._outage.lasts or not self._send(entry):
            with self._lock:
                self._waiting.append(entry)
            self._work.set()

    def pending(self) -> int:
        """How many verdicts wait."""
        with self._lock:
            return len(self._waiting)

    def loop(self, closing: threading.Event) -> None:
        """Send what waits, until the agent closes; the rest stays in the journal."""
        while not closing.is_set():
            self._work.wait()
            delay = self.tick()
            self._clock.wait(closing, delay)

    def tick(self) -> float:
        """Try what waits, oldest first; returns how long to wait before the next round.

        When one fails, the newest is tried next, so that a single bad verdict blocks no other.
        """
        left = deque(self._snapshot())
        while left:
            if not self._settle(left.popleft()) and not (left and self._settle(left.pop())):
                break
        with self._lock:
            if self._waiting:
                return self._delay_s
            self._work.clear()
        return 0.0

    def _settle(self, entry: Entry) -> bool:
        settled = self._send(entry)
        if settled:
            with self._lock:
                self._waiting.remove(entry)
        return settled

    def _snapshot(self) -> list[Entry]:
        with self._lock:
            return list(self._waiting)

    def _send(self, entry: Entry) -> bool:
        """Send it once; true when it is settled: taken, or refused for good."""
        assert entry.verdict is not None, entry.attempt_id  # noqa: S101
        try:
            self._api.set_task_status(entry.task_id, entry.verdict)
        except UnknownTask:
            log.warning("verdict superseded", attempt_id=entry.attempt_id)
        except ServiceUnreachable as error:
            self._delay_s = self._outage.failed(error)
            return False
        except NotAuthorized:
            return False
        except CallRefused as error:
            return self._send_bare(entry, error)
        else:
            self._outage.succeeded()
            log.info("verdict taken", attempt_id=entry.attempt_id, status=entry.verdict.status)
        entry.close()
        return True

    def _send_bare(self, entry: Entry, refusal: CallRefused) -> bool:
        """Send the verdict again without its texts, which may be what the service refuses."""
        assert entry.verdict is not None, entry.attempt_id  # noqa: S101
        bare = Verdict(status=entry.verdict.status, error_id=entry.verdict.error_id)
        log.error("verdict refused", attempt_id=entry.attempt_id, error=str(refusal))
        try:
            self._api.set_task_status(entry.task_id, bare)
        except (ServiceUnreachable, NotAuthorized):
            # Nothing is said of the verdict: it is owed until somebody who may tell it does.
            return False
        except CallRefused as error:
            log.error("verdict dropped", attempt_id=entry.attempt_id, error=str(error))  # noqa: TRY400
        entry.close()
        return True
