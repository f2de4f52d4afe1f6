"""An edge that cannot be held down: not by strangers, and not by one key for the others."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.agent_harness import wait_for
from tests.integration.crowd import (
    DESCRIPTORS,
    Crowded,
    closed,
    crowd,
    crowded,
    many_descriptors,
    newcomers,
    polls,
    strangers,
)

pytestmark = pytest.mark.skipif(
    shutil.which("prlimit") is None or resource.getrlimit(resource.RLIMIT_NOFILE)[1] < DESCRIPTORS,
    reason=f"needs prlimit (util-linux) and {DESCRIPTORS} open files",
)

STRANGERS, POLLS = 2_000, 1_000
#: What the service takes within its limit of 1,024, and how much of it is for one key's polls.
PLACES, SHARE = 896, 448
MB = 1024 * 1024
#: How long is waited for an answer that does not come.
VAIN_S = 3.0


@pytest.fixture(autouse=True)
def _descriptors() -> Iterator[None]:
    with many_descriptors():
        yield


def test_others_are_answered_in_a_crowd(tmp_path: Path) -> None:
    with crowded(tmp_path) as service:
        service.asked()
        memory, lines = service.memory(), len(service.log.read_text().splitlines())
        with newcomers(service) as waited, crowd(service, polls(service, POLLS)) as held:
            service.asked()
            # The key has its share of the places.
            ask_until(service, lambda: closed(held) == POLLS - SHARE)
            with crowd(service, strangers(service, STRANGERS)) as waiting:
                for _ in range(20):
                    service.asked()
                ask_until(service, lambda: closed(waiting) > STRANGERS - PLACES)
                # Nobody has taken that from it.
                assert closed(held) == POLLS - SHARE
                assert closed(waiting) > STRANGERS - PLACES
        assert waited
        assert service.memory() - memory < 100 * MB
        assert len(service.log.read_text().splitlines()) - lines < 100
    assert service.process.returncode == 0


def ask_until(service: Crowded, condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        service.asked()


def test_without_the_defence_nobody_is(tmp_path: Path) -> None:
    """The same with the HTTP library's own edge: 1,100 silent connections are enough."""
    with crowded(tmp_path, program=("-m", "tests.integration.undefended_edge")) as service:
        service.asked()
        with crowd(service, [b""] * 1_100):
            with pytest.raises((AssertionError, OSError)):
                # All of that time the service spins: no longer than it takes to tell.
                service.asked(patience_s=VAIN_S)
            wait_for("a full log", lambda: service.log.stat().st_size > MB)
        service.process.kill()
