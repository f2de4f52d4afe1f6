"""EMR's API as far as steps need it, with second tries that never add a step twice."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from taskrunner.clock import Clock, SystemClock
from taskrunner.data.settings import DataSettings
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError

#: Where a node of a cluster says which cluster it belongs to.
JOB_FLOW = Path("/emr/instance-controller/lib/info/job-flow.json")
_ALIVE = {"STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING"}
_ACTIVE = ("PENDING", "RUNNING", "CANCEL_PENDING")
#: Groups of nodes that may have more of them: there is one master.
_GROWING = {"CORE", "TASK"}
_OVER = {"COMPLETED", "CANCELLED", "FAILED", "INTERRUPTED"}
#: Seconds before a call is tried again: the first, and the longest; and how often it is.
_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 30.0
TRIES = 10
_THROTTLED = {
    "ThrottlingException",
    "Throttling",
    "TooManyRequestsException",
    "RequestLimitExceeded",
}
_DENIED = {"AccessDeniedException", "AccessDenied", "UnrecognizedClientException"}

_T = TypeVar("_T")


class EmrApi(Protocol):
    """What of botocore's client is used."""

    def add_job_flow_steps(self, **arguments: Any) -> dict[str, Any]: ...  # noqa: D102
    def describe_step(self, **arguments: Any) -> dict[str, Any]: ...  # noqa: D102
    def describe_cluster(self, **arguments: Any) -> dict[str, Any]: ...  # noqa: D102
    def list_steps(self, **arguments: Any) -> dict[str, Any]: ...  # noqa: D102
    def cancel_steps(self, **arguments: Any) -> dict[str, Any]: ...  # noqa: D102
    def list_instance_groups(self, **arguments: Any) -> dict[str, Any]: ...  # noqa: D102
    def modify_instance_groups(self, **arguments: Any) -> dict[str, Any]: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class NewStep:
    """A step to be added; no other has its name."""

    name: str
    jar: str
    main_class: str | None
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepState:
    """What EMR says of a step."""

    id: str
    step_name: str
    name: str
    reason: str = ""
    log_file: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether it will not change any more."""
        return self.name in _OVER

    @classmethod
    def of(cls, reply: dict[str, Any]) -> StepState:
        """Read EMR's description."""
        status = reply.get("Status", {})
        details = status.get("FailureDetails", {})
        change = status.get("StateChangeReason", {})
        told = [details.get("Reason"), details.get("Message"), change.get("Message")]
        return cls(
            id=str(reply.get("Id", "")),
            step_name=str(reply.get("Name", "")),
            name=str(status.get("State", "")),
            reason=", ".join(dict.fromkeys(text for text in told if text)),
            log_file=details.get("LogFile"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodes:
    """What EMR says of a group of nodes."""

    id: str
    #: CORE or TASK.
    kind: str
    state: str
    requested: int
    running: int

    @classmethod
    def of(cls, reply: dict[str, Any]) -> Nodes:
        """Read EMR's description."""
        return cls(
            id=str(reply.get("Id", "")),
            kind=str(reply.get("InstanceGroupType", "")),
            state=str(reply.get("Status", {}).get("State", "")),
            requested=int(reply.get("RequestedInstanceCount", 0)),
            running=int(reply.get("RunningInstanceCount", 0)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """What EMR says of the cluster."""

    id: str
    state: str
    reason: str = ""
    log_uri: str | None = None
    #: Whether it is of a release; of the images before that, logs lie elsewhere.
    has_release: bool = True

    @property
    def is_alive(self) -> bool:
        """Whether it takes steps, now or soon."""
        return self.state in _ALIVE

    @property
    def end(self) -> str:
        """How it ended, as the beginning of a sentence."""
        reason = f" ({self.reason})" if self.reason else ""
        return f"the EMR cluster {self.id} is {self.state}{reason}"

    def check_alive(self) -> None:
        """Raise TaskError for a cluster that takes no steps."""
        if not self.is_alive:
            raise TaskError(f"{self.end}: it takes no steps", error_id=ErrorId.RESOURCE_FAILED)

    def log_of(self, step_id: str) -> str | None:
        """The folder of a step's logs; None where the cluster keeps none on S3."""
        return f"{self._logs}/steps/{step_id}/" if self._logs else None

    @property
    def job_logs(self) -> str | None:
        """The folder with the logs of Hadoop's jobs: one below it for each YARN application."""
        return (
            f"{self._logs}/{'containers' if self.has_release else 'jobs'}/" if self._logs else None
        )

    @property
    def _logs(self) -> str | None:
        if not self.log_uri:
            return None
        base = self.log_uri.rstrip("/").replace("s3n://", "s3://", 1)
        return f"{base}/{self.id}"


def cluster_of(settings: DataSettings, info: Path = JOB_FLOW) -> str | None:
    """The cluster that is named, else the one whose master node this host is."""
    if settings.emr_cluster:
        return settings.emr_cluster
    try:
        found = json.loads(info.read_bytes()).get("jobFlowId")
    except (OSError, ValueError, AttributeError):
        return None
    return str(found) if found else None


class EmrClient:
    """Calls about one cluster."""

    def __init__(self, api: EmrApi, cluster_id: str, clock: Clock) -> None:
        self._api = api
        self._id = cluster_id
        self._clock = clock

    @classmethod
    def connect(
        cls, cluster_id: str, *, region: str | None, clock: Clock | None = None
    ) -> EmrClient:
        """A client by botocore's own configuration; raises TaskError."""
        import botocore.exceptions as aws
        import botocore.session
        from botocore.config import Config

        # Second tries are made here: botocore's own might add a step twice.
        config = Config(connect_timeout=10, read_timeout=60, retries={"total_max_attempts": 1})
        try:
            session = botocore.session.get_session()
            api = session.create_client("emr", region_name=region, config=config)
        except aws.NoRegionError as error:
            message = "cannot reach EMR: no AWS region is given (region)"
            raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD) from error
        except (aws.BotoCoreError, ValueError) as error:
            raise TaskError(f"cannot reach EMR: {error}") from error
        return cls(cast("EmrApi", api), cluster_id, clock or SystemClock())

    def cluster(self) -> Cluster:
        """What has become of the cluster."""
        reply = self._call(lambda: self._api.describe_cluster(ClusterId=self._id))["Cluster"]
        status = reply.get("Status", {})
        return Cluster(
            id=self._id,
            state=str(status.get("State", "")),
            reason=str(status.get("StateChangeReason", {}).get("Message", "")),
            log_uri=reply.get("LogUri"),
            has_release="RunningAmiVersion" not in reply,
        )

    def add(self, step: NewStep) -> str:
        """Add a step, once; returns its id."""
        jar: dict[str, Any] = {"Jar": step.jar, "Args": list(step.arguments)}
        if step.main_class:
            jar["MainClass"] = step.main_class
        wanted = {"Name": step.name, "ActionOnFailure": "CONTINUE", "HadoopJarStep": jar}

        def add() -> str:
            reply = self._api.add_job_flow_steps(JobFlowId=self._id, Steps=[wanted])
            return str(reply["StepIds"][0])

        def find() -> str | None:
            return next((found.id for found in self._list() if found.step_name == step.name), None)

        return self._call(add, or_done=find)

    def state(self, step_id: str) -> StepState:
        """What has become of a step."""
        reply = self._call(
            lambda: self._api.describe_step(ClusterId=self._id, StepId=step_id), tries=None
        )
        return StepState.of(reply["Step"])

    def active(self) -> Sequence[StepState]:
        """The steps that run or wait."""
        return self._call(lambda: list(self._list(StepStates=list(_ACTIVE))))

    def cancel(self, step_ids: Sequence[str]) -> None:
        """Have steps end; those that are over already stay as they are."""
        self._call(
            lambda: self._api.cancel_steps(
                ClusterId=self._id,
                StepIds=list(step_ids),
                StepCancellationOption="TERMINATE_PROCESS",
            ),
            tries=3,
        )

    def nodes(self) -> Sequence[Nodes]:
        """The groups of core and task nodes."""
        found = self._call(
            lambda: list(self._pages(self._api.list_instance_groups, "InstanceGroups"))
        )
        return [nodes for nodes in map(Nodes.of, found) if nodes.kind in _GROWING]

    def grow(self, group_id: str, count: int) -> None:
        """Have a group of nodes be this large; asked twice, it is the same."""
        wanted = [{"InstanceGroupId": group_id, "InstanceCount": count}]
        self._call(
            lambda: self._api.modify_instance_groups(ClusterId=self._id, InstanceGroups=wanted)
        )

    def _list(self, **wanted: Any) -> Iterator[StepState]:
        return map(StepState.of, self._pages(self._api.list_steps, "Steps", **wanted))

    def _pages(
        self, call: Callable[..., dict[str, Any]], key: str, **wanted: Any
    ) -> Iterator[dict[str, Any]]:
        more: dict[str, str] = {}
        while True:
            reply = call(ClusterId=self._id, **wanted, **more)
            yield from reply.get(key, ())
            if not reply.get("Marker"):
                return
            more = {"Marker": reply["Marker"]}

    def _call(
        self,
        call: Callable[[], _T],
        *,
        tries: int | None = TRIES,
        or_done: Callable[[], _T | None] | None = None,
    ) -> _T:
        """Make a call, again where that may help; None: until it is answered.

        `or_done` finds what a call whose answer was lost has done.
        """
        import botocore.exceptions as aws

        never, pause, made = threading.Event(), _FIRST_WAIT_S, 0
        while True:
            made += 1
            lost = False
            try:
                return call()
            except aws.ClientError as error:
                lost = _is_ours(error)
                problem = _refused(error)
                if not (lost or _is_throttled(error)) or made == tries:
                    raise problem from error
            except aws.NoCredentialsError as error:
                message = f"cannot reach EMR: {error}"
                raise TaskError(message, error_id=ErrorId.ACCESS_DENIED) from error
            except (aws.HTTPClientError, aws.ConnectionError) as error:
                lost = True
                if made == tries:
                    message = f"EMR does not answer: {error}"
                    raise TaskError(message, error_id=ErrorId.CONNECTION_FAILED) from error
            self._clock.wait(never, pause)
            pause = min(2 * pause, _LONGEST_WAIT_S)
            if lost and or_done is not None and (found := self._call(or_done)) is not None:
                return found


def _is_ours(error: Any) -> bool:
    """Whether EMR failed at the call, which it may have carried out."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return int(status) >= 500


def _is_throttled(error: Any) -> bool:
    return error.response.get("Error", {}).get("Code") in _THROTTLED


def _refused(error: Any) -> TaskError:
    told = error.response.get("Error", {})
    code, message = told.get("Code", ""), told.get("Message", "")
    if code in _DENIED:
        error_id = ErrorId.ACCESS_DENIED
    else:
        error_id = ErrorId.CONNECTION_FAILED if _is_ours(error) else ErrorId.RESOURCE_FAILED
    return TaskError(f"EMR refused: {message} ({code})", error_id=error_id)
