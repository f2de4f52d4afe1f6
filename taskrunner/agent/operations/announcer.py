"""What systemd, and so `systemctl status`, is told: ready, what the agent does, why it ended."""

from __future__ import annotations

from taskrunner.agent.operations.status import Health
from taskrunner.clock import Clock
from taskrunner.errors import NotAuthorized
from taskrunner.host.systemd import Notifier

#: How long the service's first answer is waited for; an agent without a service is ready, too.
_FIRST_ANSWER_S = 10.0


class Announcer:
    """Tells each thing once. For the main thread."""

    def __init__(self, notifier: Notifier, clock: Clock, groups: tuple[str, ...]) -> None:
        self._notifier = notifier
        self._clock = clock
        self._groups = ", ".join(groups)
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
        tasks = f"{running} task{'' if running == 1 else 's'} running"
        status = f"{phase} for {self._groups}: {tasks}"
        if phase == "running" and not health.ok:
            status += f"; no work is taken: {health.why}"
        if status != self._told:
            self._told = status
            self._notifier.send(STATUS=status)

    def ended(self, code: int, refusal: NotAuthorized | None) -> None:
        """Leave the reason for the end in the unit's status line."""
        why = f": not authorized: {refusal}" if refusal is not None else ""
        self._notifier.send(STATUS=f"ended with exit code {code}{why}")
