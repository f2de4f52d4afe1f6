"""P10: the console's pages, on a service with a thousand pipelines.

One of them has 200 components and 30 runs, one a log of 10 GB, each other one 14 runs. All are
written into the file before the service starts. The log is what an agent of ours writes; between
its first and its last blocks the file has a hole, and what is shown of it is read in earnest. What
is timed goes over HTTP, unsigned, as a browser asks: on one connection, and for gzip.

The pages that are open ask the service to tell them of changes, and for their changing part when
it does, as their scripts do. Every few seconds one of the pipelines is paused or resumed: that
changes what the lists show, too.
"""

from __future__ import annotations

import asyncio
import gzip
import re
import statistics
import struct
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import quote

from bench import harness
from bench.harness import Figure, Service
from taskrunner.model.codec import DEFINITION
from taskrunner.model.instances import attempt_id, instance_id
from taskrunner.model.log_names import LOG_BLOCK, folder_of, whole_name
from taskrunner.model.reader import read_definition
from taskrunner.model.rows import AttemptRow, InstanceRow
from taskrunner.model.states import AttemptStatus, InstanceStatus, PipelineState
from taskrunner.service.callers import ANONYMOUS
from taskrunner.service.store import pipelines as pipeline_store
from taskrunner.service.store.database import Store
from taskrunner.service.store.rows import PipelineRow
from taskrunner.service.store.tables import attempts, instances

PIPELINES, RUNS_OF_EACH = 1_000, 14
COMPONENTS, RUNS = 200, 30
WIDE, NARROW = "df-WIDE", "df-N"
LOG_SIZE = 10_000_000_000
#: Blocks of the log that are there, at each of its ends.
REAL = 200
TIMES = 15
OPEN, OPEN_S, CHANGE_S = 200, 60.0, 5.0
KILOBYTE = 1_000
START = datetime(2026, 2, 1, tzinfo=UTC)
WORK = "A0"


def measure(open_s: float = OPEN_S) -> Iterator[Figure]:
    with harness.folder() as home:
        fill(home / "service.db")
        write_log(home / "s3")
        with harness.service(home, "--s3-root", str(home / "s3")) as service:
            yield from pages(service)
            yield from open_pages(service, open_s)


# -- pages --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """An answer: when its first byte came, when all of it had, and its size on the wire."""

    first_s: float
    whole_s: float
    size: int
    body: bytes


def pages(service: Service) -> Iterator[Figure]:
    """What pages cost: their first byte, the whole of large ones, their sizes."""
    attempt = f"/p/{WIDE}/i/{quote(instance_id(WORK, START), safe='@:')}/1"
    browser = Browser(service.url)
    for path, what, goal in (
        ("/waiting", "what waits", 50),
        ("/agents", "agents", 50),
        (f"/p/{NARROW}7/grid", "a grid of 14 x 2", 50),
        (f"/p/{NARROW}7/runs", "runs", 50),
        (attempt, "an attempt", 50),
        ("/", "a page of 100 of 1,000 pipelines", 0),
        (f"/p/{WIDE}/grid", f"a grid of {RUNS} x {COMPONENTS}", 300),
        ("/?limit=1000", "a list of 1,000 pipelines", 500),
        (f"{attempt}/log", f"the end of a log of {LOG_SIZE // 10**9} GB", 1000),
    ):
        found = [browser.fetch(path) for _ in range(TIMES)]
        first = 1000 * statistics.median(one.first_s for one in found)
        whole = 1000 * statistics.median(one.whole_s for one in found)
        spent = first if goal == 50 else whole
        yield Figure(
            id="P10",
            what=f"{what}: {'first byte' if goal == 50 else 'all of it'}",
            measured=f"{spent:.0f} ms (worst {1000 * max(o.whole_s for o in found):.0f})",
            goal=f"<= {goal} ms" if goal else "",
            met=spent <= goal if goal else None,
        )
        if goal in {0, 50}:
            size = (found[-1].size + browser.files_of(found[-1].body)) / KILOBYTE
            yield Figure(
                id="P10",
                what=f"{what}: with its files, nothing cached",
                measured=f"{size:.0f} kB",
                goal="<= 60 kB",
                met=size <= 60,
            )


class Browser:
    """One connection, which takes gzip."""

    def __init__(self, url: str) -> None:
        self._connection = HTTPConnection(url.removeprefix("http://"), timeout=60)
        self.fetch("/agents")  # what is made once is made

    def fetch(self, path: str) -> Fetched:
        """A page."""
        begin = time.perf_counter()
        self._connection.request("GET", path, headers={"accept-encoding": "gzip"})
        answer = self._connection.getresponse()
        first = time.perf_counter() - begin
        body = answer.read()
        whole = time.perf_counter() - begin
        if answer.status != 200:
            raise ValueError(f"{path}: {answer.status}")
        text = gzip.decompress(body) if answer.headers["content-encoding"] == "gzip" else body
        return Fetched(first_s=first, whole_s=whole, size=len(body), body=text)

    def files_of(self, page: bytes) -> int:
        """The bytes of the scripts and styles that a page names."""
        names = re.findall(r'(?:href|src)="(/console/static/[^"]+)"', page.decode())
        return sum(self.fetch(name).size for name in names)


# -- open pages ---------------------------------------------------------------------------------


def open_pages(service: Service, open_s: float) -> Iterator[Figure]:
    """What pages that are open cost the service, while nothing changes and while something does."""
    paths = [
        *["/"] * (OPEN // 4),
        *[f"/p/{WIDE}/grid"] * (OPEN // 4),
        *[f"/p/{NARROW}{number % 20}/grid" for number in range(OPEN // 2)],
    ]
    for what, changes in (("nothing changes", False), ("a pipeline changes every 5 s", True)):
        cost, told = asyncio.run(_watched(service, paths, open_s, changes=changes))
        yield Figure(
            id="P10",
            what=f"{OPEN} open pages, {what}",
            measured=f"{100 * cost:.1f} % of a core, {told / open_s:.1f} parts a second",
            goal="< 10 %",
            met=cost < 0.1,
        )


async def _watched(
    service: Service, paths: Sequence[str], open_s: float, *, changes: bool
) -> tuple[float, int]:
    """CPU time a second of the service, and how many parts were asked for."""
    told = [0]
    first = dict.fromkeys(paths)
    watching = [asyncio.create_task(_watch(service.url, path, told)) for path in first]
    # As in life: of most addresses a page is open already, which was told once when it was opened.
    await asyncio.sleep(30)
    watching += [asyncio.create_task(_watch(service.url, path, told)) for path in paths]
    await asyncio.sleep(10)
    told[0], before, begin = 0, harness.cpu_s(service.process), time.monotonic()
    number = 0
    while time.monotonic() - begin < open_s:
        if changes:
            status, of = ("PAUSE", "RESUME")[number % 2], f"{NARROW}{number // 2 % 20}"
            await asyncio.to_thread(
                service.call, "SetStatus", pipelineId=of, objectIds=[of], status=status
            )
            number += 1
        await asyncio.sleep(CHANGE_S)
    cost = (harness.cpu_s(service.process) - before) / (time.monotonic() - begin)
    for task in watching:
        task.cancel()
    ended = await asyncio.gather(*watching, return_exceptions=True)
    broken = [one for one in ended if not isinstance(one, asyncio.CancelledError)]
    if broken:
        raise ValueError(f"{len(broken)} pages were not told to the end, such as by {broken[0]!r}")
    return cost, told[0]


async def _watch(url: str, path: str, told: list[int]) -> None:
    """A page that is open: it asks for its part when it is told that something has changed."""
    pipeline = path.split("/")[2] if path.startswith("/p/") else ""
    live = f"/console/live?of={pipeline}&fresh=1" if pipeline else "/console/live?fresh=1"
    reader, writer = await _asked(url, live)
    try:
        while line := await reader.readline():
            if line.startswith(b"event: changed"):
                part, closing = await _asked(url, path, "HX-Request: true", "Connection: close")
                await part.read()
                closing.close()
                told[0] += 1
    finally:
        writer.close()


async def _asked(
    url: str, path: str, *headers: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}:{port}", "Accept-Encoding: gzip", *headers]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    status = await reader.readline()
    if b" 200 " not in status:
        raise ValueError(f"{path}: {status!r}")
    return reader, writer


# -- what there is ------------------------------------------------------------------------------


def fill(path: Path) -> None:
    """A store of pipelines that have run."""
    store = Store(f"sqlite:///{path}")
    _make(store, WIDE, COMPONENTS, RUNS)
    for number in range(PIPELINES - 1):
        _make(store, f"{NARROW}{number}", 2, RUNS_OF_EACH)
    store.close()


def _make(store: Store, key: str, components: int, runs: int) -> None:
    """A pipeline of so many runs, a few instances of which have failed."""
    row = PipelineRow(
        pipeline_id=key,
        account=ANONYMOUS.account,
        user_id=ANONYMOUS.user,
        name=f"pipeline {key}",
        unique_id=key,
        description=None,
        tags=(("team", "bi"),),
        state=PipelineState.SCHEDULED,
        created_at=START,
    )
    made = [
        _instance(key, f"A{component}", START + timedelta(hours=run), component + run)
        for component in range(components)
        for run in range(runs)
    ]
    with store.write() as conn:
        pipeline_store.insert_pipeline(conn, row)
        body = DEFINITION.encode(read_definition(_definition(components)))
        pipeline_store.save_definition(conn, key, 1, body, START)
        pipeline_store.update_pipeline(conn, key, active_version=1, first_activated_at=START)
        conn.execute(instances.insert(), [one.columns() for one in made])
        conn.execute(attempts.insert(), [_attempt(one).columns() for one in made])


def _definition(components: int) -> str:
    log = '"pipelineLogUri": "s3://logs/p10"'
    objects = [f'{{"id": "Default", "scheduleType": "ondemand", "workerGroup": "nobody", {log}}}']
    for number in range(components):
        after = f', "dependsOn": {{"ref": "A{number - 1}"}}' if number % 10 else ""
        objects.append(
            f'{{"id": "A{number}", "type": "ShellCommandActivity", "command": "true"{after}}}'
        )
    return f'{{"objects": [{", ".join(objects)}]}}'


def _instance(key: str, component: str, start: datetime, number: int) -> InstanceRow:
    status = InstanceStatus.FAILED if number % 97 == 96 else InstanceStatus.FINISHED
    return InstanceRow(
        pipeline_id=key,
        instance_id=instance_id(component, start),
        component_id=component,
        name=component,
        type="ShellCommandActivity",
        category="activity",
        version=1,
        status=status,
        scheduled_start=start,
        scheduled_end=start,
        not_before=start,
        created_at=start,
        actual_start=start,
        actual_end=start + timedelta(minutes=1 + number % 7),
        worker_group="nobody",
        attempt_count=1,
    )


def _attempt(of: InstanceRow) -> AttemptRow:
    return AttemptRow(
        pipeline_id=of.pipeline_id,
        attempt_id=attempt_id(of.instance_id, 1),
        instance_id=of.instance_id,
        number=1,
        status=AttemptStatus(of.status),
        worker_group="nobody",
        queue="DONE",
        ready_at=of.scheduled_start,
        lease_s=300,
        created_at=of.scheduled_start,
        started_at=of.actual_start,
        ended_at=of.actual_end,
        hostname="host-a",
    )


def write_log(root: Path) -> None:
    """The log of an attempt of the wide pipeline."""
    of = instance_id(WORK, START)
    folder = folder_of(str(root / "logs/p10"), WIDE, WORK, of, attempt_id(of, 1))
    Path(folder).mkdir(parents=True)
    lines = (f"2026-02-01 00:00:{n % 60:02} INFO row {n * 7919} was copied\n" for n in range(4000))
    text = "".join(lines).encode()[:LOG_BLOCK]
    shrunk = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = shrunk.compress(text) + shrunk.flush(zlib.Z_SYNC_FLUSH)
    blocks = LOG_SIZE // LOG_BLOCK
    size = blocks * LOG_BLOCK & 0xFFFFFFFF
    with (Path(folder) / whole_name("StdOutput")).open("wb") as out:
        out.write(gzip.compress(b"")[:10])
        out.write(block * REAL)
        out.seek((blocks - 2 * REAL) * len(block), 1)
        out.write(block * REAL)
        out.write(b"\x03\x00" + struct.pack("<II", 0, size))
