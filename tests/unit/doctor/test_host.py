from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskrunner.clock import SystemClock
from taskrunner.config.load import load
from taskrunner.data.settings import DataSettings
from taskrunner.doctor.case import Case, Result
from taskrunner.doctor.host import check_drivers


@pytest.fixture
def packages(tmp_path: Path) -> Iterator[Path]:
    """A folder of installed packages."""
    sys.path.insert(0, str(tmp_path))
    yield tmp_path
    sys.path.remove(str(tmp_path))


@pytest.fixture
def case(tmp_path: Path) -> Case:
    loaded = load({"worker_group": ("wg",), "work_dir": str(tmp_path / "work")}, {})
    return Case(
        settings=loaded.settings,
        data=DataSettings(),
        origins=loaded.origins,
        environ={},
        clock=SystemClock(),
        hostname="here",
    )


def _needs(folder: Path, module: str) -> None:
    """Install a plugin whose module imports another, which is not there."""
    info = folder / "needy-2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: needy\nVersion: 2.0\n")
    (info / "entry_points.txt").write_text("[taskrunner.activities]\nNeedy = needy:Needy\n")
    (folder / "needy.py").write_text(f"import {module}\n")


@pytest.mark.parametrize(
    ("module", "remedy"),
    [
        ("libfoo.inner", f"`{sys.prefix}/bin/pip install libfoo`; tasks that do not use it"),
        # pip knows somebody else's package by the name of the module.
        ("taskrunner.no_such_room", "install what is missing, or install needy anew"),
    ],
)
def test_a_missing_module_is_named_with_what_brings_it(
    packages: Path, case: Case, module: str, remedy: str
) -> None:
    _needs(packages, module)
    (found,) = [finding for finding in check_drivers(case) if finding.result is Result.FAIL]
    assert found.name == "driver Needy"
    assert module.partition(".")[0] in found.found
    assert found.remedy is not None
    assert found.remedy.startswith(remedy)
