"""Resources as processes of this host, with real agents that ask a service which is not there."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from taskrunner.model.document import PipelineObject
from taskrunner.model.policy import Policy
from taskrunner.model.rows import InstanceRow
from taskrunner.service.resources.base import Launch, ResourceFailure
from taskrunner.service.resources.local import LocalProcesses
from tests.integration.agent_harness import wait_for
from tests.unit.cli.pictures import instance

#: Nobody listens there: the agent asks again and again.
NOWHERE = "http://127.0.0.1:9"


def environment(**given: str) -> Mapping[str, str]:
    ours = {"TASKRUNNER_ENDPOINT": NOWHERE, "TASKRUNNER_ALLOW_ROOT": "true"}
    return {**os.environ, **ours, **given}


@pytest.fixture
def agents(tmp_path: Path) -> Iterator[LocalProcesses]:
    found = LocalProcesses(
        ["--tasks", "1"], folder=tmp_path / "agents", logs=tmp_path / "logs", env=environment()
    )
    yield found
    found.close(grace_s=5)


def process_of(handle: str) -> psutil.Process:
    return psutil.Process(int(handle.removeprefix("process:")))


def test_an_agent_lives_from_start_to_end(agents: LocalProcesses) -> None:
    handle = agents.start("wg")
    process = process_of(handle)
    assert agents.alive(handle)
    # It has none at the moment of its birth.
    wait_for("its command line", process.cmdline)
    assert process.cmdline()[-6:-4] == ["--worker-group", "wg"]
    wait_for("the agent's first words", lambda: agents.last_words("wg").strip())
    assert not agents.end(handle), "it is asked, and drains"
    wait_for("the agent's end", lambda: agents.end(handle))
    assert not agents.alive(handle)
    assert agents.end(handle), "what is gone has ended"


def test_an_agent_that_was_killed_is_gone(agents: LocalProcesses) -> None:
    handle = agents.start("wg")
    process_of(handle).send_signal(signal.SIGKILL)
    wait_for("the agent's death", lambda: not agents.alive(handle))
    assert agents.end(handle)


def test_closing_ends_everything(agents: LocalProcesses) -> None:
    handles = [agents.start(group) for group in ("a", "b")]
    processes = [process_of(handle) for handle in handles]
    agents.close(grace_s=10)
    assert not [process for process in processes if process.is_running()]
    assert not any(agents.alive(handle) for handle in handles)
    agents.close()


def test_an_agent_has_a_session_of_its_own(agents: LocalProcesses) -> None:
    handle = agents.start("wg")
    pid = process_of(handle).pid
    assert os.getsid(pid) == pid, "Ctrl-C at the terminal is not for it"


def test_a_handle_of_somebody_else_is_not_alive_and_has_ended(agents: LocalProcesses) -> None:
    strange = f"process:{os.getpid()}"
    assert not agents.alive(strange)
    assert agents.end(strange)


def test_what_an_agent_said_last_is_kept(tmp_path: Path) -> None:
    agents = LocalProcesses(["--no-such-flag"], folder=tmp_path, env=environment())
    handle = agents.start("wg")
    wait_for("the agent's end", lambda: not agents.alive(handle))
    assert "--no-such-flag" in agents.last_words("wg")
    assert agents.last_words("another group") == "it left no log"
    agents.close()


def test_words_that_are_no_text_are_words(tmp_path: Path) -> None:
    agents = LocalProcesses(["--no-such-flag"], folder=tmp_path, env=environment())
    handle = agents.start("wg")
    wait_for("the agent's end", lambda: not agents.alive(handle))
    (log,) = tmp_path.glob("*/agent.log")
    log.write_bytes(b"first\n\xff\xfe last")
    assert agents.last_words("wg").endswith("last")
    log.write_bytes(b"")
    assert agents.last_words("wg") == "it said nothing"
    agents.close()


def test_every_group_has_a_folder_of_its_own_whatever_its_name(tmp_path: Path) -> None:
    groups = ["a b", "a/b", "../../a_b", "resource:df-1_@Host_2026-02-13T02:00:00", "日" * 300, "."]
    agents = LocalProcesses(["--no-such-flag"], folder=tmp_path / "agents", env=environment())
    handles = [agents.start(group) for group in groups]
    wait_for("their ends", lambda: not any(agents.alive(handle) for handle in handles))
    folders = list((tmp_path / "agents").iterdir())
    assert len(folders) == len(groups)
    assert all((folder / "agent.log").is_file() for folder in folders)
    assert [path.name for path in tmp_path.iterdir()] == ["agents"]
    agents.close()


def test_logs_of_attempts_are_in_the_common_folder(agents: LocalProcesses, tmp_path: Path) -> None:
    agents.close(grace_s=0)
    for group in ("a", "b", "a"):
        agents.start(group)
    links = list((tmp_path / "agents").glob("*/output/logs"))
    assert len(links) == 2
    assert {link.resolve() for link in links} == {(tmp_path / "logs").resolve()}


def wanted(row: InstanceRow) -> Launch:
    fields = PipelineObject(id="Host", name="Host")
    return Launch(row=row, fields=fields, policy=Policy(), account="1", pipeline="p")


def test_a_resource_is_launched_for_its_group(agents: LocalProcesses) -> None:
    row = instance("Host", "CREATING", category="resource", worker_group="resource:df-1_@Host")
    process = process_of(agents.launch(wanted(row)))
    # It has none at the moment of its birth.
    wait_for("its command line", process.cmdline)
    assert "resource:df-1_@Host" in process.cmdline()
    with pytest.raises(ResourceFailure, match="has no worker group"):
        agents.launch(wanted(instance("Host", "CREATING", category="resource")))


def test_a_folder_that_cannot_be_made_is_a_failure_of_the_resource(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    agents = LocalProcesses([], folder=tmp_path / "file" / "agents", env=environment())
    with pytest.raises(ResourceFailure, match="no agent could be started: Not a directory"):
        agents.start("wg")
