"""The how-to's daily RDS export put with the AWS CLI, and worked off by an agent of its own."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest

from tests.acceptance import seed
from tests.acceptance.running import Peak, Service, taskrunner, until
from tests.local_runs import run_here

pytestmark = [pytest.mark.external_service, pytest.mark.slow, seed.needs_seed]

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
    local = run_here(
        tmp_path,
        *(str(seed.SEED), "--at", seed.START, "--database", f"RdsDatabase={mariadb_database}"),
        *("--s3-root", str(tmp_path / "s3"), "--work-dir", str(tmp_path / "local")),
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
    # Also of an attempt that is over before it is asked how it goes.
    for key in ("sourceRows", "targetRows"):
        assert service.field(pipeline, COPY, key) == str(seed.WINDOW_ROWS)
    assert peak.megabytes < 125


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
