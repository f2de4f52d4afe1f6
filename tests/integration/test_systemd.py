"""The unit files by systemd's own judgement; needs systemd-analyze, and boots nothing."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from taskrunner.installer.plan import Target, unit_text

TARGETS = [Target(), Target(instance="blue"), Target(serve=True)]
ANALYZE = shutil.which("systemd-analyze")

pytestmark = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")


@pytest.fixture(params=TARGETS, ids=lambda target: target.unit)
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The unit as it would be installed, with a program that is there."""
    target: Target = request.param
    path = tmp_path / target.unit
    path.write_text(unit_text(target, ["/bin/true"]))
    return path


def _analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    assert ANALYZE is not None
    return subprocess.run([ANALYZE, *arguments], capture_output=True, text=True, check=False)


def test_every_line_is_understood(unit: Path) -> None:
    done = _analyze("verify", "--man=no", "--recursive-errors=no", str(unit))
    assert (done.returncode, done.stderr) == (0, "")


def test_a_misspelled_line_would_be_noticed(unit: Path) -> None:
    unit.write_text(unit.read_text().replace("ProtectClock=", "ProtectClocks="))
    done = _analyze("verify", "--man=no", "--recursive-errors=no", str(unit))
    assert "ProtectClocks" in done.stderr


def test_the_exposure_is_under_2_5(unit: Path) -> None:
    done = _analyze("security", "--offline=true", "--threshold=25", str(unit))
    assert done.returncode == 0, done.stdout
