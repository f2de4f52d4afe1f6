"""A service that makes instances or clusters, in a process to be killed at any time; its orders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from multiprocessing.connection import Connection
from typing import Any

import boto3
from botocore.config import Config

from taskrunner.clock import SystemClock
from taskrunner.errors import PipelineDeleted
from taskrunner.model.reader import read_definition
from taskrunner.model.states import InstanceStatus, PipelineState
from taskrunner.service.callers import ANONYMOUS
from taskrunner.service.engine import Service
from taskrunner.service.resources.base import ResourceProvider
from taskrunner.service.resources.ec2.api import Ec2Api
from taskrunner.service.resources.ec2.machine import Spec
from taskrunner.service.resources.ec2.provider import Ec2Machines
from taskrunner.service.resources.ec2.user_data import AgentSettings
from taskrunner.service.resources.emr.api import EmrApi, Seen
from taskrunner.service.resources.emr.provider import EmrClusters
from taskrunner.service.resources.providers import Providers
from taskrunner.service.resources.rules import Rules
from taskrunner.service.resources.targets import Where
from taskrunner.service.settings import ServiceSettings
from taskrunner.service.store import instances as instance_store
from taskrunner.service.store import resources as resource_store
from taskrunner.service.store.database import Store
from tests.chaos.lives import MortalProcess

REGION = "us-east-1"
SESSION: Any = boto3.session.Session(aws_access_key_id="k", aws_secret_access_key="s")
AGENTS = AgentSettings(
    endpoint="https://pipelines.example.com", region=REGION, package="taskrunner-agent", signed=True
)
PATIENCE_S = 60.0
_LOOK_S = 0.1
#: Longer than a call to the server beside it lasts.
_UNSURE_S = 0.5
_DEFINITION = """{"objects": [
  {"id": "Default", "scheduleType": "ondemand"},
  {"id": "A", "type": "ShellCommandActivity", "command": "true", "runsOn": {"ref": "R"}},
  {"id": "R", "type": "%s", "terminateAfter": "%s"}
]}"""


class WithoutToken(Ec2Api):
    """A mutant: EC2 cannot tell a second try from a second machine."""

    def run(self, spec: Spec, arguments: dict[str, Any]) -> str:
        return super().run(spec, {k: v for k, v in arguments.items() if k != "ClientToken"})


class WithoutSweep(Ec2Machines):
    """A mutant: nobody looks for what was forgotten."""

    def look_after(self, now: datetime) -> None:
        pass


class WithoutName(EmrApi):
    """A mutant: nobody looks whether a cluster was made before another one is."""

    def made_since(self, region: str, moment: datetime) -> list[Seen]:
        return []


class WithoutClusterSweep(EmrClusters):
    """The same mutant for clusters."""

    def look_after(self, now: datetime) -> None:
        pass


class NoAgents:
    """Starts no agents: nobody works in these lives."""

    def start(self, worker_group: str) -> str:
        return f"process:{worker_group}"

    def alive(self, handle: str) -> bool:
        return True

    def end(self, handle: str) -> bool:
        return True


class Life(MortalProcess):
    """A service from its start until it is killed."""

    def __init__(
        self,
        database_url: str,
        aws_url: str,
        *,
        where: Where = Where.EC2,
        without: str = "",
        idle: bool = False,
    ) -> None:
        """An idle one does what it is asked, and nothing by itself."""
        super().__init__(
            _live,
            *(database_url, aws_url, where, without, idle),
            preload="tests.chaos.resource_warm",
            patience_s=PATIENCE_S,
        )


def _live(
    orders: Connection, database_url: str, aws_url: str, where: Where, without: str, idle: bool
) -> None:
    config = Config(retries={"total_max_attempts": 1, "mode": "standard"})

    def connect(name: str, region: str) -> Any:
        make: Any = SESSION.client
        return make(name, region_name=region, endpoint_url=aws_url, config=config)

    def clusters(store: Store) -> ResourceProvider:
        found = (WithoutClusterSweep if without == "sweep" else EmrClusters)(
            store,
            region=REGION,
            clock=SystemClock(),
            starter=NoAgents(),
            api=(WithoutName if without == "name" else EmrApi)(connect),
            watch_s=_LOOK_S,
            pause_s=_LOOK_S,
            unsure_s=_UNSURE_S,
        )
        return Providers({Where.EMR: found})

    def machines(store: Store) -> ResourceProvider:
        machines = (WithoutSweep if without == "sweep" else Ec2Machines)(
            store,
            region=REGION,
            clock=SystemClock(),
            agents=AGENTS,
            api=(WithoutToken if without == "token" else Ec2Api)(connect),
            watch_s=_LOOK_S,
            pause_s=_LOOK_S,
        )
        return Providers({Where.EC2: machines})

    settings = ServiceSettings(
        database_url=database_url, resources=Rules.everywhere(where, "--resources")
    )
    service = Service(settings, provider=clusters if where is Where.EMR else machines)
    if not idle:
        service.start()
    while True:
        order, *given = orders.recv()
        orders.send(_ORDERS[order](service, *given))


def _begin(service: Service, name: str, kind: str, terminate_after: str) -> str:
    """Activate a pipeline of this name, unless that was done."""
    pipeline_id = service.create_pipeline(ANONYMOUS, name, name)
    if service.pipeline(pipeline_id).state is PipelineState.PENDING:
        service.put_definition(pipeline_id, read_definition(_DEFINITION % (kind, terminate_after)))
        service.activate(pipeline_id)
    return pipeline_id


def _delete(service: Service, pipeline_id: str) -> None:
    with suppress(PipelineDeleted):
        service.delete_pipeline(pipeline_id)


def _cancel(service: Service, pipeline_id: str) -> None:
    with service.store.read() as conn:
        rows = instance_store.load_instances(conn, pipeline_id, live=True)
    service.set_status(pipeline_id, [row.instance_id for row in rows], "CANCEL")


def _resources(service: Service) -> Mapping[str, tuple[str, str | None]]:
    """The status and the handle of each pipeline's resource."""
    with service.store.read() as conn:
        rows = resource_store.resources_in(conn, list(InstanceStatus))
    return {row.pipeline_id: (str(row.status), row.resource_handle) for row in rows}


_ORDERS: Mapping[str, Callable[..., Any]] = {
    "begin": _begin,
    "delete": _delete,
    "cancel": _cancel,
    "resources": _resources,
}
