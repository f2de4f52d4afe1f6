"""The fixtures `chaos` and `service`, and the report of what every invariant's test has seen."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.scale import Chaos, is_full, seed
from tests.integration.agent_harness import FakeService

_FINDINGS = pytest.StashKey[list[str]]()
_SEED = pytest.StashKey[int]()


@pytest.fixture
def chaos(request: pytest.FixtureRequest) -> Chaos:
    """Numbers of trials and a source of chance; its seed is printed when the test fails."""
    config = request.config
    chaos = Chaos(
        full=is_full(),
        seed=config.stash.setdefault(_SEED, seed()),
        findings=config.stash.setdefault(_FINDINGS, []),
    )
    print(f"chaos: TASKRUNNER_CHAOS_SEED={chaos.seed}")
    return chaos


@pytest.fixture
def service() -> Iterator[FakeService]:
    """A stand-in for the service, for the agents of one test."""
    fake = FakeService()
    yield fake
    fake.close()


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say what was seen, not only that it passed."""
    if findings := config.stash.get(_FINDINGS, []):
        terminalreporter.section("chaos")
        for line in findings:
            terminalreporter.write_line(line)
