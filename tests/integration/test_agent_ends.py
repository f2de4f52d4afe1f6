"""How work ends before its time: cancel, timeout, lost lease, drain, kill -9 of the agent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from taskrunner.clock import SystemClock
from tests.integration.agent_harness import (
    AgentProcess,
    FakeService,
    running_agent,
    task_json,
    wait_for,
)

#: A command with children that do all they can to stay: own sessions, no parent, TERM ignored.
STUBBORN = """
trap '' TERM
write() { echo $BASHPID >> "$PIDS"; }
( write; exec sleep 1000 ) &
( trap '' TERM; setsid bash -c 'echo $$ >> "$PIDS"; trap "" TERM; sleep 1000 & sleep 1000' & )
setsid nohup bash -c 'echo $$ >> "$PIDS"; sleep 1000' >/dev/null 2>&1 &
write
while true; do sleep 1; done
"""


def _stubborn(folder: Path) -> str:
    return f"export PIDS={folder / 'pids'}\n{STUBBORN}"


def _pids(folder: Path) -> list[int]:
    path = folder / "pids"
    lines = path.read_text().split() if path.exists() else []
    return [int(line) for line in lines] if len(lines) >= 4 else []


def _alive(pids: list[int]) -> list[int]:
    found = []
    for pid in pids:
        try:
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
        except psutil.NoSuchProcess:
            continue
    return found


def _gone(pids: list[int]) -> None:
    wait_for(f"the end of {pids}", lambda: not _alive(pids))


def _start_stubborn(service: FakeService, folder: Path, **fields: str) -> list[int]:
    service.tasks.put(task_json("t1", _stubborn(folder), fields=fields))
    pids: list[int] = wait_for("the command's children", lambda: _pids(folder))
    return pids


def test_cancel_ends_the_whole_tree_and_sends_no_verdict(
    service: FakeService, tmp_path: Path
) -> None:
    with running_agent(service, tmp_path) as agent:
        pids = _start_stubborn(service, tmp_path)
        service.canceled.add("t1")
        _gone(pids)
        wait_for("the end of the attempt", lambda: "task given up" in agent.log)
        assert service.calls("SetTaskStatus") == []
        service.tasks.put(task_json("t2", "true"))
        assert service.verdict("t2")["taskStatus"] == "FINISHED"


def test_a_superseded_hand_out_is_dropped(service: FakeService, tmp_path: Path) -> None:
    with running_agent(service, tmp_path) as agent:
        pids = _start_stubborn(service, tmp_path)
        service.superseded.add("t1")
        _gone(pids)
        wait_for("the end of the attempt", lambda: "task given up" in agent.log)
        assert service.calls("SetTaskStatus") == []


def test_an_attempt_that_outlives_its_timeout_is_ended(
    service: FakeService, tmp_path: Path
) -> None:
    with running_agent(service, tmp_path):
        pids = _start_stubborn(service, tmp_path, attemptTimeout="2 seconds")
        verdict = service.verdict("t1")
        assert verdict["errorId"] == "AttemptTimeout"
        assert "2 seconds" in verdict["errorMessage"]
        _gone(pids)


def test_an_agent_that_cannot_report_ends_its_own_work(
    service: FakeService, tmp_path: Path
) -> None:
    with running_agent(service, tmp_path):
        pids = _start_stubborn(service, tmp_path, reportProgressTimeout="3 seconds")
        service.down.add("ReportTaskProgress")
        _gone(pids)
        assert service.verdict("t1")["errorId"] == "TaskRunner.LeaseLost"


def test_what_a_finished_command_left_running_is_ended(
    service: FakeService, tmp_path: Path
) -> None:
    command = f"setsid nohup sleep 1000 >/dev/null 2>&1 & echo $! > {tmp_path}/pid"
    with running_agent(service, tmp_path):
        service.tasks.put(task_json("t1", command))
        assert service.verdict("t1")["taskStatus"] == "FINISHED"
        _gone([int((tmp_path / "pid").read_text())])


def test_sigterm_lets_running_tasks_finish_and_takes_no_more(
    service: FakeService, tmp_path: Path
) -> None:
    with running_agent(service, tmp_path) as agent:
        command = f"touch {tmp_path}/started; while [ ! -e {tmp_path}/go ]; do sleep 0.05; done"
        service.tasks.put(task_json("t1", command))
        wait_for("the start", (tmp_path / "started").exists)
        agent.signal(signal.SIGTERM)
        wait_for("the drain", lambda: "draining" in agent.log)
        reports = len(service.calls("ReportTaskProgress", "t1"))
        service.wait(
            "progress during the drain",
            lambda: len(service.calls("ReportTaskProgress", "t1")) > reports + 2,
        )
        service.tasks.put(task_json("t2", "true"))
        (tmp_path / "go").touch()
        assert service.verdict("t1")["taskStatus"] == "FINISHED"
        assert agent.wait() == 0
        assert service.calls("ReportTaskProgress", "t2") == []


@pytest.mark.parametrize(
    ("options", "signals"),
    [
        (("--drain-timeout", "1"), [signal.SIGTERM]),
        ((), [signal.SIGTERM, signal.SIGTERM]),
        ((), [signal.SIGINT, signal.SIGTERM]),
        ((), [signal.SIGQUIT]),
    ],
)
def test_a_drain_that_is_over_or_cut_short_reports_what_it_interrupted(
    service: FakeService, tmp_path: Path, options: tuple[str, ...], signals: list[signal.Signals]
) -> None:
    with running_agent(service, tmp_path, *options) as agent:
        pids = _start_stubborn(service, tmp_path)
        for number in signals:
            agent.signal(number)
            # Two signals of a kind that are both pending arrive as one.
            wait_for("the signal to arrive", lambda: '"event": "draining"' in agent.log)
        assert service.verdict("t1")["errorId"] == "TaskRunner.Interrupted"
        assert agent.wait() == 0
        _gone(pids)


def test_terminate_in_a_heartbeat_drains(service: FakeService, tmp_path: Path) -> None:
    service.terminate = True
    with running_agent(service, tmp_path) as agent:
        assert agent.wait() == 0
        assert service.calls("ReportTaskRunnerHeartbeat")[0]["workerGroup"] == "wg"


def _kill_9(agent: AgentProcess) -> None:
    agent.process.kill()
    agent.wait()


def test_kill_9_leaves_no_orphan_and_the_next_start_hands_the_task_back(
    service: FakeService, tmp_path: Path
) -> None:
    with running_agent(service, tmp_path) as agent:
        pids = _start_stubborn(service, tmp_path)
        children = [p.pid for p in psutil.Process(agent.process.pid).children(recursive=True)]
        _kill_9(agent)
        _gone(pids + children)
    assert service.calls("SetTaskStatus") == []
    polls = len(service.calls("PollForTask"))
    with running_agent(service, tmp_path):
        assert service.verdict("t1")["errorId"] == "TaskRunner.Interrupted"
        service.wait("a poll", lambda: len(service.calls("PollForTask")) > polls)
    order = [name for name, _ in service.events if name in {"SetTaskStatus", "PollForTask"}]
    assert order.index("SetTaskStatus") == polls


def test_kill_9_of_agent_and_fork_server_at_once_is_cleaned_up_by_the_next_start(
    service: FakeService, tmp_path: Path
) -> None:
    with running_agent(service, tmp_path) as agent:
        pids = _start_stubborn(service, tmp_path)
        process = psutil.Process(agent.process.pid)
        fork_server = process.children()[0]
        process.suspend()
        fork_server.kill()
        process.kill()
        agent.wait()
    with running_agent(service, tmp_path):
        assert service.verdict("t1")["errorId"] == "TaskRunner.Interrupted"
        _gone(pids)


def test_a_verdict_that_could_not_be_sent_is_sent_by_the_next_agent(
    service: FakeService, tmp_path: Path
) -> None:
    service.down.add("SetTaskStatus")
    command = f"echo ran >> {tmp_path}/effects"
    with running_agent(service, tmp_path) as agent:
        service.tasks.put(task_json("t1", command))
        wait_for("a refusal", lambda: "verdict not taken" in agent.log)
        _kill_9(agent)
    service.down.clear()
    with running_agent(service, tmp_path):
        assert service.verdict("t1")["taskStatus"] == "FINISHED"
        # The same hand-out again, as from a service that was rolled back, is not run again.
        service.tasks.put(task_json("t1", command))
        service.tasks.put(task_json("t2", "true"))
        service.verdict("t2")
    assert (tmp_path / "effects").read_text() == "ran\n"


def test_a_child_that_is_killed_becomes_a_verdict(service: FakeService, tmp_path: Path) -> None:
    command = f"echo $PPID > {tmp_path}/parent.new; mv {tmp_path}/parent.new {tmp_path}/parent"
    with running_agent(service, tmp_path):
        service.tasks.put(task_json("t1", f"{command}; sleep 1000"))
        wait_for("the process id", (tmp_path / "parent").exists)
        os.kill(int((tmp_path / "parent").read_text()), signal.SIGKILL)
        verdict = service.verdict("t1")
    assert verdict["errorId"] == "KilledBySignal"
    assert "signal 9 (SIGKILL" in verdict["errorMessage"]


def test_a_dead_fork_server_ends_the_agent_with_its_own_code(
    service: FakeService, tmp_path: Path
) -> None:
    with running_agent(service, tmp_path) as agent:
        service.wait("a poll", lambda: service.calls("PollForTask"))
        psutil.Process(agent.process.pid).children()[0].kill()
        assert agent.wait() == 71
        last = [json.loads(line) for line in agent.log.splitlines() if line.startswith("{")]
        assert any(event.get("loop") == "fork-server" for event in last)


@pytest.mark.parametrize("program", [("taskrunner",), ("tests.chaos.mutants", "no-control-groups")])
def test_a_task_that_is_lost_with_the_fork_server_leaves_nothing_and_is_interrupted(
    service: FakeService, tmp_path: Path, program: tuple[str, ...]
) -> None:
    beats = tmp_path / "beats"
    command = f"setsid sh -c 'while :; do echo >> {beats}; sleep 0.05; done' & wait"
    with running_agent(service, tmp_path, program=program) as agent:
        service.tasks.put(task_json("t1", command))
        wait_for("the command", beats.exists)
        psutil.Process(agent.process.pid).children()[0].kill()
        assert agent.wait() == 71
        size = beats.stat().st_size
    SystemClock().wait(threading.Event(), 0.5)
    assert beats.stat().st_size == size
    with running_agent(service, tmp_path, program=program):
        assert service.verdict("t1")["errorId"] == "TaskRunner.Interrupted"
    assert {call["errorId"] for call in service.calls("SetTaskStatus", "t1")} == {
        "TaskRunner.Interrupted"
    }


#: Starts an agent for itself, and is about to be killed.
_PARENT = """
import os, subprocess, sys, time
environ = {**os.environ, "TASKRUNNER_EXIT_WITH_PARENT": sys.argv[1] or str(os.getpid())}
agent = subprocess.Popen(sys.argv[2:], env=environ, start_new_session=True)
print(agent.pid, flush=True)
time.sleep(1000)
"""


@pytest.mark.parametrize("named", ["", "1"])
def test_an_agent_ends_with_its_killed_parent_and_takes_its_commands_along(
    tmp_path: Path, named: str
) -> None:
    service = FakeService()
    argv = [sys.executable, "-m", "taskrunner", "--worker-group", "wg", "--endpoint", service.url]
    argv += ["--work-dir", str(tmp_path / "work"), "--s3-root", str(tmp_path / "s3")]
    argv += ["--kill-grace", "2", "--ec2", "off", "--progress-interval", "0.5", "--allow-root"]
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT, named, *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with parent:
        assert parent.stdout is not None
        agent = int(parent.stdout.readline())
        pids = _start_stubborn(service, tmp_path)
        children = [p.pid for p in psutil.Process(agent).children(recursive=True)]
        service.close()
        clock = SystemClock()
        killed_at = clock.monotonic()
        parent.kill()
        _gone([agent, *pids, *children])
    # No drain of 300 s, no flush towards a service that is gone.
    assert clock.monotonic() - killed_at < 20


def test_an_agent_whose_parent_is_gone_already_ends_at_once(
    service: FakeService, tmp_path: Path
) -> None:
    with running_agent(service, tmp_path, "--exit-with-parent", "999999999") as agent:
        assert agent.wait() == 0
        assert "the process that started the agent is gone" in agent.log


def test_a_redirection_that_cannot_be_used_is_refused_at_the_start(
    service: FakeService, tmp_path: Path
) -> None:
    with running_agent(service, tmp_path, "--database", "Db=foo://x") as agent:
        assert agent.wait() == 2
        assert "no driver for 'foo'" in agent.log
