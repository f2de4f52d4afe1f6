"""What every measurement needs: the real programs as processes, and where their time goes."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import psutil
import psycopg

__all__ = [
    "Agent",
    "Figure",
    "Service",
    "agent",
    "cpu_s",
    "percentile",
    "program",
    "service",
    "sink",
    "store_key",
    "tree",
    "until",
]

MEGABYTE = 1_000_000
_PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the result."""

    id: str
    what: str
    measured: str
    #: As docs and RESULTS.md state it; empty when this line only explains another.
    goal: str = ""
    #: None: there is nothing to meet.
    met: bool | None = None

    def __str__(self) -> str:
        verdict = {None: "", True: " [met]", False: " [NOT MET]"}[self.met]
        goal = f"; goal {self.goal}" if self.goal else ""
        return f"{self.id}: {self.what}: {self.measured}{goal}{verdict}"


def percentile(values: Sequence[float], percent: float) -> float:
    """The value below which so many percent are, as the nearest one that was measured."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def until(what: str, holds: Callable[[], Any], patience_s: float = _PATIENCE_S) -> Any:
    """Wait for a condition; returns its value, raises TimeoutError."""
    end = time.monotonic() + patience_s
    while not (found := holds()):
        if time.monotonic() > end:
            raise TimeoutError(f"not within {patience_s:.0f} s: {what}")
        time.sleep(0.02)
    return found


def program(name: str) -> str:
    """The path of a program of this virtual environment."""
    return str(Path(sys.executable).with_name(name))


def clean_environment(home: Path) -> dict[str, str]:
    """No settings of whoever runs this, and credentials that no AWS knows."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "example-secret-key",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@contextmanager
def running(
    command: Sequence[str],
    *,
    home: Path,
    log: Path,
    stop: signal.Signals = signal.SIGTERM,
    environ: dict[str, str] | None = None,
) -> Iterator[psutil.Popen]:
    """A process that ends with the block."""
    with log.open("ab") as output:
        process = psutil.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environ or clean_environment(home),
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(stop)
        try:
            process.wait(_PATIENCE_S)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def folder() -> Iterator[Path]:
    """A folder for one measurement; on a disk, where fsync means something."""
    with tempfile.TemporaryDirectory(prefix="taskrunner-bench-", dir=_disk()) as name:
        yield Path(name)


def _disk() -> str:
    # /tmp may be in memory, and a journal there would be synced for nothing.
    memory = {p.mountpoint for p in psutil.disk_partitions(all=True) if p.fstype == "tmpfs"}
    given = tempfile.gettempdir()
    return "/var/tmp" if given in memory else given


@dataclass(frozen=True, slots=True)
class SinkProcess:
    """The S3 stand-in under measurement."""

    url: str
    process: psutil.Process


@contextmanager
def sink(home: Path, served: Path | None = None) -> Iterator[SinkProcess]:
    """The S3 stand-in as a process; what lies in `served`, as bucket/key, can be read from it."""
    script = Path(__file__).with_name("s3_sink.py")
    log = home / "sink.log"
    command = [sys.executable, str(script), *([str(served)] if served else [])]
    with running(command, home=home, log=log) as process:
        port = until("the sink listens", lambda: log.read_text().strip())
        yield SinkProcess(f"http://127.0.0.1:{port}", process)


class Service:
    """`taskrunner serve`, asked over HTTP and looked at through its database."""

    def __init__(self, address: str, database: Path | str, process: psutil.Process) -> None:
        self.url = f"http://{address}"
        self.process = process
        #: SQLite's file, or PostgreSQL's URL.
        self._database = database

    def call(self, operation: str, **members: Any) -> Any:
        """One call of the API, unsigned."""
        headers = {
            "content-type": "application/x-amz-json-1.1",
            "x-amz-target": f"DataPipeline.{operation}",
        }
        request = Request(self.url, json.dumps(members).encode(), headers)
        with urlopen(request, timeout=_PATIENCE_S) as reply:
            return json.loads(reply.read() or b"{}")

    def pipeline(self, name: str, group: str, commands: Sequence[str]) -> str:
        """A pipeline on demand with an activity for each command; not yet active."""
        pipeline: str = self.call("CreatePipeline", name=name, uniqueId=name)["pipelineId"]
        default = {"scheduleType": "ondemand", "workerGroup": group}
        objects = [_object("Default", default)]
        for number, command in enumerate(commands):
            fields = {"type": "ShellCommandActivity", "command": command}
            objects.append(_object(f"Work{number}", fields))
        reply = self.call("PutPipelineDefinition", pipelineId=pipeline, pipelineObjects=objects)
        if reply["errored"]:
            raise ValueError(reply)
        return pipeline

    def activate(self, pipeline: str) -> None:
        self.call("ActivatePipeline", pipelineId=pipeline)

    def finished(self) -> int:
        """How many attempts are done."""
        query = "SELECT count(*) FROM attempts WHERE status = 'FINISHED'"
        return int(self._select(query)[0][0])

    def ready(self) -> int:
        """How many attempts wait for a runner to ask for them."""
        return int(self._select("SELECT count(*) FROM attempts WHERE queue = 'READY'")[0][0])

    def ready_at(self) -> dict[str, float]:
        """Pipeline -> when its (only) attempt was made, ready at once, in seconds since 1970."""
        rows = self._select("SELECT pipeline_id, created_at FROM attempts")
        return {pipeline: _seconds(moment) for pipeline, moment in rows}

    def took_s(self, pipeline: str) -> float:
        """How long the pipeline's (last) attempt took, from its start to its verdict."""
        query = "SELECT started_at, ended_at FROM attempts WHERE pipeline_id = ?"
        began, ended = self._select(query, pipeline)[-1]
        return _seconds(ended) - _seconds(began)

    def _select(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        if isinstance(self._database, str):
            with psycopg.connect(self._database) as server:
                return server.execute(query.replace("?", "%s").encode(), values).fetchall()
        uri = f"file:{self._database}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=_PATIENCE_S)) as connection:
            return connection.execute(query, values).fetchall()


def _seconds(found: str | datetime) -> float:
    if isinstance(found, datetime):
        return found.timestamp()
    return datetime.fromisoformat(found).replace(tzinfo=UTC).timestamp()


def _object(id_: str, fields: dict[str, str]) -> dict[str, Any]:
    items = [{"key": key, "stringValue": value} for key, value in fields.items()]
    return {"id": id_, "name": id_, "fields": items}


@contextmanager
def service(home: Path, *options: str, postgresql: str | None = None) -> Iterator[Service]:
    """The real service as a process of its own.

    On SQLite with synchronous=FULL, or on a database of PostgreSQL that this URL names.
    """
    address = f"127.0.0.1:{free_port()}"
    database: Path | str = postgresql or home / "service.db"
    command = [
        *(program("taskrunner"), "serve", "--listen", address, "--no-auth"),
        *("--log-level", "warning", "--database-url", postgresql or f"sqlite:///{database}"),
        *options,
    ]
    if postgresql is not None:
        command += ["--store-key-file", str(store_key(home))]
    with running(command, home=home, log=home / "service.log") as process:
        until("the service listens", lambda: _listens(address))
        yield Service(address, database, process)


def store_key(home: Path) -> Path:
    """The file of the key of a store on PostgreSQL."""
    path = home / "store-key"
    path.write_bytes(base64.b64encode(bytes(32)))
    path.chmod(0o600)
    return path


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(address: str) -> bool:
    host, port = address.split(":")
    with suppress(OSError), closing(socket.create_connection((host, int(port)), 1)):
        return True
    return False


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent under measurement."""

    process: psutil.Process
    log: Path

    @property
    def fork_server(self) -> psutil.Process:
        return self.process.children()[0]


def agent_command(home: Path, endpoint: str, *options: str) -> list[str]:
    """The agent's command line, for the worker group `bench`."""
    return [
        *(program("taskrunner"), "--worker-group", "bench", "--endpoint", endpoint),
        *("--work-dir", str(home / "work"), "--allow-root", "true", *options),
    ]


@contextmanager
def agent(home: Path, endpoint: str, *options: str) -> Iterator[Agent]:
    """A real agent, drained at the end."""
    log = home / "agent.log"
    command = agent_command(home, endpoint, *options)
    with running(command, home=home, log=log, stop=signal.SIGQUIT) as process:
        until("the agent started", (home / "work" / "control.sock").exists)
        yield Agent(process, log)


def tree(process: psutil.Process) -> list[psutil.Process]:
    """A process and all below it."""
    return [process, *process.children(recursive=True)]


def cpu_s(process: psutil.Process) -> float:
    """CPU time of a process and of those of its children that have ended."""
    times = process.cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)
