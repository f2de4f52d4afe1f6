"""A service that is killed and put back to an older state while agents work.

Nothing is lost: all work comes to its end. What had ended before the backup does not run again;
what ended since, or was begun since, may run once more: the store of then knows nothing of it.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from boto3.session import Session

from tests.acceptance.served_process import served
from tests.chaos.scale import Chaos
from tests.integration.agent_harness import running_agent, wait_for

TASKS = 40
#: Ended before the backup, and between it and the kill.
BEFORE, SINCE = 4, 4
SLOTS = 3
PATIENCE_S = 240.0


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def command(name: str, folder: Path, *arguments: str) -> None:
    url = f"sqlite:///{folder / 'service.db'}"
    argv = [sys.executable, "-m", "taskrunner", name, *arguments, "--database-url", url]
    subprocess.run(argv, check=True, capture_output=True)


def put(client: Any, effects: Path) -> str:
    """A pipeline of many short tasks, each of which notes that it ran."""
    pipeline: str = client.create_pipeline(name="p", uniqueId="1")["pipelineId"]
    default = {"scheduleType": "ondemand", "workerGroup": "wg", "maximumRetries": "0"}
    objects = [{"id": "Default", "name": "Default", **default}]
    for number in range(TASKS):
        name = f"W{number:02}"
        text = f"sleep 0.3; echo {name} >> {effects}"
        objects.append({"id": name, "name": name, "type": "ShellCommandActivity", "command": text})
    client.put_pipeline_definition(
        pipelineId=pipeline,
        pipelineObjects=[
            {
                "id": given["id"],
                "name": given["name"],
                "fields": [
                    {"key": key, "stringValue": value}
                    for key, value in given.items()
                    if key not in {"id", "name"}
                ],
            }
            for given in objects
        ],
    )
    client.activate_pipeline(pipelineId=pipeline)
    return pipeline


def finished(client: Any, pipeline: str) -> set[str]:
    """The components whose instance has finished."""
    status = {"type": "EQ", "values": ["FINISHED"]}
    query = {"selectors": [{"fieldName": "@status", "operator": status}]}
    found = client.query_objects(pipelineId=pipeline, sphere="INSTANCE", query=query)["ids"]
    return {key[1:4] for key in found}


@pytest.mark.xdist_group("chaos-backup")
def test_a_service_is_put_back_to_an_older_state_amid_work(chaos: Chaos, tmp_path: Path) -> None:
    again = 0
    rounds = chaos.trials(1, 20)
    for number in range(rounds):
        folder = tmp_path / str(number)
        folder.mkdir()
        again += run(folder)
    chaos.found("restore", f"{rounds} kills and restores: nothing lost, {again} tasks ran again")


def run(folder: Path) -> int:
    """One service's life; how many tasks ran more than once."""
    effects, port = folder / "effects", free_port()
    options: tuple[str, ...] = ("--listen", f"127.0.0.1:{port}", "--no-auth", "--ack-timeout", "5")
    options += ("--lease-timeout", "8")
    client = Session("id", "secret", region_name="us-east-1").client(
        "datapipeline", endpoint_url=f"http://127.0.0.1:{port}"
    )
    with served(folder, *options) as first:
        pipeline = put(client, effects)
        with running_agent(first, folder / "agent", "--tasks", str(SLOTS)):
            wait_for("some work is done", lambda: len(finished(client, pipeline)) >= BEFORE)
            settled = finished(client, pipeline)
            command("backup", folder, str(folder / "copy"))
            more = min(TASKS, len(finished(client, pipeline)) + SINCE)
            wait_for("more is done", lambda: len(finished(client, pipeline)) >= more)
            first.process.kill()
            first.process.wait()
            command("restore", folder, str(folder / "copy"))
            with served(folder, *options):
                wait_for(
                    "all is done",
                    lambda: len(finished(client, pipeline)) == TASKS,
                    PATIENCE_S,
                )
                runs = Counter(effects.read_text().split())
    assert len(runs) == TASKS
    assert {name: runs[name] for name in settled} == dict.fromkeys(settled, 1)
    assert max(runs.values()) <= 2
    return sum(count > 1 for count in runs.values())
