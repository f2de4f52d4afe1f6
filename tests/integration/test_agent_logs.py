"""Logs of a real agent: in parts while a task runs, within their limit, and the agent's own."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest

from tests.integration.agent_harness import (
    AgentProcess,
    FakeService,
    running_agent,
    task_json,
    wait_for,
)

MEGABYTE = 1 << 20
FIELDS = {"pipelineLogUri": "s3://b/logs"}


def _objects(agent: AgentProcess, pattern: str) -> list[Path]:
    return sorted(agent.s3.rglob(pattern))


def _text(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes())


def test_parts_are_there_while_a_task_runs_and_one_object_afterwards(
    service: FakeService, tmp_path: Path
) -> None:
    let_go = tmp_path / "let-go"
    command = f"echo one; sleep 0.5; echo two; until [ -e {let_go} ]; do sleep 0.05; done; echo 3"
    with running_agent(service, tmp_path, "--log-interval", "0.2") as agent:
        service.tasks.put(task_json("t1", command, fields=FIELDS))
        parts = wait_for(
            "both lines in the store",
            lambda: (
                (found := _objects(agent, "StdOutput@*"))
                and b"".join(map(_text, found)) == b"one\ntwo\n"
                and found
            ),
        )
        assert parts[0].name.startswith("StdOutput@000000000000000-")
        assert parts[-1].name.endswith("-000000000000008.gz")
        let_go.touch()
        assert service.verdict("t1")["taskStatus"] == "FINISHED"
        (log,) = _objects(agent, "StdOutput*")
        assert _text(log) == b"one\ntwo\n3\n"
        assert _objects(agent, "*@*") == _objects(agent, "@*")


@pytest.mark.parametrize("secret", [False, True])
def test_fifty_megabytes_of_one_line_are_kept_within_one(
    service: FakeService, tmp_path: Path, *, secret: bool
) -> None:
    most = tmp_path / "most"
    # The largest that the log ever is on the disk, seen by the task itself.
    command = (
        "log=$(readlink -f /proc/self/fd/1); case $log in /*) ;; *) log=/dev/null;; esac; m=0; "
        "for i in $(seq 50); do head -c 1M /dev/zero | tr '\\0' x; sleep 0.02; "
        f"n=$(stat -c %b $log); [ $n -gt $m ] && m=$n; done; echo $m > {most}; printf end"
    )
    fields = {**FIELDS, **({"*password": "hunter22-and-more"} if secret else {})}
    options = ("--log-interval", "0.2", "--max-log-size", "1MB")
    with running_agent(service, tmp_path, *options) as agent:
        service.tasks.put(task_json("t1", command, fields=fields))
        assert service.verdict("t1")["taskStatus"] == "FINISHED"
        (log,) = _objects(agent, "StdOutput.gz")
        text = _text(log)
        found = re.fullmatch(
            rb"(x+)\n\.\.\. (\d+) bytes left out by taskrunner's max_log_size \.\.\.\n(x+)end", text
        )
        assert found is not None, text[:100]
        assert len(found[1]) + int(found[2]) + len(found[3]) == 50 * MEGABYTE
        assert len(text) <= 1.1 * MEGABYTE
        (local,) = (agent.work_dir / "output" / "logs").rglob("StdOutput")
        assert local.stat().st_blocks * 512 <= 1.1 * MEGABYTE
    # A machine with much else to do may look late: what counts is that it is not 50 MB.
    assert int(most.read_text()) * 512 < 20 * MEGABYTE


def test_the_agents_own_log_is_in_a_file_and_pushed_at_its_end(
    service: FakeService, tmp_path: Path
) -> None:
    hostile = 'x\n{"event": "forged"}\x1b[2J'
    with running_agent(service, tmp_path, "--log-uri", "s3://b/logs") as agent:
        service.tasks.put({**task_json("t1", "exit 0"), "pipelineId": hostile})
        service.verdict("t1")
        agent.stop()
        logs = _objects(agent, "TaskRunner.log.*.gz")
        assert logs
        lines = b"".join(map(_text, logs)).decode().splitlines()
        records = [json.loads(line) for line in lines]
        assert [r["event"] for r in records if r["event"] in {"agent started", "forged"}] == [
            "agent started"
        ]
        assert hostile in {r.get("pipeline_id") for r in records}
        assert re.fullmatch(r".+/b/logs/TaskRunner/[^/]+-[0-9a-f]{8}", str(logs[0].parent))


def test_the_agents_own_log_can_be_left_at_stderr(service: FakeService, tmp_path: Path) -> None:
    with running_agent(service, tmp_path, "--agent-log", "false") as agent:
        wait_for("the start", lambda: "agent started" in agent.log)
        agent.stop()
    assert list(agent.work_dir.rglob("TaskRunner.log.*")) == []


def test_what_a_killed_agent_left_of_its_own_log_is_pushed_by_the_next(
    service: FakeService, tmp_path: Path
) -> None:
    options = ("--log-uri", "s3://b/logs")
    with running_agent(service, tmp_path, *options) as agent:
        wait_for("the start", lambda: "agent started" in agent.log)
        agent.process.kill()
        agent.wait()
    assert _objects(agent, "TaskRunner.log.*") == []
    with running_agent(service, tmp_path, *options) as agent:
        wait_for("the next start", lambda: agent.log.count("agent started") == 2)
        agent.stop()
    pushed = b"".join(map(_text, _objects(agent, "TaskRunner.log.*.gz")))
    assert pushed.count(b'"agent started"') == 2
