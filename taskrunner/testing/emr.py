"""An EMR of one's own: the API's operations for steps, on clusters that really run them.

with EmrInProcess(s3_root=tmp_path / "s3") as emr:
    cluster = emr.add_cluster(log_uri="s3://logs/emr/")
    os.environ["AWS_ENDPOINT_URL_EMR"] = emr.url

A cluster runs its steps one after the other, each in a process of its own, by the engine `local`;
`s3://` is the folder. It throttles, loses answers and lets clusters die when it is told to. No
machine is made: RunJobFlow and the like are unknown operations.
"""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

#: Seconds after which a test has waited in vain.
_PATIENCE_S = 60.0
_TARGET = "ElasticMapReduce."
_GONE = {"TERMINATED", "TERMINATED_WITH_ERRORS"}
_WAITING = {"PENDING", "RUNNING"}


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.status = code, status


@dataclass(slots=True, kw_only=True, eq=False)
class FakeStep:
    """A step of a cluster."""

    id: str
    name: str
    jar: Mapping[str, Any]
    state: str = "PENDING"
    reason: str = ""
    log_file: str | None = None
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def described(self) -> dict[str, Any]:
        """As DescribeStep and ListSteps tell of it."""
        status: dict[str, Any] = {"State": self.state, "StateChangeReason": {}}
        if self.state == "FAILED":
            details = {"Reason": "Unknown Error.", "Message": self.reason, "LogFile": self.log_file}
            status["FailureDetails"] = {key: text for key, text in details.items() if text}
        config = {"Jar": self.jar.get("Jar"), "Args": self.jar.get("Args", [])}
        return {"Id": self.id, "Name": self.name, "Config": config, "Status": status}


@dataclass(slots=True, kw_only=True, eq=False)
class FakeCluster:
    """A cluster, which runs one step at a time."""

    id: str
    log_uri: str | None
    state: str = "WAITING"
    reason: str = ""
    steps: list[FakeStep] = field(default_factory=list)

    def find(self, step_id: str) -> FakeStep:
        """A step by its id; raises Refused."""
        for step in self.steps:
            if step.id == step_id:
                return step
        raise Refused("InvalidRequestException", f"Step id '{step_id}' is not valid.")


class EmrInProcess:
    """The server, in threads of the test's process."""

    def __init__(self, *, s3_root: Path) -> None:
        self._s3_root = s3_root
        # A step that is killed cannot clear away what it has written.
        self._temporary = tempfile.TemporaryDirectory(prefix="taskrunner-emr-")
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._threads: list[threading.Thread] = []
        self._closed = False
        self._count = 0
        self._throttled = 0
        self._lost: dict[str, int] = {}
        #: The clusters by id.
        self.clusters: dict[str, FakeCluster] = {}
        #: The operations that were called, refused ones included.
        self.calls: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self._answer))
        self._server.daemon_threads = True

    def __enter__(self) -> Self:
        self._start(self._server.serve_forever)
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._closed = True
            for cluster in self.clusters.values():
                self._end(cluster)
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()
        for thread in self._threads:
            thread.join()
        self._temporary.cleanup()

    @property
    def url(self) -> str:
        """The endpoint."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def add_cluster(self, *, log_uri: str | None = None) -> str:
        """A cluster that waits for steps; returns its id."""
        with self._lock:
            cluster = FakeCluster(id=self._next("j"), log_uri=log_uri)
            self.clusters[cluster.id] = cluster
        self._start(self._work, cluster)
        return cluster.id

    def throttle(self, calls: int) -> None:
        """Refuse the next calls as too many."""
        self._throttled = calls

    def lose_answers(self, operation: str, calls: int = 1) -> None:
        """Carry out the next calls of an operation, and answer that the server failed."""
        self._lost[operation] = calls

    def kill(self, cluster_id: str, reason: str = "On the master instance, a disk failed") -> None:
        """Let a cluster die, with what runs on it."""
        with self._changed:
            cluster = self.clusters[cluster_id]
            cluster.state, cluster.reason = "TERMINATED_WITH_ERRORS", reason
            self._end(cluster)
            self._changed.notify_all()

    def wait_for(self, cluster_id: str, *states: str) -> FakeStep:
        """Wait until the newest step of a cluster is in one of these states."""
        cluster = self.clusters[cluster_id]
        with self._changed:
            there = self._changed.wait_for(
                lambda: cluster.steps and cluster.steps[-1].state in states, _PATIENCE_S
            )
            if not there:
                raise AssertionError(f"no newest step became {' or '.join(states)}: {cluster}")
            return cluster.steps[-1]

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True, name="emr")
        self._threads.append(thread)
        thread.start()

    def _next(self, letter: str) -> str:
        self._count += 1
        return f"{letter}-{self._count:013d}"

    def _answer(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        with self._changed:
            self.calls.append(operation)
            if self._throttled:
                self._throttled -= 1
                raise Refused("ThrottlingException", "Rate exceeded")
            carry_out = _OPERATIONS.get(operation)
            if carry_out is None:
                raise Refused("UnknownOperationException", f"{operation} is not known here")
            reply = carry_out(self, request)
            self._changed.notify_all()
            if self._lost.get(operation, 0):
                self._lost[operation] -= 1
                raise Refused("InternalServerException", "It went wrong", status=500)
            return reply

    def _cluster(self, request: Mapping[str, Any], key: str = "ClusterId") -> FakeCluster:
        found = self.clusters.get(str(request.get(key)))
        if found is None:
            message = f"Cluster id '{request.get(key)}' is not valid."
            raise Refused("InvalidRequestException", message)
        return found

    def _add(self, request: Mapping[str, Any]) -> dict[str, Any]:
        cluster = self._cluster(request, "JobFlowId")
        if cluster.state in _GONE:
            raise Refused("ValidationException", "A job flow that is shut down takes no steps.")
        added = [
            FakeStep(id=self._next("s"), name=step["Name"], jar=step["HadoopJarStep"])
            for step in request["Steps"]
        ]
        cluster.steps += added
        return {"StepIds": [step.id for step in added]}

    def _describe_step(self, request: Mapping[str, Any]) -> dict[str, Any]:
        return {"Step": self._cluster(request).find(request["StepId"]).described()}

    def _describe_cluster(self, request: Mapping[str, Any]) -> dict[str, Any]:
        cluster = self._cluster(request)
        reason = {"Code": "INSTANCE_FAILURE", "Message": cluster.reason} if cluster.reason else {}
        status = {"State": cluster.state, "StateChangeReason": reason}
        found: dict[str, Any] = {"Id": cluster.id, "Name": cluster.id, "Status": status}
        return {"Cluster": {**found, **({"LogUri": cluster.log_uri} if cluster.log_uri else {})}}

    def _list(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The newest first, two a page, so that a client has to ask for more."""
        states = request.get("StepStates")
        found = reversed(self._cluster(request).steps)
        chosen = [step.described() for step in found if not states or step.state in states]
        begin = int(request.get("Marker", 0))
        page = {"Steps": chosen[begin : begin + 2]}
        return {**page, **({"Marker": str(begin + 2)} if chosen[begin + 2 :] else {})}

    def _cancel(self, request: Mapping[str, Any]) -> dict[str, Any]:
        cluster, told = self._cluster(request), []
        for step_id in request["StepIds"]:
            step = cluster.find(step_id)
            taken = step.state in _WAITING
            if taken:
                step.state = "CANCELLED"
                _end_process(step.process)
            told.append({"StepId": step_id, "Status": "SUBMITTED" if taken else "FAILED"})
        return {"CancelStepsInfoList": told}

    def _work(self, cluster: FakeCluster) -> None:
        """Run the cluster's steps until it is gone."""
        while (step := self._next_step(cluster)) is not None:
            out, err = step.process.communicate() if step.process else (b"", b"")
            self._keep_logs(cluster, step, {"stdout": out, "stderr": err})
            with self._changed:
                if step.state == "RUNNING":
                    failed = step.process is None or step.process.returncode != 0
                    step.state = "FAILED" if failed else "COMPLETED"
                    step.reason = err.decode("utf-8", "replace").strip().rpartition("\n")[2]
                self._changed.notify_all()

    def _next_step(self, cluster: FakeCluster) -> FakeStep | None:
        def first() -> FakeStep | None:
            return next((step for step in cluster.steps if step.state == "PENDING"), None)

        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or cluster.state in _GONE or first() is not None
            )
            step = None if self._closed or cluster.state in _GONE else first()
            if step is not None:
                step.state, step.process = "RUNNING", self._launched(step)
                self._changed.notify_all()
            return step

    def _launched(self, step: FakeStep) -> subprocess.Popen[bytes]:
        told = {"step": step.jar, "s3_root": str(self._s3_root)}
        return subprocess.Popen(  # noqa: S603  our own module
            [sys.executable, "-m", "taskrunner.testing.emr_step", json.dumps(told)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, "TMPDIR": self._temporary.name},
        )

    def _keep_logs(self, cluster: FakeCluster, step: FakeStep, logs: Mapping[str, bytes]) -> None:
        if cluster.log_uri is None:
            return
        uri = f"{cluster.log_uri.rstrip('/')}/{cluster.id}/steps/{step.id}"
        folder = self._s3_root / uri.removeprefix("s3://")
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in logs.items():
            (folder / f"{name}.gz").write_bytes(gzip.compress(text))
        step.log_file = f"{uri}/stderr.gz"

    def _end(self, cluster: FakeCluster) -> None:
        for step in cluster.steps:
            if step.state in _WAITING:
                step.state = "INTERRUPTED" if step.state == "RUNNING" else "CANCELLED"
            _end_process(step.process)


_OPERATIONS: Mapping[str, Callable[[EmrInProcess, Mapping[str, Any]], dict[str, Any]]] = {
    "AddJobFlowSteps": EmrInProcess._add,
    "CancelSteps": EmrInProcess._cancel,
    "DescribeCluster": EmrInProcess._describe_cluster,
    "DescribeStep": EmrInProcess._describe_step,
    "ListSteps": EmrInProcess._list,
}


def _end_process(process: subprocess.Popen[bytes] | None) -> None:
    if process is not None and process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _handler(
    answer: Callable[[str, Mapping[str, Any]], dict[str, Any]],
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """One call."""

        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            """Answer as EMR does, in JSON 1.1."""
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            operation = self.headers.get("X-Amz-Target", "").removeprefix(_TARGET)
            status = 200
            try:
                reply = answer(operation, json.loads(body or b"{}"))
            except Refused as error:
                status, reply = error.status, {"__type": error.code, "message": str(error)}
            data = json.dumps(reply).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler
