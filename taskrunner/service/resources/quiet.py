"""Regions of AWS that did not answer or were busy: nothing is asked of them for a while."""

from __future__ import annotations

from dataclasses import dataclass

from taskrunner.clock import Clock
from taskrunner.service.resources.base import ResourceBusy


@dataclass
class _Silence:
    until: float
    trouble: str


class QuietRegions:
    """Which regions are left alone, and why."""

    def __init__(self, clock: Clock, pause_s: float) -> None:
        self._clock, self._pause_s = clock, pause_s
        self._silent: dict[str, _Silence] = {}

    def trouble(self, region: str) -> str:
        """What keeps this service from asking a region just now; empty when nothing does."""
        found = self._silent.get(region)
        return found.trouble if found and self._clock.monotonic() < found.until else ""

    def check(self, region: str) -> None:
        """Raise ResourceBusy for a region that is left alone."""
        if trouble := self.trouble(region):
            raise ResourceBusy(trouble)

    def hush(self, region: str, trouble: str) -> bool:
        """Ask nothing of a region for a while; whether its trouble is a new one."""
        before = self._silent.get(region)
        until = self._clock.monotonic() + self._pause_s
        self._silent[region] = _Silence(until=until, trouble=trouble)
        return before is None or before.trouble != trouble

    def answered(self, region: str) -> None:
        """Note that a region has answered: the same trouble is a new one then."""
        self._silent.pop(region, None)
