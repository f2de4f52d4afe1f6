"""The fuzz targets hold on their seeds always, and on new inputs where atheris is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.chaos.scale import is_full
from tests.fuzz.targets import SEEDS, TARGETS

EXAMPLES = 20_000 if is_full() else int(os.environ.get("TASKRUNNER_EXAMPLES", "50"))
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_holds_on_its_seeds_and_on_parts_of_them(name: str) -> None:
    for seed in SEEDS[name]:
        for length in range(0, len(seed) + 1, 7):
            TARGETS[name](seed[:length])
        TARGETS[name](seed)


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=EXAMPLES)
@given(data=st.binary(max_size=200))
def test_a_target_holds_on_any_bytes(name: str, data: bytes) -> None:
    TARGETS[name](data)


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_a_target_holds_under_atheris(name: str, tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="fuzzing needs atheris, which is not installed")
    seconds = 600 if is_full() else 20
    limits = [f"-runs={20_000 * seconds // 20}", f"-max_total_time={seconds}"]
    command = [sys.executable, "-m", "tests.fuzz.run", name, *limits]

    done = subprocess.run(
        [*command, f"-artifact_prefix={tmp_path}/"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-2000:]
