"""The calls to EMR, by boto3, which is loaded with the first of them."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from taskrunner.service.resources.base import ResourceBusy, ResourceFailure
from taskrunner.service.resources.emr.cluster import Cluster, mark_in
from taskrunner.service.resources.emr.faults import Answer, failure

T = TypeVar("T")

#: The name of an AWS service and a region -> a client.
Connect = Callable[[str, str], Any]

_CONNECT_S = 5
#: How long an answer is waited for: a request that makes a cluster may still be carried out then.
READ_S = 30
_ACTIVE = ("STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING")
_ENDING = ("TERMINATING", "TERMINATED", "TERMINATED_WITH_ERRORS")
#: How different calls say that there is no such cluster.
_UNKNOWN = re.compile(r"(cluster|job flow) id\b.*(not valid|not exist)", re.IGNORECASE)
#: In whose name clusters are looked at and ended.
_SERVICE = "the service"


class Undecided(Exception):
    """Nobody knows whether the cluster was made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A cluster as EMR describes it."""

    emr_id: str
    #: By which it is ours; None: somebody else's.
    mark: str | None
    state: str
    #: Why it is in its state: EMR's code and words.
    reason: str = ""

    @property
    def has_ended(self) -> bool:
        """Whether it has ended, or nothing keeps it from that."""
        return self.state in _ENDING

    @property
    def takes_work(self) -> bool:
        """Whether it has been set up."""
        return self.state in {"RUNNING", "WAITING"}

    def __str__(self) -> str:
        reason = f" ({self.reason})" if self.reason else ""
        return f"the EMR cluster {self.emr_id} is {self.state}{reason}"


class EmrApi:
    """EMR in whatever regions."""

    def __init__(self, connect: Connect | None = None) -> None:
        self._connect = connect or _connect
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def run(self, cluster: Cluster, mark: str) -> str:
        """Make a cluster; returns its id.

        Raises Undecided, or ResourceFailure or ResourceBusy where none was made.
        """
        arguments = cluster.marked(mark)

        def make() -> str:
            return str(self._emr(cluster.region).run_job_flow(**arguments)["JobFlowId"])

        call, name = "elasticmapreduce:RunJobFlow", cluster.name
        return _asked(make, call, name=name, region=cluster.region, fields=cluster.given, once=True)

    def active(self, region: str) -> list[Seen]:
        """The account's clusters that have not ended. Raises ResourceBusy or ResourceFailure."""
        return self._listed(region, ClusterStates=list(_ACTIVE))

    def made_since(self, region: str, moment: datetime) -> list[Seen]:
        """All clusters since a moment, also those that have ended."""
        return self._listed(region, CreatedAfter=moment)

    def describe(self, region: str, emr_id: str) -> Seen | None:
        """One cluster; None: EMR knows nothing of it."""

        def ask() -> Seen | None:
            reply = self._emr(region).describe_cluster(ClusterId=emr_id)
            return _seen(reply["Cluster"])

        try:
            return _asked(ask, "elasticmapreduce:DescribeCluster", region=region)
        except _Unknown:
            return None

    def terminate(self, region: str, emr_ids: list[str]) -> None:
        """Ask for the end of clusters; those that have ended stay so."""

        def ask() -> None:
            self._emr(region).terminate_job_flows(JobFlowIds=emr_ids)

        try:
            _asked(ask, "elasticmapreduce:TerminateJobFlows", region=region)
        except _Unknown:
            for emr_id in emr_ids if len(emr_ids) > 1 else []:
                self.terminate(region, [emr_id])

    def _listed(self, region: str, **wanted: Any) -> list[Seen]:
        def ask() -> list[Seen]:
            pages = self._emr(region).get_paginator("list_clusters").paginate(**wanted)
            return [_seen(found) for page in pages for found in page["Clusters"]]

        return _asked(ask, "elasticmapreduce:ListClusters", region=region)

    def _emr(self, region: str) -> Any:
        with self._lock:
            if region not in self._clients:
                self._clients[region] = self._connect("emr", region)
            return self._clients[region]


class _Unknown(Exception):
    """There is no such cluster."""


def _seen(reply: Mapping[str, Any]) -> Seen:
    status = reply.get("Status") or {}
    why = status.get("StateChangeReason") or {}
    parts = (why.get("Code"), why.get("Message"))
    return Seen(
        emr_id=str(reply["Id"]),
        mark=mark_in(str(reply.get("Name", ""))),
        state=str(status.get("State", "")),
        reason=": ".join(part for part in parts if part),
    )


def _asked(
    ask: Callable[[], T],
    call: str,
    *,
    region: str,
    name: str = _SERVICE,
    fields: Mapping[str, str] | None = None,
    once: bool = False,
) -> T:
    """What a call brings. Raises ResourceFailure or ResourceBusy; Undecided for what is once."""
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        NoCredentialsError,
        ParamValidationError,
    )

    try:
        return ask()
    except ClientError as error:
        answer = _answer(error.response, call)
        if once and answer.is_undecided:
            raise Undecided(f"{answer.code}: {answer.message}") from None
        if not once and _UNKNOWN.search(answer.message):
            raise _Unknown from None
        raise failure(answer, name=name, region=region, fields=fields or {}) from None
    except NoCredentialsError:
        raise ResourceFailure(
            f"{name}: the service has no AWS credentials: give it a role, or a key in its "
            "environment",
            wait=True,
        ) from None
    except ParamValidationError as error:
        said = " ".join(str(error).split())[:300]
        raise ResourceFailure(
            f"{name}: no request can be made of it: {said}", permanent=True
        ) from None
    except BotoCoreError as error:
        said = " ".join(str(error).split())[:300]
        if once:
            raise Undecided(said) from None
        raise ResourceBusy(f"EMR in {region} does not answer: {said}") from None


def _answer(response: Mapping[str, Any], call: str) -> Answer:
    told = response.get("Error", {})
    return Answer(
        code=str(told.get("Code", "")),
        message=str(told.get("Message", "")),
        call=call,
        status=int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)),
    )


def _connect(service: str, region: str) -> Any:
    import boto3
    from botocore.config import Config

    # No second tries: one of RunJobFlow would make a second cluster.
    config = Config(
        connect_timeout=_CONNECT_S, read_timeout=READ_S, retries={"total_max_attempts": 1}
    )
    # A session of its own: the default one is not safe for threads.
    make: Any = boto3.session.Session().client
    return make(service, region_name=region, config=config)
