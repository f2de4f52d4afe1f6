"""Journals as crashes, full disks and bad disks leave them: the agent starts, whole steps count."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from taskrunner.agent.ipc import verdicts
from taskrunner.agent.ipc.names import AttemptFiles, token_of
from taskrunner.agent.journal.journal import REMEMBERED, Entry, Journal
from taskrunner.host import durable
from taskrunner.wire.api import Verdict
from tests.unit.agent.fakes import make_task

VERDICT = verdicts.failed("CommandFailed", "exited with 3\u2028\x85", "trace")


def _accept(journal: Journal, task_id: str) -> Entry | None:
    task = make_task(task_id=task_id)
    return journal.accept(task, AttemptFiles.of(task, output=Path("/o"), default_log_uri=None))


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "journal")
    yield journal
    journal.close()


@pytest.fixture
def full(journal: Journal) -> tuple[Journal, Path, list[bytes]]:
    """A journal whose one file has every step, and its lines."""
    entry = _accept(journal, "task-1")
    assert entry is not None
    entry.started(4711, "boot/12")
    entry.exited(VERDICT)
    entry.shipped()
    return journal, entry.path, entry.path.read_bytes().splitlines(keepends=True)


def test_at_every_point_where_it_can_be_cut_off_whole_steps_count(
    full: tuple[Journal, Path, list[bytes]],
) -> None:
    journal, path, lines = full
    data = b"".join(lines)
    ends = [len(b"".join(lines[: n + 1])) for n in range(len(lines))]
    for cut in range(len(data) + 1):
        path.write_bytes(data[:cut])
        found = list(journal.open_entries())
        # All but its newline is a whole line as well.
        whole = sum(cut >= end - 1 for end in ends)
        assert len(found) == (1 if whole else 0), cut
        assert path.exists() == bool(whole)
        if found:
            assert (found[0].process is not None) == (whole > 1)
            assert found[0].verdict == (VERDICT if whole > 2 else None)
            assert found[0].logs_shipped == (whole > 3)


def test_what_is_added_after_a_torn_step_is_kept(
    full: tuple[Journal, Path, list[bytes]],
) -> None:
    journal, path, lines = full
    path.write_bytes(lines[0] + lines[2][:20])
    (entry,) = journal.open_entries()
    assert entry.verdict is None
    entry.exited(verdicts.INTERRUPTED)
    (again,) = journal.open_entries()
    assert again.verdict == verdicts.INTERRUPTED


def test_a_torn_memory_of_finished_hand_outs_keeps_what_is_added(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    (tmp_path / "finished").write_bytes(b"\xff\xfe half a tok")
    entry = _accept(journal, "task-1")
    assert entry is not None
    entry.close()
    journal.close()
    journal = Journal(tmp_path)
    assert _accept(journal, "task-1") is None
    journal.close()


def _is_sound(verdict: Verdict | None) -> bool:
    return verdict is None or isinstance(verdict.status, str)


@given(
    junk=st.one_of(
        st.binary(max_size=200),
        st.sampled_from(
            [
                b'{"step":"accepted"}\n',
                b'{"step":"accepted","taskId":1,"attemptId":null,"logDir":{},"scratch":[]}\n',
                b'{"step":"exited","verdict":{}}\n',
                b'{"step":"exited","verdict":{"status":7}}\n',
                b'{"step":"started","pid":"1","birth":2}\n',
                b"[" * 100_000 + b"\n",
                b"null\n[]\n7\n",
                b"\0" * 4096,
            ]
        ),
    ),
    place=st.integers(0, 4),
)
def test_no_bytes_keep_the_agent_from_starting(
    tmp_path_factory: pytest.TempPathFactory, junk: bytes, place: int
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    journal = Journal(folder)
    good = _accept(journal, "good")
    bad = _accept(journal, "bad")
    assert good is not None
    assert bad is not None
    good.exited(VERDICT)
    bad.exited(VERDICT)
    lines = bad.path.read_bytes().splitlines(keepends=True)
    bad.path.write_bytes(b"".join([*lines[:place], junk, *lines[place:]]))
    (folder / "finished").write_bytes(junk)
    (folder / "folder.jsonl").mkdir()
    os.write(journal._lock, junk)
    journal.close()
    journal = Journal(folder)
    found = {entry.task_id: entry for entry in journal.open_entries()}
    assert found["good"].verdict == VERDICT
    assert all(_is_sound(entry.verdict) for entry in found.values())
    journal.close()


def test_a_file_that_says_nothing_any_more_is_kept_and_never_run_again(
    journal: Journal, tmp_path: Path
) -> None:
    token = token_of("task-1")
    (tmp_path / "journal" / f"{token}.jsonl").write_bytes(b"\0\0\0\n\0\0")
    with capture_logs() as logs:
        assert list(journal.open_entries()) == []
    assert [event["event"] for event in logs] == ["journal: damaged; what it held is not known"]
    assert (tmp_path / "journal" / f"{token}.damaged").exists()
    assert _accept(journal, "task-1") is None


def test_without_room_nothing_is_promised_and_no_verdict_is_held_back(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = _accept(journal, "task-1")
    assert entry is not None
    # The kernel's own full disk.
    monkeypatch.setattr(os, "write", lambda _descriptor, data: len(data) // 2)
    with pytest.raises(OSError, match="No space left"):
        _accept(journal, "task-2")
    with capture_logs() as logs:
        entry.exited(VERDICT)
        entry.close()
    monkeypatch.undo()
    told = [event["event"] for event in logs]
    assert told[0] == "the disk is full: the journal uses the room that was kept for it"
    assert told[1:] == ["journal: cannot be written"] * 2
    assert entry.verdict == VERDICT
    # It is told once more by the next start, which the service takes; it is not run again.
    assert [left.task_id for left in journal.open_entries()] == ["task-1"]
    assert _accept(journal, "task-1") is None
    assert _accept(journal, "task-2") is not None


def test_a_line_is_not_said_to_be_added_when_only_a_part_of_it_is(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        durable.append_line(Path("/dev/full"), "x", sync=False)
    durable.append_line(tmp_path / "file", "whole")
    assert (tmp_path / "file").read_bytes() == b"whole\n"


def test_a_list_of_finished_ones_that_cannot_be_made_shorter_is_left_for_later(
    tmp_path: Path,
) -> None:
    tokens = [f"{number:032x}" for number in range(2 * REMEMBERED)]
    (tmp_path / "finished").write_text("".join(f"{token}\n" for token in tokens))
    draft = tmp_path / "finished.new"
    draft.mkdir()  # stands for a disk on which there is no room for it
    journal = Journal(tmp_path)
    with capture_logs() as logs:
        for number in range(3):
            entry = _accept(journal, f"task-{number}")
            assert entry is not None
            entry.close()
    assert [line["log_level"] for line in logs] == ["error"]
    assert len((tmp_path / "finished").read_text().split()) == 2 * REMEMBERED + 3
    journal.close()
    draft.rmdir()
    journal = Journal(tmp_path)
    entry = _accept(journal, "task-3")
    assert entry is not None
    entry.close()
    left = (tmp_path / "finished").read_text().split()
    assert len(left) == REMEMBERED
    assert left[-1] == token_of("task-3")
    assert _accept(journal, "task-0") is None
    journal.close()


def test_what_cannot_be_written_leaves_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 10, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            durable.write_atomically(path, b"x" * (1 << 20))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [left.name for left in tmp_path.iterdir()] == ["file"]
    assert path.read_text() == "old"
