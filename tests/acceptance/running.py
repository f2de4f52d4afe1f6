"""Processes of ours that acceptance tests start, ask and measure."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest

from tests.acceptance import seed
from tests.local_runs import aws_here

PAUSE_S = 0.1
#: As the goals count them.
MEGABYTE = 1_000_000


def until(what: str, condition: Callable[[], bool], patience_s: float = 120) -> None:
    pause = threading.Event()
    for _ in range(int(patience_s / PAUSE_S)):
        if condition():
            return
        pause.wait(PAUSE_S)
    pytest.fail(f"not within {patience_s:.0f} s: {what}")


@contextmanager
def taskrunner(
    log: Path, *arguments: str, environment: Mapping[str, str] | None = None
) -> Iterator[psutil.Popen]:
    """A taskrunner process, drained at the end of the block."""
    environment = {**os.environ, "TASKRUNNER_ALLOW_ROOT": "true", **(environment or {})}
    with log.open("ab") as output:
        process = psutil.Popen(
            [sys.executable, "-m", "taskrunner", *arguments],
            env=environment,
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
        process.wait(60)


class Service:
    """A service that runs, asked through boto3 and the AWS CLI."""

    def __init__(self, url: str) -> None:
        self.url = url
        # The default session would keep the credentials of whoever asked first.
        self.client = boto3.session.Session().client("datapipeline", endpoint_url=url)

    def close(self) -> None:
        self.client.close()

    def aws(self, *arguments: str) -> Any:
        """What the AWS CLI prints for a command, read as JSON."""
        done = aws_here("datapipeline", *arguments, "--endpoint-url", self.url, "--output", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    def activate(self) -> str:
        """Put the seed definition and set it going; returns the pipeline's id."""
        created = self.aws("create-pipeline", "--name", "rds-export", "--unique-id", "1")
        pipeline: str = created["pipelineId"]
        definition = f"file://{seed.SEED}"
        put = self.aws(
            *("put-pipeline-definition", "--pipeline-id", pipeline),
            *("--pipeline-definition", definition),
        )
        assert put["errored"] is False
        self.aws("activate-pipeline", "--pipeline-id", pipeline)
        return pipeline

    def status(self, pipeline: str, instance: str) -> str | None:
        """The status, once the scheduler has made the instance."""
        return self.field(pipeline, instance, "@status")

    def field(self, pipeline: str, instance: str, key: str) -> str | None:
        """What a field says; None where there is none, or no such object yet."""
        try:
            reply = self.client.describe_objects(pipelineId=pipeline, objectIds=[instance])
        except self.client.exceptions.InvalidRequestException:
            return None
        fields = [field for found in reply["pipelineObjects"] for field in found["fields"]]
        return next((f["stringValue"] for f in fields if f["key"] == key), None)


class Peak:
    """The most memory that a process and its children were seen to hold together.

    What they share is counted once (PSS): they are forks of each other, and one waits for work.
    """

    def __init__(self, process: psutil.Process) -> None:
        self.process = process
        self.megabytes = 0.0

    def look(self) -> bool:
        """Measure once more; false, so that it can stand before a condition."""
        total = 0
        with suppress(psutil.NoSuchProcess):
            for process in (self.process, *self.process.children(recursive=True)):
                total += process.memory_full_info().pss
        self.megabytes = max(self.megabytes, total / MEGABYTE)
        return False
