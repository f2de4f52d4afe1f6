"""An edge that cannot be held down: not by strangers, and not by one key for the others."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.crowd import (
    DESCRIPTORS,
    RUNNER,
    Crowded,
    closed,
    crowd,
    crowded,
    many_descriptors,
    slow_request,
)

pytestmark = pytest.mark.skipif(
    shutil.which("prlimit") is None or resource.getrlimit(resource.RLIMIT_NOFILE)[1] < DESCRIPTORS,
    reason=f"needs prlimit (util-linux) and {DESCRIPTORS} open files",
)

STRANGERS, POLLS = 2_000, 1_000
MB = 1024 * 1024


@pytest.fixture(autouse=True)
def _descriptors() -> Iterator[None]:
    with many_descriptors():
        yield


def strangers(service: Crowded) -> list[bytes]:
    """What silent, half-headed and slow clients have sent."""
    kinds = [b"", b"POST / HTTP/1.1\r\nhost: x\r\nx-", slow_request(service), b"garbage\r\n\r\n"]
    return [kinds[number % len(kinds)] for number in range(STRANGERS)]


def test_others_are_answered_in_a_crowd(tmp_path: Path) -> None:
    with crowded(tmp_path) as service:
        service.asked()
        memory, lines = service.memory(), len(service.log.read_text().splitlines())
        polls = [
            service.request("PollForTask", {"workerGroup": "g", "hostname": str(number)}, RUNNER)
            for number in range(POLLS)
        ]
        with crowd(service, polls) as held:
            service.asked()
            with crowd(service, strangers(service)) as waiting:
                for _ in range(20):
                    service.asked()
                for _ in range(500):
                    if closed(held) == POLLS - 896 // 2 and closed(waiting) > STRANGERS - 896:
                        break
                    service.asked()
                # The key has its share of the places, and nobody has taken that from it.
                assert closed(held) == POLLS - 896 // 2
                assert closed(waiting) > STRANGERS - 896
        assert service.memory() - memory < 100 * MB
        assert len(service.log.read_text().splitlines()) - lines < 100
    assert service.process.returncode == 0


def test_without_the_defence_nobody_is(tmp_path: Path) -> None:
    """The same with the HTTP library's own edge: 1,100 silent connections are enough."""
    with crowded(tmp_path, program=("-m", "tests.integration.undefended_edge")) as service:
        service.asked()
        with crowd(service, [b""] * 1_100), pytest.raises((AssertionError, OSError)):
            service.asked()
        assert service.log.stat().st_size > MB
        service.process.kill()
