"""A service whose disk is full: it says so, loses nothing, and goes on when there is room."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.served_process import Served, served
from tests.integration.agent_harness import wait_for
from tests.integration.api_calls import call

pytestmark = pytest.mark.xdist_group("alone")

FULL = (
    "the service's database is full: nothing was changed; the call can be made again once there is "
    "space"
)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m,mode=700", "tmpfs", str(disk)],
        check=False,
        stderr=subprocess.PIPE,
    )
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def create(service: Served, unique: str) -> str:
    made: str = call(
        service.url, "CreatePipeline", name="p", uniqueId=unique, description="x" * 1000
    )["pipelineId"]
    return made


def ids(service: Served) -> set[str]:
    found: set[str] = set()
    marker = ""
    more = True
    while more:
        page = call(service.url, "ListPipelines", marker=marker)
        found |= {one["id"] for one in page["pipelineIdList"]}
        marker, more = page.get("marker", ""), page["hasMoreResults"]
    return found


def events(log: Path) -> list[tuple[str, str]]:
    told = [json.loads(line) for line in log.read_text().splitlines()]
    return [(one["level"], one["event"]) for one in told if one["level"] != "info"]


def test_a_full_disk_is_told_and_nothing_that_was_answered_is_lost(
    small_disk: Path, tmp_path: Path
) -> None:
    url = f"sqlite:///{small_disk / 'service.db'}"
    log = tmp_path / "serve.log"
    with served(tmp_path, "--no-auth", "--database-url", url) as service:
        made = {create(service, "first")}
        with (small_disk / "filler").open("wb") as filler:
            filler.write(b"x" * (os.statvfs(small_disk).f_bavail - 8) * 4096)
        answers = []
        for number in range(60):
            try:
                made.add(create(service, str(number)))
            except urllib.error.HTTPError as error:
                answers.append((error.code, json.loads(error.read())["message"]))
        assert len(answers) > 20
        assert set(answers) == {(500, FULL)}
        assert ids(service) == made, "what only reads works"
        # All who meet it, duties included, tell it once.
        assert events(log) == [("error", "the store failed; further failures like it are counted")]
        assert "database or disk is full" in log.read_text()
        (small_disk / "filler").unlink()
        made.add(create(service, "after"))
        told = wait_for("the end of it", lambda: events(log)[1:])
        assert told == [("warning", "the store works again")]
        service.process.kill()
        service.process.wait()
    with served(tmp_path, "--no-auth", "--database-url", url) as service:
        assert ids(service) == made
        assert service.stop() == 0
