"""An agent of several worker groups with fewer slots than groups, against the real service.

A poll is held for 85 s: what happens within 60 was not the end of a hold.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.acceptance.served_process import Served, served
from tests.integration.agent_harness import AgentProcess, running_agent, wait_for
from tests.integration.api_calls import call, pipeline
from tests.local_runs import command_here


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path, "--no-auth") as service:
        yield service


def status(service: Served, pipeline_id: str) -> str:
    found = call(service.url, "DescribePipelines", pipelineIds=[pipeline_id])
    fields = found["pipelineDescriptionList"][0]["fields"]
    return {field["key"]: str(field["stringValue"]) for field in fields}["@pipelineState"]


def run(service: Served, unique: str, group: str, command: str = "true") -> str:
    made = pipeline(service.url, unique, group, command)
    call(service.url, "ActivatePipeline", pipelineId=made)
    return made


def finished(service: Served, pipeline_id: str) -> None:
    wait_for(f"the end of {pipeline_id}", lambda: status(service, pipeline_id) == "FINISHED")


def two_groups(service: Served, folder: Path) -> AbstractContextManager[AgentProcess]:
    return running_agent(service, folder, "--worker-group", "other", "--tasks", "1")


def asking(agent: AgentProcess) -> set[str]:
    """The groups for which the agent has a poll under way."""
    argv = ("status", "--format", "json", "--work-dir", str(agent.work_dir))
    shown = command_here(*argv)
    polls = json.loads(shown.stdout)["polls"] if shown.returncode == 0 else {}
    return {group for group, poll in polls.items() if "asking_s" in poll}


def test_an_empty_group_does_not_hold_up_another(service: Served, tmp_path: Path) -> None:
    with two_groups(service, tmp_path / "agent") as agent:
        wait_for("both polls", lambda: asking(agent) == {"wg", "other"})
        for number, group in enumerate(("other", "wg", "other", "other", "wg")):
            finished(service, run(service, str(number), group))


def test_a_full_agent_leaves_work_to_others_at_once(service: Served, tmp_path: Path) -> None:
    """Its polls for other groups are given up: what they would be given, it could not run."""
    gate = tmp_path / "go on"
    with two_groups(service, tmp_path / "agent") as agent, ThreadPoolExecutor(1) as pool:
        wait_for("both polls", lambda: asking(agent) == {"wg", "other"})
        long = run(service, "1", "other", f"until test -e '{gate}'; do sleep 0.1; done")
        wait_for("the end of both polls", lambda: asking(agent) == set())
        waiting = pool.submit(call, service.url, "PollForTask", workerGroup="wg")
        made = run(service, "2", "wg")
        task = waiting.result(60)["taskObject"]
        assert task["pipelineId"] == made
        call(service.url, "SetTaskStatus", taskId=task["taskId"], taskStatus="FINISHED")
        gate.touch()
        finished(service, long)
        finished(service, run(service, "3", "wg"))
