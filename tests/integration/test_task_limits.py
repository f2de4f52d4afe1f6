"""Limits of tasks, and how their verdicts tell of them, by a real agent."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskrunner.host.cgroups import own_group
from tests.integration.agent_harness import FakeService, running_agent, task_json

pytestmark = pytest.mark.xdist_group("alone")

GREEDY = "x=$(head -c 300000000 /dev/zero | tr '\\0' x); echo ${#x}"


@pytest.mark.parametrize(
    ("option", "command", "error_id", "words"),
    [
        (
            ("--task-file-size", "100KB"),
            "exec head -c 200000 /dev/zero >big",
            "FileTooLarge",
            "larger than the agent's task_file_size",
        ),
        (("--task-file-size", "100KB"), "head -c 200000 /dev/zero >big", "FileTooLarge", ""),
        (("--task-time", "1"), "sleep 1000", "AttemptTimeout", "1 seconds of this agent's task_"),
    ],
)
def test_a_task_that_comes_up_against_its_limit_says_so(
    service: FakeService,
    tmp_path: Path,
    option: tuple[str, ...],
    command: str,
    error_id: str,
    words: str,
) -> None:
    with running_agent(service, tmp_path, *option):
        service.tasks.put(task_json("t1", command))
        verdict = service.verdict("t1")
    assert (verdict["taskStatus"], verdict["errorId"]) == ("FAILED", error_id)
    assert words in verdict["errorMessage"]


def test_without_a_controller_memory_is_bounded_by_process_and_the_agent_says_it_once(
    service: FakeService, tmp_path: Path
) -> None:
    group = own_group()
    if group is not None and "memory" in (group.folder / "cgroup.controllers").read_text():
        pytest.skip("memory may be bounded by control groups here")
    with running_agent(service, tmp_path, "--task-memory", "100MB", "--task-cpus", "1") as agent:
        service.tasks.put(task_json("t1", GREEDY))
        assert service.verdict("t1")["taskStatus"] == "FAILED"
        service.tasks.put(task_json("t2", "echo enough"))
        assert service.verdict("t2")["taskStatus"] == "FINISHED"
        assert agent.log.count("task_memory holds for each process of a task") == 1
        assert agent.log.count("task_cpus is not held") == 1
