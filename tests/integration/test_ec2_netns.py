"""Spot instances that go while they work: `taskrunner serve`, agents and the metadata service at
its own address, all in a network namespace. Ten hosts go in CI; TASKRUNNER_SPOT_HOSTS=100 for more.

Time is scaled by ten: a notice comes 12 s before the host is killed, not 120 s.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from taskrunner.clock import SystemClock
from tests.acceptance.served_process import served
from tests.fake_imds import FakeImds, fake_imds, soon
from tests.integration.agent_harness import wait_for
from tests.integration.netns import METADATA, in_namespace
from tests.integration.small_agent import small_agent

if TYPE_CHECKING:
    from mypy_boto3_datapipeline.client import DataPipelineClient

HOSTS = int(os.environ.get("TASKRUNNER_SPOT_HOSTS", "10"))
AT_ONCE = 10
NOTICE_S = 12.0
KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}


@dataclass
class Fate:
    """What became of one host's task."""

    interrupted: bool = False
    in_time: bool = False
    #: The agent had ended by itself before the host was killed.
    drained: bool = False
    finished: bool = False


class Region:
    """A batch of hosts that all get the same notice."""

    def __init__(self, client: DataPipelineClient, url: str, imds: FakeImds, folder: Path) -> None:
        self.client, self.url, self.imds, self.folder = client, url, imds, folder
        self.fates = [Fate() for _ in range(AT_ONCE)]
        self.pipelines = [self._pipeline(number) for number in range(AT_ONCE)]

    def live(self) -> list[Fate]:
        """Start hosts, let them work, announce their end, kill them; the work goes on elsewhere."""
        with ExitStack() as stack:
            hosts = [stack.enter_context(self._host(number)) for number in range(AT_ONCE)]
            begun = [self.folder / f"begun-{number}" for number in range(AT_ONCE)]
            wait_for("every task to run", lambda: all(path.exists() for path in begun))
            deadline = soon(NOTICE_S)
            self.imds.announce("terminate", deadline)
            stack.enter_context(self._survivor())
            wait_for("the verdicts", lambda: self._interrupted(deadline) or _past(deadline))
            wait_for("the end of the hosts", lambda: _past(deadline))
            for host, fate in zip(hosts, self.fates, strict=True):
                fate.drained = host.process.poll() == 0
                if not fate.drained:
                    host.kill()
            wait_for("every task elsewhere", self._finished)
        return self.fates

    def _host(self, number: int) -> Any:
        # The metadata service is where it always is; that it is one, no firmware says here.
        options = ["--worker-group", f"wg-{number}", "--endpoint", self.url, "--ec2", "on"]
        options += ["--tasks", "1", "--notice-margin", "3", "--kill-grace", "1"]
        options += ["--s3-root", str(self.folder / "s3")]
        return small_agent(self.folder / f"host-{number}", *options, **KEYS)

    def _survivor(self) -> Any:
        options = ["--endpoint", self.url, "--ec2", "off", "--tasks", str(AT_ONCE)]
        for number in range(AT_ONCE):
            options += ["--worker-group", f"wg-{number}"]
        options += ["--s3-root", str(self.folder / "s3")]
        return small_agent(self.folder / "survivor", *options, **KEYS)

    def _pipeline(self, number: int) -> str:
        begun = self.folder / f"begun-{number}"
        command = f"if [ -e {begun} ]; then exit 0; fi; touch {begun}; exec sleep 300"
        fields = {
            "type": "ShellCommandActivity",
            "command": command,
            "workerGroup": f"wg-{number}",
            # Had the interruption been charged, there would be no second attempt.
            "maximumRetries": "0",
        }
        default = {"scheduleType": "ondemand", "pipelineLogUri": "s3://bucket/logs"}
        name = f"spot-{number}"
        pipeline_id = self.client.create_pipeline(name=name, uniqueId=f"{self.folder.name}-{name}")[
            "pipelineId"
        ]
        reply = self.client.put_pipeline_definition(
            pipelineId=pipeline_id,
            pipelineObjects=[_object("Default", default), _object("Work", fields)],
        )
        assert not reply["errored"], reply
        self.client.activate_pipeline(pipelineId=pipeline_id)
        return pipeline_id

    def _interrupted(self, deadline: datetime) -> bool:
        """Note whose first attempt is told as interrupted; whether all are."""
        for fate, pipeline in zip(self.fates, self.pipelines, strict=True):
            if not fate.interrupted:
                first = self._attempts(pipeline).get(1, {})
                fate.interrupted = first.get("errorId") == "TaskRunner.Interrupted"
                fate.in_time = fate.interrupted and not _past(deadline)
        return all(fate.interrupted for fate in self.fates)

    def _finished(self) -> bool:
        for fate, pipeline in zip(self.fates, self.pipelines, strict=True):
            if not fate.finished:
                second = self._attempts(pipeline).get(2, {})
                fate.finished = second.get("@status") == "FINISHED"
        return all(fate.finished for fate in self.fates)

    def _attempts(self, pipeline: str) -> dict[int, dict[str, str]]:
        """The fields of each attempt, by its number."""
        ids = self.client.query_objects(pipelineId=pipeline, sphere="ATTEMPT").get("ids", [])
        if not ids:
            return {}
        reply = self.client.describe_objects(pipelineId=pipeline, objectIds=ids)
        return {
            int(item["id"].rpartition("=")[2]): {
                field["key"]: field.get("stringValue", "") for field in item["fields"]
            }
            for item in reply["pipelineObjects"]
        }


def _object(object_id: str, fields: dict[str, str]) -> Any:
    items = [{"key": key, "stringValue": value} for key, value in fields.items()]
    return {"id": object_id, "name": object_id, "fields": items}


def _past(moment: datetime) -> bool:
    return SystemClock().now() >= moment


def _batches(folder: Path) -> Iterator[Fate]:
    for batch in range((HOSTS + AT_ONCE - 1) // AT_ONCE):
        place = folder / f"batch-{batch}"
        place.mkdir()
        with (
            fake_imds(METADATA[0], 80) as imds,
            served(place, "--no-auth", "--ack-timeout", "20") as service,
        ):
            client = boto3.client("datapipeline", endpoint_url=service.url)
            try:
                yield from Region(client, service.url, imds, place).live()
            finally:
                client.close()


@pytest.mark.slow
def test_tasks_are_handed_back_before_spot_hosts_go_and_finish_elsewhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fates = in_namespace(lambda: list(_batches(tmp_path)))
    counts = {
        "hosts": len(fates),
        "handed back in time": sum(fate.in_time for fate in fates),
        "drained before the kill": sum(fate.drained for fate in fates),
        "finished elsewhere": sum(fate.finished for fate in fates),
    }
    with capsys.disabled():
        print(f"\nspot hosts: {counts}")
    assert counts["handed back in time"] >= 0.95 * len(fates), counts
    assert counts["finished elsewhere"] == len(fates), counts
