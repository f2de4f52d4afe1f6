"""A work folder whose disk is full: nothing is lost, the agent lives, and goes on afterwards."""

from __future__ import annotations

import gzip
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskrunner.agent.operations.control import ask
from tests.integration.agent_harness import FakeService, running_agent, task_json, wait_for

pytestmark = pytest.mark.xdist_group("alone")


@pytest.fixture
def service() -> Iterator[FakeService]:
    fake = FakeService()
    yield fake
    fake.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder for an agent whose work folder is a file system of 12 MB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    work = tmp_path / "work"
    work.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(work)],
        check=False,
        stderr=subprocess.PIPE,
    )
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode()}")
    yield tmp_path
    subprocess.run(["umount", str(work)], check=True)


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        for size in (1 << 16, 512, 1):
            try:
                while file.write(b"x" * size) == size:
                    continue
            except OSError:
                continue


def test_a_task_that_fills_the_disk_is_told_as_it_ended(
    service: FakeService, small_disk: Path
) -> None:
    let_go, fields = small_disk / "let-go", {"pipelineLogUri": "s3://b/logs"}
    command = (
        f"echo before; head -c 100M /dev/zero > fill; echo lost; touch {small_disk}/full; "
        f"until [ -e {let_go} ]; do sleep 0.1; done; exit 0"
    )
    with running_agent(service, small_disk, "--min-free-disk", "2MB") as agent:
        service.tasks.put(task_json("t1", command, fields=fields))
        wait_for("a full disk", (small_disk / "full").exists)
        assert os.statvfs(agent.work_dir).f_bavail == 0
        reports = len(service.calls("ReportTaskProgress", "t1"))
        service.wait(
            "reports of a task on a full disk",
            lambda: len(service.calls("ReportTaskProgress", "t1")) >= reports + 3,
        )
        wait_for("the pause", lambda: ask(agent.work_dir, "status")["paused"])
        (pause,) = ask(agent.work_dir, "status")["paused"]
        assert pause["by"] == "disk"
        let_go.touch()
        assert service.verdict("t1")["taskStatus"] == "FINISHED"
        wait_for("the end of the pause", lambda: not ask(agent.work_dir, "status")["paused"])
        service.tasks.put(task_json("t2", "echo after"))
        assert service.verdict("t2")["taskStatus"] == "FINISHED"
        assert "low disk" in agent.log
    (log,) = (small_disk / "s3").rglob("StdOutput.gz")
    assert gzip.decompress(log.read_bytes()).startswith(b"before\n")


def test_on_a_full_disk_a_verdict_is_promised_in_the_room_kept_for_it(
    service: FakeService, small_disk: Path
) -> None:
    started, let_go = small_disk / "started", small_disk / "let-go"
    command = f"touch {started}; until [ -e {let_go} ]; do sleep 0.1; done; exit 3"
    service.down.add("SetTaskStatus")
    with running_agent(service, small_disk, "--min-free-disk", "0") as agent:
        service.tasks.put(task_json("t1", command))
        wait_for("the start", started.exists)
        _fill(agent.work_dir / "filler")
        let_go.touch()
        wait_for("the end", lambda: ask(agent.work_dir, "status")["verdicts_unsent"] == 1)
        agent.process.kill()
        agent.wait()
    service.down.clear()
    with running_agent(service, small_disk, "--min-free-disk", "0") as agent:
        verdict = service.verdict("t1")
        assert verdict["taskStatus"] == "FAILED"
        assert verdict["errorId"] == "CommandFailed", verdict


def test_without_room_for_the_journal_no_task_is_taken_and_the_agent_lives(
    service: FakeService, small_disk: Path
) -> None:
    with running_agent(service, small_disk, "--min-free-disk", "0", "--tasks", "2") as agent:
        wait_for("the agent", lambda: "agent started" in agent.log)
        filler = agent.work_dir / "filler"
        _fill(filler)
        service.tasks.put(task_json("t1", "echo"))
        wait_for("the refusal", lambda: "task left to others" in agent.log)
        assert service.calls("ReportTaskProgress") == []
        assert ask(agent.work_dir, "status")["live"] == "ok"
        filler.unlink()
        # The other slot does it: the first takes nothing for a while.
        service.tasks.put(task_json("t1", "echo"))
        assert service.verdict("t1")["taskStatus"] == "FINISHED"
