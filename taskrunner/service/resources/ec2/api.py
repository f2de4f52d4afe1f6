"""The calls to EC2 and Systems Manager, by boto3, which is loaded with the first of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from taskrunner.service.resources.base import ResourceBusy, ResourceFailure
from taskrunner.service.resources.ec2.faults import Answer, failure
from taskrunner.service.resources.ec2.machine import IMAGE_PARAMETER, MACHINE_TAG, Spec

T = TypeVar("T")

#: The name of an AWS service and a region -> a client.
Connect = Callable[[str, str], Any]

_CONNECT_S, _READ_S, _TRIES = 5, 30, 3
#: EC2's bound for the values of a filter.
_AT_ONCE = 200
_ENDED = frozenset({"shutting-down", "terminated"})
#: In whose name machines are looked at and ended.
_SERVICE = "the service"
_NOT_FOUND = "InvalidInstanceID.NotFound"


class _Mismatch(Exception):
    """The token was used with other arguments."""


class _Unknown(Exception):
    """There is no such instance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An instance as EC2 describes it."""

    ec2_id: str
    machine_id: str
    state: str
    #: Why it is in its state: EC2's code and words.
    reason: str = ""

    @property
    def runs(self) -> bool:
        """Whether it does the work of a runner, or is about to."""
        return self.state in {"pending", "running"}

    @property
    def has_ended(self) -> bool:
        """Whether it is terminated, or nothing keeps it from being so."""
        return self.state in _ENDED


class Ec2Api:
    """EC2 in whatever regions."""

    def __init__(self, connect: Connect | None = None) -> None:
        self._connect = connect or _connect
        self._clients: dict[tuple[str, str], Any] = {}
        self._images: dict[tuple[str, str], str] = {}
        self._lock = threading.Lock()

    def run(self, spec: Spec, arguments: dict[str, Any]) -> str:
        """Make an instance, or find the one that the same token made; returns its id.

        Raises ResourceFailure or ResourceBusy.
        """

        def make() -> str:
            reply = self._ec2(spec.region).run_instances(**arguments)
            return str(reply["Instances"][0]["InstanceId"])

        try:
            return _asked(spec, "ec2:RunInstances", make)
        except _Mismatch as error:
            # It was made by an earlier call, when the image or this program was another.
            found = self._made_with(spec, arguments["ClientToken"])
            if found is None:
                raise ResourceFailure(f"{spec.name}: {error}", wait=True) from None
            return found

    def _made_with(self, spec: Spec, token: str) -> str | None:
        """The instance that was made with a token."""
        filters = [{"Name": "client-token", "Values": [token]}]
        found = _asked(
            spec, "ec2:DescribeInstances", lambda: [*self._describe(spec.region, filters)]
        )
        return next((seen.ec2_id for seen in found), None)

    def image(self, spec: Spec) -> str:
        """The image of the definition, or the current Amazon Linux."""
        if spec.image is not None:
            return spec.image
        key = (spec.region, spec.processor)
        if key not in self._images:
            name = IMAGE_PARAMETER.format(processor=spec.processor)

            def look() -> str:
                reply = self._client("ssm", spec.region).get_parameter(Name=name)
                return str(reply["Parameter"]["Value"])

            self._images[key] = _asked(spec, "ssm:GetParameter", look)
        return self._images[key]

    def forget_images(self) -> None:
        """Look the current ones up again."""
        self._images.clear()

    def group_ids(self, spec: Spec) -> list[str]:
        """The ids of the resource's groups, where it names them by their names."""
        if not spec.wants_group_ids:
            return list(spec.group_ids)
        ec2 = self._ec2(spec.region)

        def look() -> dict[str, str]:
            vpc = {"Name": "vpc-id", "Values": [_vpc(ec2, spec.subnet)]}
            named = {"Name": "group-name", "Values": list(spec.group_names)}
            reply = ec2.describe_security_groups(Filters=[vpc, named])
            return {group["GroupName"]: group["GroupId"] for group in reply["SecurityGroups"]}

        found = _asked(spec, "ec2:DescribeSecurityGroups", look)
        for name in spec.group_names:
            if name not in found:
                raise ResourceFailure(
                    f"{spec.name}, field securityGroups: {name!r} is no group of the VPC: name "
                    "those of the subnet's VPC, or give securityGroupIds",
                    permanent=True,
                )
        return [*spec.group_ids, *(found[name] for name in spec.group_names)]

    def machines(self, region: str, machine_ids: Sequence[str]) -> list[Seen]:
        """What there is of these machines; raises ResourceBusy or ResourceFailure."""
        found: list[Seen] = []
        for start in range(0, len(machine_ids), _AT_ONCE):
            some = list(machine_ids[start : start + _AT_ONCE])
            filters = [{"Name": f"tag:{MACHINE_TAG}", "Values": some}]
            found += _asked(
                Spec(name=_SERVICE, region=region, type=""),
                "ec2:DescribeInstances",
                lambda filters=filters: [*self._describe(region, filters)],  # type: ignore[misc]
            )
        return found

    def terminate(self, region: str, ec2_ids: Sequence[str]) -> dict[str, bool]:
        """Ask for the end of instances, some of which may not be there.

        Whether each has ended; those of which EC2 knows nothing (yet) are left out. Raises
        ResourceBusy or ResourceFailure.
        """

        def end(ids: Sequence[str]) -> dict[str, bool]:
            reply = self._ec2(region).terminate_instances(InstanceIds=list(ids))
            return {
                each["InstanceId"]: each["CurrentState"]["Name"] in _ENDED
                for each in reply["TerminatingInstances"]
            }

        def ask(ids: Sequence[str]) -> dict[str, bool]:
            return _asked(
                Spec(name=_SERVICE, region=region, type=""),
                "ec2:TerminateInstances",
                lambda: end(ids),
            )

        try:
            return ask(ec2_ids)
        except _Unknown:
            if len(ec2_ids) == 1:
                return {}
        ended: dict[str, bool] = {}
        for ec2_id in ec2_ids:
            ended |= self.terminate(region, [ec2_id])
        return ended

    def _describe(self, region: str, filters: list[Any]) -> Iterator[Seen]:
        pages = self._ec2(region).get_paginator("describe_instances")
        for page in pages.paginate(Filters=filters, PaginationConfig={"PageSize": 500}):
            for reservation in page["Reservations"]:
                yield from map(_seen, reservation["Instances"])

    def _ec2(self, region: str) -> Any:
        return self._client("ec2", region)

    def _client(self, service: str, region: str) -> Any:
        with self._lock:
            if (service, region) not in self._clients:
                self._clients[service, region] = self._connect(service, region)
            return self._clients[service, region]


def _vpc(ec2: Any, subnet: str | None) -> str:
    """The VPC of a subnet, or the default one."""
    if subnet is not None:
        return str(ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["VpcId"])
    reply = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])
    # Without one, no group is found by its name, which is then said of the group.
    return next((str(vpc["VpcId"]) for vpc in reply["Vpcs"]), "none")


def _seen(instance: Any) -> Seen:
    tags = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", ())}
    why = instance.get("StateReason") or {}
    parts = (why.get("Code"), why.get("Message"))
    return Seen(
        ec2_id=instance["InstanceId"],
        machine_id=tags.get(MACHINE_TAG, ""),
        state=instance["State"]["Name"],
        reason=": ".join(part for part in parts if part),
    )


def _asked(spec: Spec, call: str, ask: Callable[[], T]) -> T:
    """What a call brings. Raises ResourceFailure or ResourceBusy, _Mismatch or _Unknown."""
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    try:
        return ask()
    except ClientError as error:
        told = error.response.get("Error", {})
        code, message = str(told.get("Code", "")), str(told.get("Message", ""))
        if code == "IdempotentParameterMismatch":
            raise _Mismatch(message) from None
        if code == _NOT_FOUND:
            raise _Unknown(message) from None
        answer = Answer(code=code, message=message, call=call)
        raise failure(answer, name=spec.name, region=spec.region, fields=spec.given) from None
    except NoCredentialsError:
        raise ResourceFailure(
            f"{spec.name}: the service has no AWS credentials: give it a role, or a key in its "
            "environment",
            wait=True,
        ) from None
    except BotoCoreError as error:
        said = " ".join(str(error).split())[:300]
        raise ResourceBusy(f"EC2 in {spec.region} does not answer: {said}") from None


def _connect(service: str, region: str) -> Any:
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=_CONNECT_S,
        read_timeout=_READ_S,
        retries={"mode": "standard", "total_max_attempts": _TRIES},
    )
    # A session of its own: the default one is not safe for threads.
    make: Any = boto3.session.Session().client
    return make(service, region_name=region, config=config)
