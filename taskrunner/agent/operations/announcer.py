"""What systemd, and so `systemctl status`, is told: ready, what the agent does, why it ended.

Whoever reads the log is told when the agent has come to wait for work.
"""

from __future__ import annotations

from taskrunner.agent.operations.status import Health
from taskrunner.clock import Clock
from taskrunner.errors import NotAuthorized
from taskrunner.host.systemd import Notifier
from taskrunner.logs import get_logger

#: How long the service's first answer is waited for; an agent without a service is ready, too.
_FIRST_ANSWER_S = 10.0
#: Tasks that follow each other sooner leave no wait worth a line.
_WAITS_AFTER_S = 10.0

log = get_logger()


class Announcer:
    """Tells each thing once. For the main thread."""

    def __init__(self, notifier: Notifier, clock: Clock, groups: tuple[str, ...]) -> None:
        self._notifier = notifier
        self._clock = clock
        self._worker_groups = groups
        self._groups = ", ".join(groups)
        #: Since when there has been no task after one; None: not since the wait was last told.
        self._idle_since: float | None = None
        self._told = ""
        self._ready = False
        self._ready_at = clock.monotonic() + _FIRST_ANSWER_S

    def ready(self) -> None:
        """Send READY: the service has answered, or the agent drains as it was told to."""
        if not self._ready:
            self._ready = True
            self._notifier.send(READY="1")

    def tick(self, phase: str, running: int, health: Health) -> None:
        """What the agent does now."""
        if self._clock.monotonic() >= self._ready_at:
            self.ready()
        self._tell_wait(waits=phase == "running" and health.ok and not running, busy=running > 0)
        tasks = f"{running} task{'' if running == 1 else 's'} running"
        status = f"{phase} for {self._groups}: {tasks}"
        if phase == "running" and not health.ok:
            status += f"; no work is taken: {health.why}"
        if status != self._told:
            self._told = status
            self._notifier.send(STATUS=status)

    def _tell_wait(self, *, waits: bool, busy: bool) -> None:
        now = self._clock.monotonic()
        if busy:
            self._idle_since = now
        elif waits and self._idle_since is not None and now - self._idle_since >= _WAITS_AFTER_S:
            self._idle_since = None
            log.info("waiting for tasks", worker_groups=list(self._worker_groups))

    def ended(self, code: int, refusal: NotAuthorized | None) -> None:
        """Leave the reason for the end in the unit's status line."""
        why = f": not authorized: {refusal}" if refusal is not None else ""
        self._notifier.send(STATUS=f"ended with exit code {code}{why}")
