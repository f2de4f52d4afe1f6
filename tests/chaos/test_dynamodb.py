"""Exports of DynamoDB that are killed: the next process goes on, and nothing is lost or twice.

Against a DynamoDB that counts capacity units as AWS's does, so that the rates are seen, too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import boto3
import pytest

from taskrunner.data.dynamodb.export_files import find_files, lines
from taskrunner.data.dynamodb.items import from_line
from taskrunner.data.dynamodb.state import PREFIX
from taskrunner.data.objects.store import open_store
from taskrunner.data.settings import DataSettings
from tests import servers
from tests.chaos.scale import Chaos
from tests.server_process import ServerMissing

ROOT = Path(__file__).resolve().parents[2]
URI = "s3://backups/users/"
SEGMENTS = 6
SHARE = 0.25
READ_UNITS, WRITE_UNITS = 200, 4000


@pytest.fixture(scope="module")
def dynalite() -> Iterator[str]:
    """The endpoint URL of a DynamoDB."""
    if os.environ.get("TASKRUNNER_CHAOS") != "full":
        pytest.skip("a DynamoDB that counts units is only there for `make chaos`")
    try:
        with servers.dynalite() as url:
            yield url
    except ServerMissing as missing:
        pytest.skip(str(missing))


class Scene:
    """Tables, a folder that stands for S3, and processes that export and import."""

    def __init__(self, url: str, folder: Path) -> None:
        self.folder = folder
        self.env = {**os.environ, "AWS_ENDPOINT_URL_DYNAMODB": url, "PYTHONPATH": str(ROOT)}
        self.client = boto3.client("dynamodb", endpoint_url=url, region_name="us-east-1")
        self.objects = open_store(DataSettings(s3_root=folder / "s3"))

    def make_table(self, name: str) -> None:
        """Make it anew."""
        if name in self.client.list_tables()["TableNames"]:
            self.client.delete_table(TableName=name)
            waiter = self.client.get_waiter("table_not_exists")
            waiter.wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
        self.client.create_table(
            TableName=name,
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            ProvisionedThroughput={
                "ReadCapacityUnits": READ_UNITS,
                "WriteCapacityUnits": WRITE_UNITS,
            },
        )
        self.client.get_waiter("table_exists").wait(
            TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )

    def start(self, kind: str, table: str, share: float, *more: str) -> subprocess.Popen[str]:
        work = [kind, table, URI, str(share), *more]
        return subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.dynamodb_work", *work],
            stdout=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=self.env,
        )

    def finish(self, process: subprocess.Popen[str]) -> dict[str, Any]:
        output, _ = process.communicate(timeout=600)
        assert process.returncode == 0
        told: dict[str, Any] = json.loads(output)
        return told

    def kill(self, process: subprocess.Popen[str], *, after: int) -> None:
        """Kill a process at whatever it does once so many files are there."""
        while process.poll() is None and len(self.whole_files()) < after:
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.05)
        process.kill()
        process.communicate()

    def whole_files(self) -> set[str]:
        listed = self.objects.list(URI)
        return {info.uri for info in listed if PREFIX not in info.uri}

    def items(self, table: str) -> dict[str, Any]:
        pages = self.client.get_paginator("scan").paginate(TableName=table)
        return {item["id"]["S"]: item for page in pages for item in page["Items"]}


@pytest.fixture
def scene(dynalite: str, tmp_path: Path) -> Iterator[Scene]:
    made = Scene(dynalite, tmp_path)
    yield made
    made.client.close()


def fill(scene: Scene, count: int) -> None:
    """A file of an export, imported at full speed."""
    scene.make_table("users")
    with scene.objects.open_write(URI + "source") as writer:
        for number in range(count):
            item = {"id": {"s": f"user-{number:06}"}, "pad": {"s": "x" * 400}}
            writer.write(json.dumps(item).encode() + b"\n")
    scene.finish(scene.start("import", "users", 1.5))
    scene.objects.delete(URI + "source")


def kill_exports(scene: Scene, chaos: Chaos, count: int, kills: int) -> set[str]:
    """Kill exports of the table at random; returns the files that are there then."""
    most = count // 500 // kills
    whole: set[str] = set()
    for _ in range(kills):
        process = scene.start("export", "users", SHARE, str(SEGMENTS))
        scene.kill(process, after=len(whole) + chaos.random.randint(0, most))
        # What was whole stays.
        assert whole <= scene.whole_files()
        whole = scene.whole_files()
    assert whole
    return whole


def test_killed_exports_are_gone_on_with(scene: Scene, chaos: Chaos) -> None:
    count, kills = chaos.trials(2000, 20_000), chaos.trials(3, 12)
    fill(scene, count)
    whole = kill_exports(scene, chaos, count, kills)

    told = scene.finish(scene.start("export", "users", SHARE, str(SEGMENTS)))
    assert told["items"] == count
    files = find_files(scene.objects, URI)
    exported = [from_line(line) for uri in files for _, line in lines(scene.objects, uri)]
    # DynamoDB's own client is the witness, not ours.
    expected = scene.items("users")
    # What was whole but not yet written down was read again, and is gone.
    assert whole & set(files)
    assert scene.whole_files() == {*files, f"{URI}manifest", f"{URI}_SUCCESS"}
    assert len(exported) == len(expected) == count
    assert {item["id"]["S"]: item for item in exported} == expected
    assert not list(scene.objects.list(URI + PREFIX))

    scene.make_table("copy")
    written = scene.finish(scene.start("import", "copy", SHARE))
    assert scene.items("copy") == expected
    for what, one in (("read", told), ("written", written)):
        # What the last calls cost is not waited for: at most a second's worth.
        assert one["units"] <= one["rate"] * (one["seconds"] + 1)
        chaos.found(
            "dynamodb",
            f"{one['items']} items {what} in {one['seconds']:.0f} s, {one['units']:.0f} units, "
            f"{one['units'] / one['seconds']:.1f} of {one['rate']:g} a second; "
            f"{kills} kills, {len(whole & set(files))} of {len(files)} files from before the last",
        )


def test_an_export_that_starts_anew_is_found_out(scene: Scene, chaos: Chaos) -> None:
    count = 4000
    fill(scene, count)
    scene.env["MUTANT"] = "export-starts-anew"
    whole = kill_exports(scene, chaos, count, kills=2)
    scene.finish(scene.start("export", "users", SHARE, str(SEGMENTS)))
    assert not whole & set(find_files(scene.objects, URI))
    # Nor does it clear away what it does not know of.
    assert whole <= scene.whole_files()
