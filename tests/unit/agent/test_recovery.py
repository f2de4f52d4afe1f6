from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from taskrunner.agent import verdicts
from taskrunner.agent.birth import birth_of
from taskrunner.agent.environment import MARK
from taskrunner.agent.journal import Entry, Journal
from taskrunner.agent.names import AttemptFiles
from taskrunner.agent.recovery import end_leftovers, verdict_of
from taskrunner.wire.api import Verdict
from tests.unit.agent.fakes import make_task


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    task = make_task()
    files = AttemptFiles.of(task, output=tmp_path / "out", default_log_uri=None)
    entry = Journal(tmp_path / "journal").accept(task, files)
    assert entry is not None
    files.scratch.mkdir(parents=True)
    return entry


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (None, verdicts.INTERRUPTED),
        (Verdict(status="CANCELED"), verdicts.INTERRUPTED),
        (verdicts.FINISHED, verdicts.FINISHED),
        (verdicts.failed("X", "y"), verdicts.failed("X", "y")),
    ],
)
def test_a_hand_out_whose_agent_died_gets_what_it_left_or_is_interrupted(
    entry: Entry, result: Verdict | None, expected: Verdict
) -> None:
    if result is not None:
        entry.files.result.write_text(json.dumps(verdicts.to_json(result)))
    assert verdict_of(entry) == expected


def test_leftovers_are_known_by_process_or_by_mark_and_others_are_spared(entry: Entry) -> None:
    environ = dict(os.environ)
    known, marked, stranger = (
        subprocess.Popen(["sleep", "1000"], env=environ | extra)
        for extra in ({}, {MARK: entry.token}, {MARK: "another"})
    )
    try:
        birth = birth_of(known.pid)
        assert birth is not None
        entry.started(known.pid, birth)
        assert end_leftovers([entry]) == 2
        assert known.wait(30) == -9
        assert marked.wait(30) == -9
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.parametrize("change", ["another boot", "another moment"])
def test_a_process_id_that_was_used_again_is_spared(entry: Entry, change: str) -> None:
    birth = birth_of(os.getpid())
    assert birth is not None
    boot, _, started = birth.partition("/")
    other = {"another boot": f"another/{started}", "another moment": f"{boot}/{started}0"}
    entry.started(os.getpid(), other[change])
    assert end_leftovers([entry]) == 0
