"""P5: a task that writes 1 GB, its log shipped, beside `gzip -1 | aws s3 cp -` into the same S3.

Ours is counted from the start of the attempt to its verdict, which comes when the log is safe: the
command that writes, the log on disk and everything of the agent are in it. The peer reads what
the command would write from the page cache.
"""

from __future__ import annotations

import random
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from bench import harness
from bench.harness import MEGABYTE, Agent, Figure, Service, SinkProcess

SIZE = 1_000_000_000
ROUNDS = 3
RATIO, MEMORY_MB = 1.2, 100.0
_BLOCK = 20_000_000


def measure(size: int = SIZE, rounds: int = ROUNDS) -> Iterator[Figure]:
    ours: list[float] = []
    peer: list[float] = []
    peaks: list[float] = []
    with harness.folder() as home, harness.sink(home) as sink, harness.service(home) as service:
        source = home / "output"
        write_log(source, size)
        # A bare `cat` would be all kernel; this is as fast as a program can be.
        commands = [f"cat {source}"]
        pipelines = [service.pipeline(f"p5-{n}", "bench", commands) for n in range(rounds)]
        options = ("--s3-endpoint", sink.url, "--log-uri", "s3://logs/bench/")
        with harness.agent(home, service.url, *options, "--max-log-size", "10G") as agent:
            for pipeline in pipelines:
                ours.append(ship(service, pipeline, peaks, agent))
                peer.append(pipe(source, sink, home))
    ratio = statistics.median(a / b for a, b in zip(ours, peer, strict=True))
    yield Figure(
        id="P5",
        what=f"a task's output of {size / 1e9:g} GB, shipped ({rounds} rounds in turns)",
        measured=f"median {statistics.median(ours):.1f} s, {ratio:.2f} x gzip -1 | aws s3 cp -"
        f" ({statistics.median(peer):.1f} s)",
        goal=f"<= {RATIO} x",
        met=ratio <= RATIO,
    )
    yield Figure(
        id="P5",
        what="memory meanwhile: agent, fork server and what ships, shared pages once (PSS)",
        measured=f"at most {max(peaks):.1f} MB",
        goal=f"< {MEMORY_MB:.0f} MB",
        met=max(peaks) < MEMORY_MB,
    )


def write_log(path: Path, size: int) -> None:
    """Lines as a program logs them, which gzip makes about six times smaller."""
    fixed = random.Random(1)
    lines: list[str] = []
    written = 0
    while written < min(size, _BLOCK):
        line = (
            f"2026-02-13 02:{len(lines) // 600 % 60:02d}:{len(lines) // 10 % 60:02d} INFO "
            f"worker-{fixed.randrange(16)} order {fixed.randrange(10**9)} of customer "
            f"{fixed.randrange(10**6)} written in {fixed.random():.6f} s\n"
        )
        lines.append(line)
        written += len(line)
    block = "".join(lines).encode()
    with path.open("wb") as file:
        while (left := size - file.tell()) > 0:
            file.write(block[:left])


def ship(service: Service, pipeline: str, peaks: list[float], agent: Agent) -> float:
    """Seconds from the attempt's start to its verdict; the most memory is added to `peaks`."""
    before = service.finished()
    done = threading.Event()
    watch = threading.Thread(target=_watch, args=(agent, peaks, done))
    watch.start()
    service.activate(pipeline)
    try:
        harness.until("the task is done", lambda: service.finished() > before, 180)
    finally:
        done.set()
        watch.join()
    return service.took_s(pipeline)


def pipe(source: Path, sink: SinkProcess, home: Path) -> float:
    aws = f"{harness.program('aws')} s3 cp - s3://logs/peer.gz --endpoint-url {sink.url}"
    begin = time.perf_counter()
    subprocess.run(
        ["/bin/bash", "-o", "pipefail", "-c", f"cat {source} | gzip -1 | {aws}"],
        env=harness.clean_environment(home),
        check=True,
    )
    return time.perf_counter() - begin


def _watch(agent: Agent, peaks: list[float], done: threading.Event) -> None:
    while not done.wait(0.1):
        held = 0
        for process in (agent.process, agent.fork_server, *_shippers(agent)):
            with suppress(psutil.Error):
                held += process.memory_full_info().pss
        peaks.append(held / MEGABYTE)


def _shippers(agent: Agent) -> list[psutil.Process]:
    """The children that run no command: a task's own process has one."""
    found = []
    for process in agent.fork_server.children():
        with suppress(psutil.Error):
            if not process.children():
                found.append(process)
    return found
