"""Tasks kept from the metadata: in a network namespace, with a stand-in at its own address."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from taskrunner.agent.isolation.metadata_block import ruleset
from tests.fake_imds import fake_imds
from tests.integration.agent_harness import AgentProcess, FakeService, running_agent, task_json
from tests.integration.netns import METADATA, in_namespace
from tests.integration.other_users import People, people, shared_folder

pytestmark = [
    pytest.mark.xdist_group("alone"),
    pytest.mark.skipif(shutil.which("nft") is None, reason="nft is not installed"),
]

ASK = f"(exec 3<>/dev/tcp/{METADATA[0]}/80) 2>&1 && echo through"


@contextmanager
def instance(
    who: People, service: FakeService, *options: str, root: bool = True
) -> Iterator[AgentProcess]:
    """An agent on what it takes for an EC2 instance."""
    allowed = ("env", "-u", "AWS_EC2_METADATA_DISABLED")
    under = allowed if root else (*allowed, *who.unprivileged())
    environ = {} if root else who.environ
    users = ("--run-as-user", who.task.pw_name)
    with (
        fake_imds(METADATA[0], 80) as imds,
        shared_folder(None if root else who.agent) as folder,
        running_agent(
            service,
            folder,
            *("--ec2", "on", "--block-imds", *(options or users)),
            under=under,
            environ=environ,
        ) as agent,
    ):
        assert imds.url
        yield agent


def _tables() -> str:
    return subprocess.check_output(["nft", "list", "ruleset"], text=True)


def _asked(service: FakeService, agent: AgentProcess) -> str:
    service.tasks.put(task_json("t1", f"{ASK}; true"))
    assert service.verdict("t1")["taskStatus"] == "FINISHED", agent.log
    (log,) = (agent.work_dir / "output" / "logs").rglob("StdOutput")
    return log.read_text()


def test_the_agent_closes_the_metadata_to_tasks_and_keeps_it_for_itself() -> None:
    who = people()

    def body() -> None:
        service = FakeService()
        with instance(who, service) as agent:
            output = _asked(service, agent)
            assert "refused" in output
            assert "through" not in output
            assert str(who.task.pw_uid) in _tables() or who.task.pw_name in _tables()
            assert "closed to tasks" in agent.log
            # The agent itself was answered: its polls carry the instance's identity.
            assert any("instanceIdentity" in call for call in service.calls("PollForTask"))
        assert "taskrunner" not in _tables()
        service.close()

    in_namespace(body)


def test_an_agent_that_may_set_no_rule_wants_one_that_is_there() -> None:
    who = people()

    def body() -> None:
        service = FakeService()
        with instance(who, service, root=False) as agent:
            assert agent.wait() == 2
            assert "can reach the instance's metadata at 169.254.169.254" in agent.log
        rules = ruleset("of_the_unit", [who.task.pw_name])
        subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)
        with instance(who, service, root=False) as agent:
            output = _asked(service, agent)
            assert "refused" in output
            assert "through" not in output
        assert "of_the_unit" in _tables(), "it is not the agent's to take away"
        service.close()

    in_namespace(body)


def test_tasks_of_the_agents_own_user_cannot_be_kept_from_what_it_needs() -> None:
    who = people()

    def body() -> None:
        service = FakeService()
        with instance(who, service, "--tasks", "1") as agent:
            assert agent.wait() == 2
            assert "run as the agent's own user, which needs the instance's metadata" in agent.log
        service.close()

    in_namespace(body)
