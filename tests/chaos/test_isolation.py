"""E2: a hostile task gets at nothing of the agent's, nor of another user's task.

A7: nothing of a task outlives it or its agent.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.chaos.scale import Chaos
from tests.integration.agent_harness import (
    AgentProcess,
    FakeService,
    running_agent,
    task_json,
    wait_for,
)
from tests.integration.other_users import People, people, shared_folder

pytestmark = pytest.mark.xdist_group("alone")

HOSTILE = Path(__file__).with_name("hostile_task.py")


class Victim:
    """An agent as its unit starts it, with secrets where agents have them, and another's task."""

    def __init__(self, who: People, service: FakeService, folder: Path) -> None:
        self.who, self.service, self.folder = who, service, folder
        service.by_group |= {"wg": queue.Queue(), "other": queue.Queue()}
        self.config = self._secret("taskrunner.toml", 0o640)
        self.credentials = self._secret("credentials", 0o600)
        self.script = folder / "hostile.py"
        shutil.copyfile(HOSTILE, self.script)
        self.script.chmod(0o644)

    def _secret(self, name: str, mode: int) -> Path:
        path = self.folder / name
        path.write_text('access_id = "AKIDEXAMPLE"\nsecret_key = "canary"\n')
        path.chmod(mode)
        os.chown(path, self.who.agent.pw_uid, self.who.agent.pw_gid)
        return path

    def attacked(self, agent: AgentProcess) -> Mapping[str, str | None]:
        """What a hostile task got while another user's task ran beside it."""
        command = "echo canary >secret; chmod 600 secret; echo $$ $PWD/secret; exec sleep 1000"
        self._put(agent, "other", command)
        pid, file = wait_for("the other task", lambda: self._output(agent, "other").split())
        facts = self.folder / "facts"
        facts.write_text(json.dumps(self._facts(agent, pid, file)))
        facts.chmod(0o644)
        self._put(agent, "wg", f"exec {self.who.python} {self.script} {facts}")
        verdict = self.service.verdict("task-wg")
        assert verdict["taskStatus"] == "FINISHED", (verdict, self._output(agent, "wg"))
        found: Mapping[str, str | None] = json.loads(self._output(agent, "wg"))
        return found

    def _facts(self, agent: AgentProcess, pid: str, file: str) -> Mapping[str, str]:
        children = psutil.Process(agent.process.pid).children()
        return {
            "agent": str(agent.process.pid),
            "fork": str(children[0].pid),
            "agent_uid": str(self.who.agent.pw_uid),
            "work": str(agent.work_dir),
            "config": str(self.config),
            "credentials": str(self.credentials),
            "other_pid": pid,
            "other_file": file,
        }

    def _put(self, agent: AgentProcess, group: str, command: str) -> None:
        self.service.wait(f"a poll of {group}", lambda: self._polls(group))
        task = task_json(f"task-{group}", command)
        task["pipelineId"] = f"df-{group}"
        self.service.by_group[group].put(task)

    def _polls(self, group: str) -> list[Any]:
        return [c for c in self.service.calls("PollForTask") if c["workerGroup"] == group]

    def _output(self, agent: AgentProcess, group: str) -> str:
        logs = agent.work_dir / "output" / "logs" / f"df-{group}"
        return "".join(path.read_text() for path in logs.rglob("StdOutput"))


@contextmanager
def victim(service: FakeService, *, users: bool) -> Iterator[tuple[Victim, AgentProcess]]:
    who = people()
    with shared_folder(who.agent) as folder:
        found = Victim(who, service, folder)
        options = ["--worker-group", "other", "--config", str(found.config)]
        if users:
            options += ["--run-as-user", who.task.pw_name]
            options += ["--run-as-user", f"other={who.other.pw_name}"]
        # Without users to change to it needs none of the rights for it, which would protect it.
        under = who.unprivileged() if users else who.unprivileged(capabilities="")
        with running_agent(service, folder, *options, under=under, environ=who.environ) as agent:
            yield found, agent


#: What nobody but root may, so that it shows nothing of us.
ROOTS = {"environment of process 1", "core pattern", "become root"}
#: What a task of the agent's own user cannot do either, for other reasons than its user.
NEVER = {
    "abstract sockets of the agent",
    "inherited descriptors",
    "credentials in the environment",
}


def test_a_hostile_task_of_another_user_gets_nothing(service: FakeService, chaos: Chaos) -> None:
    with victim(service, users=True) as (found, agent):
        got = found.attacked(agent)
    assert len(got) >= 30
    assert {name: what for name, what in got.items() if what is not None} == {}
    chaos.found("E2", f"{len(got)} attempts of a hostile task of another user, 0 successful")


def test_a_hostile_task_of_the_agents_own_user_gets_most_of_it(
    service: FakeService, chaos: Chaos
) -> None:
    """The same attempts with the defence off, or their failing would show nothing."""
    with victim(service, users=False) as (found, agent):
        got = found.attacked(agent)
    refused = {name for name, what in got.items() if what is None}
    chaos.found("E2", f"without run_as_user {len(got) - len(refused)} of {len(got)} successful")
    assert refused <= ROOTS | NEVER | _host_dependent()


def _host_dependent() -> set[str]:
    """What this host forbids to all or some: Yama's scope of ptrace, groups that are not ours."""
    found = {"move into another group", "kill the own group", "credentials file by a link"}
    scope = Path("/proc/sys/kernel/yama/ptrace_scope")
    if scope.exists() and scope.read_text().strip() != "0":
        found |= {f"trace the {name}" for name in ("agent", "attempt", "fork server")}
        found |= {f"take a descriptor of the {n}" for n in ("agent", "attempt", "fork server")}
        found |= {f"memory of the {name}" for name in ("agent", "attempt", "fork server")}
    return found
