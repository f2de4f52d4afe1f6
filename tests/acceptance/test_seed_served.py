"""The how-to's daily RDS export put with the AWS CLI, and worked off by an agent of its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest

from tests.acceptance import seed

pytestmark = [pytest.mark.external_service, pytest.mark.slow, seed.needs_seed]

PAUSE_S = 0.1
MEGABYTE = 1024 * 1024


def until(what: str, condition: Callable[[], bool], patience_s: float = 120) -> None:
    pause = threading.Event()
    for _ in range(int(patience_s / PAUSE_S)):
        if condition():
            return
        pause.wait(PAUSE_S)
    pytest.fail(f"not within {patience_s:.0f} s: {what}")


@contextmanager
def taskrunner(log: Path, *arguments: str) -> Iterator[psutil.Popen]:
    """A taskrunner process, drained at the end of the block."""
    with log.open("ab") as output:
        process = psutil.Popen(
            [sys.executable, "-m", "taskrunner", *arguments], stdout=output, stderr=output
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
        self.client = boto3.client("datapipeline", endpoint_url=url)

    def close(self) -> None:
        self.client.close()

    def aws(self, *arguments: str) -> Any:
        """What the AWS CLI prints for a command, read as JSON."""
        done = subprocess.run(
            [
                str(Path(sys.executable).with_name("aws")),
                *("datapipeline", *arguments, "--endpoint-url", self.url, "--output", "json"),
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
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
        reply = self.client.describe_objects(pipelineId=pipeline, objectIds=[instance])
        fields = [field for found in reply["pipelineObjects"] for field in found["fields"]]
        return next((f["stringValue"] for f in fields if f["key"] == "@status"), None)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    store = f"sqlite:///{tmp_path / 'service.db'}"

    def answers() -> bool:
        host, port = address.split(":")
        with suppress(OSError), closing(socket.create_connection((host, int(port)), 1)):
            return True
        return False

    serve = ("serve", "--listen", address, "--database-url", store, "--no-auth")
    with taskrunner(tmp_path / "service.log", *serve):
        until("the service listens", answers, 20)
        with closing(Service(f"http://{address}")) as service:
            yield service


COPY = f"@CopyActivity_{seed.START}"


@contextmanager
def worker(
    tmp_path: Path, service: Service, cloud: seed.Cloud, pipeline: str, url: str
) -> Iterator[psutil.Popen]:
    """An agent for the worker group of the definition's Ec2Resource."""
    # In the environment a password shows in no process list.
    os.environ["TASKRUNNER_DATABASES"] = json.dumps({"RdsDatabase": url})
    try:
        with taskrunner(
            tmp_path / "worker.log",
            *("--worker-group", f"resource:{pipeline}_@Ec2Resource_{seed.START}"),
            *("--endpoint", service.url, "--s3-endpoint", cloud.endpoint),
            *("--work-dir", str(tmp_path / "worker")),
        ) as process:
            yield process
    finally:
        del os.environ["TASKRUNNER_DATABASES"]


def exported(cloud: seed.Cloud) -> dict[str, bytes]:
    return {key: cloud.read("my-data-lake", key) for key in cloud.keys("my-data-lake")}


def test_served_and_local_runs_give_the_same_bytes(
    tmp_path: Path, service: Service, cloud: seed.Cloud, mariadb_database: str
) -> None:
    seed.fill_mariadb(mariadb_database)
    local = subprocess.run(
        [
            *(sys.executable, "-m", "taskrunner", "run", str(seed.SEED), "--at", seed.START),
            *("--database", f"RdsDatabase={mariadb_database}", "--s3-root", str(tmp_path / "s3")),
            *("--work-dir", str(tmp_path / "local")),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert local.returncode == 0, local.stdout + local.stderr
    bucket = tmp_path / "s3" / "my-data-lake"
    wanted = {
        path.relative_to(bucket).as_posix(): path.read_bytes()
        for path in bucket.rglob("*")
        if path.is_file()
    }

    pipeline = service.activate()
    with worker(tmp_path, service, cloud, pipeline, mariadb_database) as process:
        peak = Peak(process)
        until(
            "the copy is done",
            lambda: peak.look() or service.status(pipeline, COPY) == "FINISHED",
        )

    assert exported(cloud) == wanted
    assert sum(map(len, wanted.values())) > seed.WINDOW_ROWS
    assert peak.megabytes < 150


def test_an_agent_killed_in_mid_copy_leaves_nothing_partial(
    tmp_path: Path, service: Service, cloud: seed.Cloud, mariadb_database: str
) -> None:
    seed.fill_mariadb(mariadb_database)
    pipeline = service.activate()
    with worker(tmp_path, service, cloud, pipeline, mariadb_database) as process:
        until("the copy reads", lambda: copying(mariadb_database))
        children = process.children(recursive=True)
        process.kill()
        psutil.wait_procs(children, timeout=30)
        assert [child for child in children if child.is_running()] == []
    assert exported(cloud) == {}

    with worker(tmp_path, service, cloud, pipeline, mariadb_database):
        until("the copy is done", lambda: service.status(pipeline, COPY) == "FINISHED")
    text = "".join(part.decode() for _, part in sorted(exported(cloud).items()))
    rows = sorted(seed.parse(text), key=repr)
    assert rows == sorted(seed.window_mariadb(mariadb_database), key=repr)


def copying(url: str) -> bool:
    """Whether somebody else is reading `orders` just now."""
    with closing(seed.mysql(url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM information_schema.processlist"
            " WHERE id <> connection_id() AND info LIKE '%orders%'"
        )
        row = cursor.fetchone()
        return row is not None and row[0] != "0"


class Peak:
    """The most memory that a process and its children were seen to hold together."""

    def __init__(self, process: psutil.Process) -> None:
        self.process = process
        self.megabytes = 0.0

    def look(self) -> bool:
        """Measure once more; false, so that it can stand before a condition."""
        total = 0
        with suppress(psutil.NoSuchProcess):
            for process in (self.process, *self.process.children(recursive=True)):
                total += process.memory_info().rss
        self.megabytes = max(self.megabytes, total / MEGABYTE)
        return False
