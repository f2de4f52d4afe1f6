from __future__ import annotations

from taskrunner.data.throttle import Throttle
from taskrunner.data.transfer_progress import Bounds, TransferProgress
from taskrunner.testing import FakeClock


class Monitor:
    """Keeps what it was told last."""

    def __init__(self) -> None:
        self.told: dict[str, str | int] = {}

    def progress(self, **fields: str | int) -> None:
        self.told = fields

    def check_canceled(self) -> None:
        """Goes on."""


def test_what_an_earlier_attempt_has_written_counts_and_is_not_waited_for() -> None:
    clock, monitor = FakeClock(), Monitor()
    throttle = Throttle(rows=10, size=None, clock=clock, check=lambda: None)
    progress = TransferProgress(monitor, Bounds(throttle=throttle))
    begun = clock.monotonic()
    progress.take_over(1000, 5000)
    assert clock.monotonic() == begun
    progress.count_written(20, 100)
    assert clock.monotonic() == begun + 1
    assert monitor.told == {"rows": 1020, "bytes": 5100}
    assert (progress.moved.rows, progress.moved.bytes) == (1020, 5100)
