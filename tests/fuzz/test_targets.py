"""The fuzz targets hold on their seeds always, and on new inputs where atheris is installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.targets import SEEDS, TARGETS

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_holds_on_its_seeds_and_on_parts_of_them(name: str) -> None:
    for seed in SEEDS[name]:
        for length in range(0, len(seed) + 1, 7):
            TARGETS[name](seed[:length])
        TARGETS[name](seed)


@pytest.mark.parametrize("name", TARGETS)
@given(data=st.binary(max_size=200))
def test_a_target_holds_on_any_bytes(name: str, data: bytes) -> None:
    TARGETS[name](data)


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_a_target_holds_under_atheris(name: str, tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="fuzzing needs atheris, which is not installed")
    command = [sys.executable, "-m", "tests.fuzz.run", name, "-runs=20000", "-max_total_time=20"]

    done = subprocess.run(
        [*command, f"-artifact_prefix={tmp_path}/"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-2000:]
