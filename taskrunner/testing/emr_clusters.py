"""Clusters of `EmrInProcess`: what there is of one, and what EMR refuses to make."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from taskrunner.testing.aws_query import AwsError

#: Clusters of which something is left, and those of which nothing is.
LIVE = frozenset({"STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING"})
GONE = frozenset({"TERMINATING", "TERMINATED", "TERMINATED_WITH_ERRORS"})
#: What there is unless a test says otherwise.
RELEASES = frozenset({"emr-5.29.0", "emr-5.36.2", "emr-6.15.0", "emr-7.5.0"})
APPLICATIONS = frozenset({"Ganglia", "Hadoop", "Hive", "Pig", "Spark", "Tez"})
ROLE, PROFILE, SUBNET = "EMR_DefaultRole", "EMR_EC2_DefaultRole", "subnet-1"
_RELEASE = re.compile(r"emr-\d+\.\d+\.\d+")


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
    name: str = ""
    state: str = "WAITING"
    code: str = "INSTANCE_FAILURE"
    reason: str = ""
    #: What RunJobFlow was asked for.
    request: Mapping[str, Any] = field(default_factory=dict)
    created_at: float = 0.0
    steps: list[FakeStep] = field(default_factory=list)
    #: Whether something runs its steps.
    works: bool = False

    @property
    def runs(self) -> bool:
        """Whether it costs anything."""
        return self.state in LIVE

    @property
    def tags(self) -> dict[str, str]:
        """Its tags."""
        return {tag["Key"]: tag["Value"] for tag in self.request.get("Tags", ())}

    def find(self, step_id: str) -> FakeStep:
        """A step by its id; raises AwsError."""
        for step in self.steps:
            if step.id == step_id:
                return step
        raise AwsError("InvalidRequestException", f"Step id '{step_id}' is not valid.")

    def described(self) -> dict[str, Any]:
        """As DescribeCluster and ListClusters tell of it."""
        reason = {"Code": self.code, "Message": self.reason} if self.reason else {}
        status = {
            "State": self.state,
            "StateChangeReason": reason,
            "Timeline": {"CreationDateTime": self.created_at},
        }
        found: dict[str, Any] = {"Id": self.id, "Name": self.name, "Status": status}
        return {**found, **({"LogUri": self.log_uri} if self.log_uri else {})}

    def groups(self) -> list[dict[str, Any]]:
        """Its instance groups, as ListInstanceGroups tells of them."""
        return [
            {
                "Id": f"ig-{group['InstanceRole']}-{self.id}",
                "InstanceGroupType": group["InstanceRole"],
                "InstanceType": group["InstanceType"],
                "RequestedInstanceCount": group["InstanceCount"],
                "RunningInstanceCount": group["InstanceCount"],
                "Status": {"State": "RUNNING"},
            }
            for group in self._groups
        ]

    def resize(self, group_id: str, count: int) -> None:
        """Have a group be this large, at once; raises AwsError."""
        for asked, group in zip(self._groups, self.groups(), strict=True):
            if group["Id"] == group_id and asked["InstanceRole"] != "MASTER":
                asked["InstanceCount"] = count
                return
        raise AwsError("ValidationException", f"Instance group {group_id} cannot be resized.")

    @property
    def _groups(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.request.get("Instances", {}).get("InstanceGroups", [])
        return found


@dataclass(slots=True, kw_only=True)
class FakeAccount:
    """What an account has, by which a request for a cluster is judged."""

    releases: set[str] = field(default_factory=lambda: set(RELEASES))
    roles: set[str] = field(default_factory=lambda: {ROLE, PROFILE})
    #: Roles that whoever calls may not pass.
    unpassable: set[str] = field(default_factory=set)
    applications: set[str] = field(default_factory=lambda: set(APPLICATIONS))
    subnets: set[str] = field(default_factory=lambda: {SUBNET})
    #: How many clusters there is room for.
    room: int = 1000

    def check(self, request: Mapping[str, Any], running: int) -> None:
        """Raise AwsError for a request that EMR refuses."""
        for message in self._wrong(request):
            raise AwsError("ValidationException", message)
        for role in (request.get("ServiceRole"), request.get("JobFlowRole")):
            if role in self.unpassable:
                told = f"User is not authorized to perform: iam:PassRole on resource: {role}"
                raise AwsError("AccessDeniedException", told)
        if running >= self.room:
            told = "The number of active clusters exceeds the limit for this account."
            raise AwsError("ValidationException", told)

    def _wrong(self, request: Mapping[str, Any]) -> Iterator[str]:
        release, instances = request.get("ReleaseLabel"), request["Instances"]
        if release is None and "AmiVersion" not in request:
            yield "Must specify exactly one of the following: AmiVersion, ReleaseLabel"
        if release is not None and release not in self.releases:
            yield f"The supplied release label is invalid: {release}."
        known = {name.lower() for name in self.applications}
        for application in request.get("Applications", ()):
            if application["Name"].lower() not in known:
                yield f"The requested application {application['Name']} is not supported."
        if "AutoTerminationPolicy" in request and not _can_end_itself(release):
            yield "Auto-termination is not supported by this release."
        if request.get("ServiceRole") not in self.roles:
            yield f"Service role {request.get('ServiceRole')} is invalid."
        if request.get("JobFlowRole") not in self.roles:
            yield f"Invalid InstanceProfile: {request.get('JobFlowRole')}."
        subnet = instances.get("Ec2SubnetId")
        if subnet is not None and subnet not in self.subnets:
            yield f"The subnet {subnet} does not exist"


def _can_end_itself(release: str | None) -> bool:
    if release is None or not _RELEASE.fullmatch(release):
        return False
    version = tuple(int(part) for part in release.removeprefix("emr-").split("."))
    return (5, 30, 0) <= version < (6, 0, 0) or version >= (6, 1, 0)
