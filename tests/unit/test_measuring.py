from __future__ import annotations

import os
import sys

import pytest
from coverage import Coverage
from hypothesis import given
from hypothesis import strategies as st

from tests.measuring import by_chance, repeats, unmeasured


def is_measured() -> bool:
    """Whether coverage measures here, or would in a process started here."""
    told = "COVERAGE_PROCESS_CONFIG" in os.environ
    return told or type(sys.gettrace()).__module__.startswith("coverage")


@pytest.mark.no_cover
def test_what_is_not_to_be_measured_is_not() -> None:
    """Shown by runs that measure, with workers and without."""
    assert not is_measured()


@given(st.booleans())
def test_examples_of_chance_are_not_measured(chosen: bool) -> None:
    assert not type(sys.gettrace()).__module__.startswith("coverage"), chosen


def test_what_is_to_be_measured_is(request: pytest.FixtureRequest) -> None:
    assert not repeats(request.node)
    assert not by_chance(request.node)
    measuring = bool(request.config.getoption("cov_source", default=None))
    assert is_measured() == measuring


def test_what_only_repeats_may_be_marked_too(request: pytest.FixtureRequest) -> None:
    """pytest-cov starts it after a marked test: it must not be started once more after that."""
    if not request.config.getoption("cov_source", default=None):
        pytest.skip("nothing is measured")
    measuring = Coverage.current()
    assert measuring is not None
    with unmeasured():
        measuring.stop()  # as around the call of a marked test
        measuring.start()
    assert is_measured()
    with unmeasured():
        assert not is_measured()
    assert is_measured()
