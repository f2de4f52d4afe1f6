"""The fixtures `chaos` and `service`, and the report of what every invariant's test has seen."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.scale import Chaos, is_full, seed
from tests.integration.agent_harness import FakeService

_SEED = pytest.StashKey[int]()
_FINDING = "chaos finding"


@pytest.fixture
def chaos(request: pytest.FixtureRequest) -> Iterator[Chaos]:
    """Numbers of trials and a source of chance; its seed is printed when the test fails."""
    chaos = Chaos(full=is_full(), seed=request.config.stash.setdefault(_SEED, seed()), findings=[])
    print(f"chaos: TASKRUNNER_CHAOS_SEED={chaos.seed}")
    yield chaos
    # With the test's report they get to the process that sums up, whoever ran the test.
    request.node.user_properties.extend((_FINDING, text) for text in chaos.findings)


@pytest.fixture
def service() -> Iterator[FakeService]:
    """A stand-in for the service, for the agents of one test."""
    fake = FakeService()
    yield fake
    fake.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was seen, not only that it passed."""
    # The report of a test's end has what its fixtures added; it is counted under "".
    reports = terminalreporter.stats.get("", [])
    findings = [
        text
        for report in reports
        if report.when == "teardown"
        for name, text in report.user_properties
        if name == _FINDING
    ]
    if findings:
        terminalreporter.section("chaos")
        for line in findings:
            terminalreporter.write_line(line)
