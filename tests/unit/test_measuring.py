from __future__ import annotations

import inspect
import os
import posix
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from coverage import Coverage, CoverageData
from coverage.config import CoverageConfig
from hypothesis import given
from hypothesis import strategies as st

from tests.measuring import by_chance, repeats, unmeasured


def is_measured() -> bool:
    """Whether coverage measures here, or would in a process started here."""
    return "COVERAGE_PROCESS_CONFIG" in os.environ or is_traced()


def is_traced() -> bool:
    return type(sys.gettrace()).__module__.startswith("coverage")


@pytest.mark.no_cover
def test_what_is_not_to_be_measured_is_not() -> None:
    """Shown by runs that measure, with workers and without."""
    assert not is_measured()


@given(st.booleans())
def test_examples_of_chance_are_not_measured(chosen: bool) -> None:
    assert not is_traced(), chosen


def test_what_is_to_be_measured_is(request: pytest.FixtureRequest) -> None:
    assert not repeats(request.node)
    assert not by_chance(request.node)
    measuring = bool(request.config.getoption("cov_source", default=None))
    assert is_measured() == measuring


@pytest.fixture
def measuring(request: pytest.FixtureRequest) -> Coverage:
    if not request.config.getoption("cov_source", default=None):
        pytest.skip("nothing is measured")
    found = Coverage.current()
    assert found is not None
    return found


def test_what_only_repeats_may_be_marked_too(measuring: Coverage) -> None:
    """pytest-cov starts it after a marked test: it must not be started once more after that."""
    with unmeasured():
        measuring.stop()  # as around the call of a marked test
        measuring.start()
    assert is_measured()
    with unmeasured():
        assert not is_measured()
    assert is_measured()


def test_a_forked_process_saves_once_and_what_it_ran_itself(measuring: Coverage) -> None:
    """However often measuring was started before: each start has os._exit save once more."""
    assert inspect.getclosurevars(os._exit).nonlocals["old_exit"] is posix._exit
    collector = measuring._collector
    assert collector is not None
    assert any(collector.data.values())
    reading, writing = os.pipe()
    if (pid := os.fork()) == 0:
        os.write(writing, b"something" if any(collector.data.values()) else b"nothing")
        posix._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answers:
        assert answers.read() == b"nothing"
    assert os.waitpid(pid, 0)[1] == 0


class Listener:
    """Notes whether pytest traces itself, between the fixtures of a test and the test."""

    def __init__(self) -> None:
        self.traced: list[bool] = []

    def pytest_runtest_logreport(self) -> None:
        self.traced.append(is_traced())


@pytest.fixture
def listener(request: pytest.FixtureRequest, measuring: Coverage) -> Iterator[Listener]:
    listener = Listener()
    manager = request.config.pluginmanager
    manager.register(listener)
    assert is_traced()
    yield listener
    manager.unregister(listener)
    assert is_traced()


def test_fixtures_and_tests_are_traced_and_what_pytest_does_is_not(listener: Listener) -> None:
    assert is_traced()
    assert listener.traced == [False]


@pytest.mark.usefixtures("measuring")
def test_a_process_tells_of_the_files_that_it_ran_and_no_others(tmp_path: Path) -> None:
    told = CoverageConfig.deserialize(os.environ["COVERAGE_PROCESS_CONFIG"])
    told.data_file = str(tmp_path / "measured")
    subprocess.run(
        [sys.executable, "-c", "import taskrunner.plain"],
        env={**os.environ, "COVERAGE_PROCESS_CONFIG": told.serialize()},
        cwd=tmp_path,
        check=True,
    )
    (file,) = tmp_path.iterdir()
    data = CoverageData(str(file))
    data.read()
    names = {Path(path).name for path in data.measured_files()}
    data.close()
    assert names == {"__init__.py", "plain.py"}
