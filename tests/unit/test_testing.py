"""What `taskrunner.testing` gives to others."""

from __future__ import annotations

import subprocess
import sys

import pytest

from taskrunner import testing


@pytest.mark.parametrize("name", testing.__all__)
def test_everything_that_is_promised_is_there(name: str) -> None:
    assert getattr(testing, name).__name__ == name
    assert name in dir(testing)


def test_what_is_promised_does_not_change_by_accident() -> None:
    assert testing.__all__ == ["ActivityEnvironment", "FakeClock", "NotSettled", "ServiceInProcess"]


def test_anything_else_is_not() -> None:
    with pytest.raises(AttributeError, match=r"'taskrunner\.testing' has no attribute 'Nothing'"):
        _ = testing.Nothing


def test_who_needs_a_clock_does_not_load_the_service() -> None:
    code = (
        "import sys, taskrunner.testing; taskrunner.testing.FakeClock();"
        "sys.exit('taskrunner.service.engine' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
