"""An EMR of one's own: clusters that are made, listed and ended, and that really run their steps.

with EmrInProcess(s3_root=tmp_path / "s3") as emr:
    cluster = emr.add_cluster(log_uri="s3://logs/emr/")
    os.environ["AWS_ENDPOINT_URL_EMR"] = emr.url

A cluster runs its steps one after the other, each in a process of its own, by the engine `local`;
`s3://` is the folder. It knows what moto does not: releases and roles that are not there, clusters
that take their time or fail to start, spot interruptions, throttling, and answers that are lost. No
machine is made.
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
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from taskrunner.testing.aws_query import AwsError, Query, server
from taskrunner.testing.emr_clusters import GONE, FakeAccount, FakeCluster, FakeStep

#: Seconds after which a test has waited in vain.
_PATIENCE_S = 60.0
_TARGET = "ElasticMapReduce."
_WAITING = {"PENDING", "RUNNING"}
_WORKING = {"RUNNING", "WAITING"}
_PAGE = 3


class EmrInProcess:
    """The server, in threads of the test's process."""

    def __init__(
        self,
        *,
        s3_root: Path,
        called: Callable[[str, str], None] = lambda _operation, _when: None,
    ) -> None:
        """`called` is told of each call, `before` it does anything and `after`."""
        self._s3_root, self._called = s3_root, called
        # A step that is killed cannot clear away what it has written.
        self._temporary = tempfile.TemporaryDirectory(prefix="taskrunner-emr-")
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._threads: list[threading.Thread] = []
        self._closed = False
        self._count = 0
        self.reset()
        self._server = server(_no_query, self._answer_to)

    def reset(self) -> None:
        """Be as at the start: nothing was made, and nothing is wrong."""
        self._throttled = 0
        self._lost: dict[str, int] = {}
        self._faults: dict[str, list[AwsError]] = {}
        #: The clusters by id.
        self.clusters: dict[str, FakeCluster] = {}
        #: The operations that were called, refused ones included.
        self.calls: list[str] = []
        self.account = FakeAccount()
        #: Whether new clusters are set up at once, and what the next one fails to start of.
        self.at_once = True
        self.stillborn: list[tuple[str, str]] = []
        #: In how many lists each new cluster does not show up yet.
        self.lag = 0
        self._unlisted: dict[str, int] = {}

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
        return cluster.id

    @property
    def running(self) -> list[FakeCluster]:
        """The clusters that cost something, oldest first."""
        with self._lock:
            return [cluster for cluster in self.clusters.values() if cluster.runs]

    @property
    def ever(self) -> list[FakeCluster]:
        """All that were ever made."""
        with self._lock:
            return list(self.clusters.values())

    def fail(self, operation: str, code: str, message: str = "no", *, times: int = 1) -> None:
        """Answer the next calls of an operation with an error, and do nothing."""
        with self._lock:
            faults = self._faults.setdefault(operation, [])
            faults += [AwsError(code, message)] * times

    def set_up(self, cluster_id: str, state: str = "WAITING") -> None:
        """Let a cluster that takes its time come to a state."""
        with self._changed:
            self.clusters[cluster_id].state = state
            self._changed.notify_all()

    def interrupt(self, cluster_id: str) -> None:
        """Take the spot instance of a cluster's master node back."""
        self.kill(cluster_id, "The master node was terminated: spot interruption")

    def throttle(self, calls: int) -> None:
        """Refuse the next calls as too many."""
        self._throttled = calls

    def lose_answers(self, operation: str, calls: int = 1) -> None:
        """Carry out the next calls of an operation, and answer that the server failed."""
        self._lost[operation] = calls

    def kill(
        self,
        cluster_id: str,
        reason: str = "On the master instance, a disk failed",
        code: str = "INSTANCE_FAILURE",
    ) -> None:
        """Let a cluster die, with what runs on it."""
        with self._changed:
            cluster = self.clusters[cluster_id]
            cluster.state, cluster.code = "TERMINATED_WITH_ERRORS", code
            cluster.reason = reason
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

    def _answer_to(self, target: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        operation = target.removeprefix(_TARGET)
        self._called(operation, "before")
        try:
            return self._answer(operation, request)
        finally:
            self._called(operation, "after")

    def _answer(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        with self._changed:
            self.calls.append(operation)
            if self._faults.get(operation):
                raise self._faults[operation].pop(0)
            if self._throttled:
                self._throttled -= 1
                raise AwsError("ThrottlingException", "Rate exceeded")
            carry_out = _OPERATIONS.get(operation)
            if carry_out is None:
                raise AwsError("UnknownOperationException", f"{operation} is not known here")
            reply = carry_out(self, request)
            self._changed.notify_all()
            if self._lost.get(operation, 0):
                self._lost[operation] -= 1
                raise AwsError("InternalServerException", "It went wrong", status=500)
            return reply

    def _cluster(self, request: Mapping[str, Any], key: str = "ClusterId") -> FakeCluster:
        found = self.clusters.get(str(request.get(key)))
        if found is None:
            message = f"Cluster id '{request.get(key)}' is not valid."
            raise AwsError("InvalidRequestException", message)
        return found

    def _add(self, request: Mapping[str, Any]) -> dict[str, Any]:
        cluster = self._cluster(request, "JobFlowId")
        if cluster.state in GONE:
            raise AwsError("ValidationException", "A job flow that is shut down takes no steps.")
        added = [
            FakeStep(id=self._next("s"), name=step["Name"], jar=step["HadoopJarStep"])
            for step in request["Steps"]
        ]
        cluster.steps += added
        if not cluster.works:
            cluster.works = True
            self._start(self._work, cluster)
        return {"StepIds": [step.id for step in added]}

    def _describe_step(self, request: Mapping[str, Any]) -> dict[str, Any]:
        return {"Step": self._cluster(request).find(request["StepId"]).described()}

    def _describe_cluster(self, request: Mapping[str, Any]) -> dict[str, Any]:
        return {"Cluster": self._cluster(request).described()}

    def _list_groups(self, request: Mapping[str, Any]) -> dict[str, Any]:
        return {"InstanceGroups": self._cluster(request).groups()}

    def _resize(self, request: Mapping[str, Any]) -> dict[str, Any]:
        for group in request["InstanceGroups"]:
            self._cluster(request).resize(group["InstanceGroupId"], group["InstanceCount"])
        return {}

    def _run(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self.account.check(request, len(self.running))
        cluster = FakeCluster(
            id=self._next("j"),
            name=request["Name"],
            log_uri=request.get("LogUri"),
            state="WAITING" if self.at_once else "STARTING",
            request=request,
            created_at=time.time(),  # noqa: TID251  what EMR's own clock says
        )
        if (missing := self._missing_script(request)) and not self.stillborn:
            why = f"On the master instance (i-1), bootstrap action {missing} could not be found"
            self.stillborn.append(("BOOTSTRAP_FAILURE", why))
        if self.stillborn:
            cluster.state = "TERMINATED_WITH_ERRORS"
            cluster.code, cluster.reason = self.stillborn.pop(0)
        self.clusters[cluster.id] = cluster
        self._unlisted[cluster.id] = self.lag
        return {"JobFlowId": cluster.id}

    def _missing_script(self, request: Mapping[str, Any]) -> str | None:
        """The first bootstrap action's script that is on S3 and is not there."""
        paths = (a["ScriptBootstrapAction"]["Path"] for a in request.get("BootstrapActions", ()))
        ours = (path for path in paths if "elasticmapreduce" not in path)
        files = ((path, self._s3_root / path.partition("://")[2]) for path in ours)
        return next((path for path, file in files if not file.is_file()), None)

    def _terminate(self, request: Mapping[str, Any]) -> dict[str, Any]:
        for cluster_id in request["JobFlowIds"]:
            if cluster_id not in self.clusters:
                raise AwsError("ValidationException", "Specified job flow ID does not exist.")
            cluster = self.clusters[cluster_id]
            if cluster.runs:
                cluster.state, cluster.code = "TERMINATING", "USER_REQUEST"
                cluster.reason = "Terminated by user request"
                self._end(cluster)
        return {}

    def _list_clusters(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """A few a page, so that a client has to ask for more."""
        states, since = request.get("ClusterStates"), request.get("CreatedAfter", 0)
        begin = int(request.get("Marker", 0))
        if not begin:
            self._unlisted = {key: left - 1 for key, left in self._unlisted.items()}
        chosen = [
            cluster.described()
            for cluster in self.clusters.values()
            if (not states or cluster.state in states)
            and cluster.created_at >= since
            and self._unlisted.get(cluster.id, -1) < 0
        ]
        page = {"Clusters": chosen[begin : begin + _PAGE]}
        more = chosen[begin + _PAGE :]
        return {**page, **({"Marker": str(begin + _PAGE)} if more else {})}

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
            if cluster.state not in _WORKING:
                return None
            return next((step for step in cluster.steps if step.state == "PENDING"), None)

        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or cluster.state in GONE or first() is not None
            )
            step = None if self._closed or cluster.state in GONE else first()
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
    "ListClusters": EmrInProcess._list_clusters,
    "ListInstanceGroups": EmrInProcess._list_groups,
    "ListSteps": EmrInProcess._list,
    "ModifyInstanceGroups": EmrInProcess._resize,
    "RunJobFlow": EmrInProcess._run,
    "TerminateJobFlows": EmrInProcess._terminate,
}


def _no_query(action: str, _query: Query) -> Mapping[str, Any]:
    raise AwsError("InvalidAction", f"EMR speaks JSON; {action} came in another way")


def _end_process(process: subprocess.Popen[bytes] | None) -> None:
    if process is not None and process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
