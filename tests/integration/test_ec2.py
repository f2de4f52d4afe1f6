"""A real agent on what it takes for an EC2 instance: identity, notices, the end of the host."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from taskrunner.clock import SystemClock
from tests.fake_imds import DOCUMENT, REBALANCE, SCALE_IN, SIGNATURE, FakeImds, fake_imds, soon
from tests.integration.agent_harness import FakeService, task_json, wait_for
from tests.integration.small_agent import SmallAgent, small_agent

pytestmark = pytest.mark.xdist_group("alone")

LONG = "touch begun; exec sleep 300"


@pytest.fixture
def imds() -> Iterator[FakeImds]:
    with fake_imds() as fake:
        yield fake


class Host:
    """An instance: its metadata, a service to work for, and the agent's options."""

    def __init__(self, service: FakeService, imds: FakeImds, folder: Path) -> None:
        self.folder = folder
        self.options = ["--worker-group", "wg", "--endpoint", service.url, "--kill-grace", "2"]
        self.environ = {
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": imds.url,
        }


@pytest.fixture
def host(service: FakeService, imds: FakeImds, tmp_path: Path) -> Host:
    return Host(service, imds, tmp_path / "agent")


def test_every_poll_says_which_instance_asks(service: FakeService, host: Host) -> None:
    with small_agent(host.folder, *host.options, **host.environ):
        service.tasks.put(task_json("t1", "true"))
        service.verdict("t1")
        service.wait("the next poll", lambda: len(service.calls("PollForTask")) > 1)
    for poll in service.calls("PollForTask"):
        assert json.loads(poll["instanceIdentity"]["document"]) == DOCUMENT
        assert poll["instanceIdentity"]["signature"] == SIGNATURE
        assert poll["hostname"] == "ip-10-158-112-84.eu-west-1.compute.internal"


def test_a_host_name_that_is_set_is_kept(service: FakeService, host: Host) -> None:
    with small_agent(host.folder, *host.options, "--hostname", "mine", **host.environ):
        service.wait("a poll", lambda: service.calls("PollForTask"))
    assert service.calls("PollForTask")[0]["hostname"] == "mine"


def test_off_ec2_nothing_is_asked_of_the_metadata(
    service: FakeService, imds: FakeImds, host: Host
) -> None:
    with small_agent(host.folder, *host.options, "--ec2", "off", **host.environ):
        poll = service.wait("a poll", lambda: service.calls("PollForTask"))[0]
    assert "instanceIdentity" not in poll
    assert imds.requests == []


def test_an_instance_whose_metadata_is_silent_polls_all_the_same(
    service: FakeService, host: Host
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        environ = dict(host.environ)
        port = silent.getsockname()[1]
        environ["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = f"http://127.0.0.1:{port}"
        clock = SystemClock()
        begin = clock.monotonic()
        with small_agent(host.folder, *host.options, **environ) as agent:
            poll = service.wait("a poll", lambda: service.calls("PollForTask"))[0]
            assert clock.monotonic() - begin < 15
            wait_for("the hint", lambda: "HttpPutResponseHopLimit" in agent.log)
    assert "instanceIdentity" not in poll


def test_a_notice_with_time_to_spare_lets_short_work_finish_and_ends_the_long(
    service: FakeService, imds: FakeImds, host: Host
) -> None:
    options = [*host.options, "--notice-margin", "6", "--tasks", "2"]
    with small_agent(host.folder, *options, **host.environ) as agent:
        service.tasks.put(task_json("short", "sleep 3; echo done"))
        _running(service, "short")
        service.tasks.put(task_json("long", "sleep 300", fields={"@attempt": "2"}))
        _running(service, "long")
        deadline = soon(14)
        imds.announce("terminate", deadline)
        assert service.verdict("short")["taskStatus"] == "FINISHED"
        verdict = service.verdict("long")
        assert SystemClock().now() < deadline
        assert agent.wait() == 0
    assert verdict["errorId"] == "TaskRunner.Interrupted"
    assert "spot interruption: terminate" in agent.log


def test_in_the_last_seconds_the_verdict_does_not_wait_for_the_logs(
    service: FakeService, imds: FakeImds, host: Host
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as stalled:
        port = stalled.getsockname()[1]
        options = [*host.options, "--log-uri", "s3://bucket/logs", "--region", "us-east-1"]
        options += ["--s3-endpoint", f"http://127.0.0.1:{port}"]
        with small_agent(host.folder, *options, **host.environ) as agent:
            service.tasks.put(task_json("t1", "echo begun; exec sleep 300"))
            _running(service, "t1")
            deadline = soon(8)
            imds.announce("stop", deadline)
            verdict = service.verdict("t1")
            assert SystemClock().now() < deadline
            assert agent.wait() == 0
    assert verdict["errorId"] == "TaskRunner.Interrupted"
    assert "it was still to be uploaded when the agent had to go" in verdict["errorMessage"]


def test_auto_scaling_that_takes_the_instance_out_drains_it(
    service: FakeService, imds: FakeImds, host: Host
) -> None:
    options = [*host.options, "--scale-in-notice", "10"]
    with small_agent(host.folder, *options, **host.environ) as agent:
        service.tasks.put(task_json("t1", LONG))
        _running(service, "t1")
        imds.values[SCALE_IN] = "Terminated"
        assert service.verdict("t1")["errorId"] == "TaskRunner.Interrupted"
        assert agent.wait() == 0


def test_gaps_of_the_metadata_cost_no_notice(
    service: FakeService, imds: FakeImds, host: Host
) -> None:
    with small_agent(host.folder, *host.options, **host.environ) as agent:
        service.tasks.put(task_json("t1", LONG))
        _running(service, "t1")
        imds.down = True
        wait_for("the gap", lambda: "no notices can be seen for now" in agent.log)
        imds.forget_tokens()
        imds.down = False
        imds.announce("terminate", soon(20))
        assert service.verdict("t1")["errorId"] == "TaskRunner.Interrupted"
        assert agent.wait() == 0


def test_a_rebalance_recommendation_lets_work_finish_and_takes_no_more(
    service: FakeService, imds: FakeImds, host: Host
) -> None:
    with small_agent(host.folder, *host.options, "--tasks", "1", **host.environ) as agent:
        service.tasks.put(task_json("t1", "sleep 4"))
        _running(service, "t1")
        imds.values[REBALANCE] = '{"noticeTime": "2026-02-13T02:00:00Z"}'
        wait_for("the notice", lambda: "rebalance recommendation" in agent.log)
        polls = len(service.calls("PollForTask"))
        assert service.verdict("t1")["taskStatus"] == "FINISHED"
        SystemClock().wait(threading.Event(), 2)
        assert len(service.calls("PollForTask")) == polls
        assert agent.process.poll() is None


@pytest.mark.parametrize(("blocked", "seen"), [("true", "[true]"), ("false", "[]")])
def test_commands_are_told_to_leave_the_role_alone(
    service: FakeService, host: Host, blocked: str, seen: str
) -> None:
    command = 'echo "[$AWS_EC2_METADATA_DISABLED]"'
    # On an instance more than a word to the commands is asked for; see test_block_imds.py.
    options = (*host.options, "--ec2", "off", "--block-imds", blocked)
    with small_agent(host.folder, *options, **host.environ):
        service.tasks.put(task_json("t1", command))
        service.verdict("t1")
    (log,) = (host.folder / "work" / "output" / "logs").rglob("StdOutput")
    assert log.read_text().strip() == seen


def _running(service: FakeService, task_id: str) -> None:
    service.wait(f"the start of {task_id}", lambda: service.calls("ReportTaskProgress", task_id))


def test_the_agent_says_nothing_of_ec2_elsewhere(service: FakeService, host: Host) -> None:
    environ = {k: v for k, v in host.environ.items() if k.startswith("AWS_") and "EC2" not in k}
    agent: SmallAgent
    with small_agent(host.folder, *host.options, **environ) as agent:
        service.wait("a poll", lambda: service.calls("PollForTask"))
    assert "metadata" not in agent.log
    assert "HopLimit" not in agent.log
