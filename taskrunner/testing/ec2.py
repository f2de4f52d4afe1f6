"""An endpoint that is shaped like EC2's, for tests of what makes instances.

It knows what moto does not: client tokens, images that are not there, roles that may not be passed,
throttling, no capacity, spot interruptions, and answers that lag behind. Where a test wants it, a
real agent of this host stands for each instance.
"""

from __future__ import annotations

import base64
import itertools
import re
import shlex
import threading
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from taskrunner.testing.aws_query import AwsError, Query, server

#: What there is unless a test says otherwise.
IMAGE, SUBNET, VPC, GROUP, ROLE = "ami-0a1b2c3d4e5f60718", "subnet-1", "vpc-1", "sg-1", "runners"
KEY_PAIR, GROUP_NAME = "ops", "workers"
_PARAMETER = re.compile(r"/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-\w+")
_LONGEST_USER_DATA = 16_384
_PAGE = 100


@dataclass(slots=True, kw_only=True)
class Machine:
    """An instance."""

    ec2_id: str
    request: Query
    tags: dict[str, str]
    token: str | None
    state: str = "running"
    reason: tuple[str, str] = ("", "")
    launched_at: datetime = field(default_factory=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    #: Answers to DescribeInstances in which it does not show up yet.
    lag: int = 0

    @property
    def runs(self) -> bool:
        """Whether it costs anything."""
        return self.state not in {"shutting-down", "terminated"}

    @property
    def spot(self) -> bool:
        """Whether it is a spot instance."""
        return self.request.text("InstanceMarketOptions.MarketType") == "spot"

    @property
    def user_data(self) -> str:
        """The script that it was given."""
        return base64.b64decode(self.request.text("UserData") or "").decode()

    def variable(self, name: str) -> str:
        """A variable that the script sets at its top."""
        found = re.search(rf"(?m)^export {name}=(.*)$", self.user_data)
        return "".join(shlex.split(found[1])) if found else ""

    @property
    def settings(self) -> Mapping[str, Any]:
        """The settings file that the script writes for the agent."""
        return tomllib.loads(base64.b64decode(self.variable("SETTINGS")).decode())


class Ec2Server:
    """EC2, and the parameters of Systems Manager that name images, in one region or all."""

    def __init__(
        self,
        *,
        launched: Callable[[Machine], None] = lambda _machine: None,
        called: Callable[[str, str], None] = lambda _action, _when: None,
    ) -> None:
        """`launched` is told of each new instance, as its user data would run there.

        `called` is told of each call, `before` it does anything and `after`.
        """
        self._called = called
        self._launched = launched
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()
        self._http = server(self._answer, self._parameter)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self.reset()

    def reset(self) -> None:
        """Be as at the start: nothing was made, and nothing is wrong."""
        self.machines: dict[str, Machine] = {}
        self.calls: list[tuple[str, Query]] = []
        self.images = {IMAGE}
        self.subnets = {SUBNET: VPC}
        #: By VPC and name.
        self.groups = {(VPC, GROUP_NAME): GROUP, (VPC, "default"): "sg-0"}
        self.roles, self.unpassable = {ROLE}, {"admin"}
        self.key_pairs = {KEY_PAIR}
        #: Instance types of which there are none, and how many instances there is room for.
        self.full: set[str] = set()
        self.room = 1000
        #: For each new instance: in how many answers it does not show up.
        self.lag = 0
        self._faults: dict[str, list[AwsError]] = {}
        self._tokens: dict[str, tuple[dict[str, str], str]] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """The endpoint: for AWS_ENDPOINT_URL_EC2 and AWS_ENDPOINT_URL_SSM."""
        return f"http://127.0.0.1:{self._http.server_port}"

    @property
    def running(self) -> list[Machine]:
        """The instances that cost something, oldest first."""
        with self._lock:
            return [machine for machine in self.machines.values() if machine.runs]

    @property
    def ever(self) -> list[Machine]:
        """All that were ever made."""
        with self._lock:
            return list(self.machines.values())

    def fail(self, action: str, code: str, message: str = "no", *, times: int = 1) -> None:
        """Answer the next calls of an action with an error."""
        status = 503 if code in {"RequestLimitExceeded", "Unavailable"} else 400
        with self._lock:
            faults = self._faults.setdefault(action, [])
            faults += [AwsError(code, message, status)] * times

    def interrupt(self, ec2_id: str) -> None:
        """Take a spot instance back."""
        self._end(ec2_id, "Server.SpotInstanceTermination", "Spot instance termination")

    def shut_down(self, ec2_id: str) -> None:
        """Have an instance shut itself down."""
        code = "Client.InstanceInitiatedShutdown"
        self._end(ec2_id, code, f"{code}: Instance initiated shutdown")

    def _end(self, ec2_id: str, code: str, message: str) -> None:
        with self._lock:
            self.machines[ec2_id].state = "terminated"
            self.machines[ec2_id].reason = (code, message)

    # -- calls ------------------------------------------------------------------------------

    def _answer(self, action: str, query: Query) -> Mapping[str, Any]:
        self._called(action, "before")
        reply = self._done(action, query)
        self._called(action, "after")
        return reply

    def _done(self, action: str, query: Query) -> Mapping[str, Any]:
        with self._lock:
            self.calls.append((action, query))
            if faults := self._faults.get(action):
                raise faults.pop(0)
            known = {
                "RunInstances": self._run,
                "DescribeInstances": self._describe,
                "TerminateInstances": self._terminate,
                "CreateTags": self._tag,
                "DescribeSubnets": self._describe_subnets,
                "DescribeVpcs": lambda _query: {"vpcSet": [{"vpcId": VPC, "isDefault": True}]},
                "DescribeSecurityGroups": self._describe_groups,
            }
            if action not in known:
                raise AwsError("InvalidAction", f"The action {action} is not valid")
            return known[action](query)

    def _parameter(self, target: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
        with self._lock:
            action = target.rpartition(".")[2]
            self.calls.append((action, Query({"Name": str(given.get("Name"))})))
            if faults := self._faults.get(action):
                raise faults.pop(0)
            if not _PARAMETER.fullmatch(str(given.get("Name"))):
                raise AwsError("ParameterNotFound", "")
            return {"Parameter": {"Name": given["Name"], "Value": min(self.images)}}

    def _run(self, query: Query) -> Mapping[str, Any]:
        token = query.text("ClientToken")
        asked = query.without("ClientToken")
        if token in self._tokens:
            before, ec2_id = self._tokens[token]
            if before != asked:
                message = "The request uses the same client token as a previous, different request"
                raise AwsError("IdempotentParameterMismatch", message)
            return {"instancesSet": [_shown(self.machines[ec2_id])]}
        self._check(query)
        specifications = query.items("TagSpecification")
        tags = [tag for each in specifications[:1] for tag in each.items("Tag")]
        machine = Machine(
            ec2_id=f"i-{next(self._numbers):017x}",
            request=query,
            tags={tag.text("Key") or "": tag.text("Value") or "" for tag in tags},
            token=token,
            lag=self.lag,
        )
        self.machines[machine.ec2_id] = machine
        if token is not None:
            self._tokens[token] = (asked, machine.ec2_id)
        self._launched(machine)
        return {"reservationId": "r-1", "instancesSet": [_shown(machine)]}

    def _check(self, query: Query) -> None:
        """Refuse what EC2 refuses."""
        if (image := query.text("ImageId")) not in self.images:
            raise AwsError("InvalidAMIID.NotFound", f"The image id '[{image}]' does not exist")
        kind = query.text("InstanceType") or "m1.small"
        if not re.fullmatch(r"[a-z][a-z0-9-]*\.[a-z0-9-]+", kind):
            message = f"Invalid value '{kind}' for InstanceType."
            raise AwsError("InvalidParameterValue", message)
        if kind in self.full or len(self.running) >= self.room:
            message = f"We currently do not have sufficient {kind} capacity in the zone requested."
            raise AwsError("InsufficientInstanceCapacity", message, 500)
        if len(query.text("UserData") or "") > _LONGEST_USER_DATA * 4 // 3:
            raise AwsError("InvalidParameterValue", "User data is limited to 16384 bytes")
        if (key := query.text("KeyName")) is not None and key not in self.key_pairs:
            raise AwsError("InvalidKeyPair.NotFound", f"The key pair '{key}' does not exist")
        self._check_network(query)
        self._check_role(query.text("IamInstanceProfile.Name"))

    def _check_network(self, query: Query) -> None:
        interfaces = query.items("NetworkInterface")
        names, ids = query.texts("SecurityGroup"), query.texts("SecurityGroupId")
        subnet = query.text("SubnetId")
        if interfaces and (subnet or names or ids):
            message = "Network interfaces and an instance-level subnet ID may not be specified"
            raise AwsError("InvalidParameterCombination", message)
        if names and subnet:
            message = "The parameter groupName cannot be used with the parameter subnet"
            raise AwsError("InvalidParameterCombination", message)
        for interface in interfaces:
            subnet = subnet or interface.text("SubnetId")
            ids = ids + interface.texts("SecurityGroupId")
        if subnet is not None and subnet not in self.subnets:
            message = f"The subnet ID '{subnet}' does not exist"
            raise AwsError("InvalidSubnetID.NotFound", message)
        known = {*self.groups.values(), *(name for _, name in self.groups)}
        for group in (*names, *ids):
            if group not in known:
                raise AwsError("InvalidGroup.NotFound", f"The group '{group}' does not exist")

    def _check_role(self, role: str | None) -> None:
        if role in self.unpassable:
            message = (
                "You are not authorized to perform this operation. User: u is not authorized to "
                f"perform: iam:PassRole on resource: {role}. Encoded authorization failure "
                "message: 0123456789abcdef"
            )
            raise AwsError("UnauthorizedOperation", message, 403)
        if role is not None and role not in self.roles:
            message = f"Value ({role}) for parameter iamInstanceProfile.name is invalid."
            raise AwsError("InvalidParameterValue", message)

    def _describe(self, query: Query) -> Mapping[str, Any]:
        ids = query.texts("InstanceId")
        for ec2_id in ids:
            self._known(ec2_id)
        found = [m for m in self.machines.values() if not ids or m.ec2_id in ids]
        for each in query.items("Filter"):
            found = [*_filtered(found, each.text("Name") or "", each.texts("Value"))]
        visible = [machine for machine in found if machine.lag <= 0]
        for machine in found:
            machine.lag -= 1
        start = int(query.text("NextToken") or 0)
        end = start + min(_PAGE, int(query.text("MaxResults") or _PAGE))
        shown = [{"instancesSet": [_shown(machine)]} for machine in visible[start:end]]
        more = {"nextToken": end} if end < len(visible) else {}
        return {"reservationSet": shown, **more}

    def _terminate(self, query: Query) -> Mapping[str, Any]:
        machines = [self._known(ec2_id) for ec2_id in query.texts("InstanceId")]
        changes = []
        for machine in machines:
            before = machine.state
            if machine.runs:
                machine.state, machine.reason = "shutting-down", ("Client.UserInitiated", "")
            changes.append(
                {
                    "instanceId": machine.ec2_id,
                    "currentState": {"code": 32, "name": machine.state},
                    "previousState": {"code": 16, "name": before},
                }
            )
        return {"instancesSet": changes}

    def _known(self, ec2_id: str) -> Machine:
        machine = self.machines.get(ec2_id)
        if machine is None or machine.lag > 0:
            message = f"The instance ID '{ec2_id}' does not exist"
            raise AwsError("InvalidInstanceID.NotFound", message)
        return machine

    def _tag(self, query: Query) -> Mapping[str, Any]:
        tags = {tag.text("Key") or "": tag.text("Value") or "" for tag in query.items("Tag")}
        for ec2_id in query.texts("ResourceId"):
            self._known(ec2_id).tags.update(tags)
        return {"return": True}

    def _describe_subnets(self, query: Query) -> Mapping[str, Any]:
        wanted = query.texts("SubnetId")
        for subnet in wanted:
            if subnet not in self.subnets:
                message = f"The subnet ID '{subnet}' does not exist"
                raise AwsError("InvalidSubnetID.NotFound", message)
        return {"subnetSet": [{"subnetId": s, "vpcId": self.subnets[s]} for s in wanted]}

    def _describe_groups(self, query: Query) -> Mapping[str, Any]:
        filters = {each.text("Name"): each.texts("Value") for each in query.items("Filter")}
        found = [
            {"groupName": name, "groupId": group_id, "vpcId": vpc}
            for (vpc, name), group_id in self.groups.items()
            if name in filters.get("group-name", [name]) and vpc in filters.get("vpc-id", [vpc])
        ]
        return {"securityGroupInfo": found}


def _filtered(machines: Iterable[Machine], name: str, values: Sequence[str]) -> Iterable[Machine]:
    for machine in machines:
        found = {
            "client-token": machine.token,
            "instance-state-name": machine.state,
            **{f"tag:{key}": value for key, value in machine.tags.items()},
        }
        if found.get(name) in values:
            yield machine


def _shown(machine: Machine) -> Mapping[str, Any]:
    code, message = machine.reason
    why = {"stateReason": {"code": code, "message": message}} if code else {}
    return {
        "instanceId": machine.ec2_id,
        "imageId": machine.request.text("ImageId") or "",
        "instanceState": {"code": 16, "name": machine.state},
        "instanceType": machine.request.text("InstanceType") or "m1.small",
        "launchTime": f"{machine.launched_at:%Y-%m-%dT%H:%M:%S.000Z}",
        "tagSet": [{"key": key, "value": value} for key, value in machine.tags.items()],
        **why,
    }
