from __future__ import annotations

from pathlib import Path

import pytest

from taskrunner.agent.ipc import verdicts
from taskrunner.agent.ipc.names import AttemptFiles
from taskrunner.agent.journal.journal import Entry, Journal
from taskrunner.errors import ConfigError, TaskError
from taskrunner.secret import Secret
from tests.unit.agent.fakes import make_task

SECRET = "not for the disk"


def _accept(journal: Journal, task_id: str = "task-1") -> Entry | None:
    task = make_task({"*password": SECRET, "command": SECRET}, task_id=task_id)
    files = AttemptFiles.of(task, output=Path("/out"), default_log_uri="s3://b/l")
    return journal.accept(task, files)


def _reopened(journal: Journal, folder: Path) -> Journal:
    journal.close()
    return Journal(folder)


def test_a_new_agent_reads_what_the_last_one_had_recorded(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    entry = _accept(journal)
    assert entry is not None
    entry.started(4711, "boot/12")
    entry.exited(verdicts.failed("X", "message", "trace"))
    entry.shipped()
    (read,) = _reopened(journal, tmp_path).open_entries()
    assert read == Entry(
        path=entry.path,
        task_id="task-1",
        attempt_id=entry.attempt_id,
        files=entry.files,
        process=(4711, "boot/12"),
        verdict=verdicts.failed("X", "message", "trace"),
        logs_shipped=True,
        _journal=read._journal,
    )


def test_whose_rights_logs_are_pushed_with_outlives_the_agent(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    task = make_task({"pipelineLogUri": "/srv/logs"})
    files = AttemptFiles.of(task, output=Path("/out"), default_log_uri=None, user="dptask")
    assert journal.accept(task, files) is not None
    (read,) = _reopened(journal, tmp_path).open_entries()
    assert read.files.logs_as == "dptask"


def test_the_last_verdict_counts(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    entry = _accept(journal)
    assert entry is not None
    entry.exited(verdicts.FINISHED)
    entry.exited(verdicts.INTERRUPTED)
    (read,) = _reopened(journal, tmp_path).open_entries()
    assert read.verdict == verdicts.INTERRUPTED


def test_a_hand_out_is_accepted_once_open_or_finished_before_or_after_a_restart(
    tmp_path: Path,
) -> None:
    journal = Journal(tmp_path)
    entry = _accept(journal)
    assert entry is not None
    assert _accept(journal) is None
    journal = _reopened(journal, tmp_path)
    assert _accept(journal) is None
    next(journal.open_entries()).close()
    assert _accept(journal) is None
    journal = _reopened(journal, tmp_path)
    assert list(journal.open_entries()) == []
    assert _accept(journal) is None
    assert _accept(journal, "task-2") is not None


@pytest.mark.parametrize("keep", [0, 1, 20])
def test_a_line_torn_by_a_power_cut_is_a_step_not_done(tmp_path: Path, keep: int) -> None:
    journal = Journal(tmp_path)
    entry = _accept(journal)
    assert entry is not None
    accepted = len(entry.path.read_bytes())
    entry.exited(verdicts.FINISHED)
    entry.path.write_bytes(entry.path.read_bytes()[: accepted + keep])
    (read,) = _reopened(journal, tmp_path).open_entries()
    assert read.verdict is None


def test_a_torn_acceptance_was_not_acknowledged_and_is_forgotten(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    entry = _accept(journal)
    assert entry is not None
    entry.path.write_bytes(entry.path.read_bytes()[:30])
    journal = _reopened(journal, tmp_path)
    assert list(journal.open_entries()) == []
    assert _accept(journal) is not None


def test_no_content_of_a_task_is_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    assert _accept(journal) is not None
    assert all(SECRET not in path.read_text() for path in tmp_path.iterdir())


def test_two_agents_cannot_share_a_folder(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    with pytest.raises(ConfigError, match=r"in use by another agent .*--work-dir"):
        Journal(tmp_path / "journal")
    _reopened(journal, tmp_path / "journal").close()


def test_that_a_log_uri_is_secret_outlives_the_agent(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    failure = TaskError("cannot write s3://hush/x", error_id="AccessDenied")
    for number, uri in enumerate((Secret("s3://hush"), "s3://open")):
        task = make_task({"pipelineLogUri": uri}, task_id=f"task-{number}")
        files = AttemptFiles.of(task, output=Path("/out"), default_log_uri=None)
        assert journal.accept(task, files) is not None
    first, second = _reopened(journal, tmp_path).open_entries()
    assert str(first.files.log_uri).startswith("s3://hush/")
    why = "the logs could not be pushed (AccessDenied); pipelineLogUri is secret"
    assert first.files.why_not_pushed(failure) == why
    assert second.files.why_not_pushed(failure) == "cannot write s3://hush/x"
