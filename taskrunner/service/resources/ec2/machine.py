"""What a definition wants of an instance: its fields, read into a request for RunInstances.

Pure: what has to be looked up (an image, ids of groups) is passed in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from taskrunner.service.resources.base import Launch, ResourceFailure

#: AWS's own default, m1.small or t2.small, is out of date: this is its size today.
DEFAULT_TYPE = "t3.small"
#: The current Amazon Linux, by the processor.
IMAGE_PARAMETER = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{processor}"
#: By its tag an instance is found whose id never arrived here.
MACHINE_TAG = "taskrunner:machine"
_PIPELINE_TAG, _RESOURCE_TAG = "taskrunner:pipeline", "taskrunner:resource"
#: EC2's own bounds.
_MOST_TAGS, _LONGEST_KEY, _LONGEST_VALUE = 50, 128, 256
_MOST_MACHINES = 20
#: Families of AWS's own processors: a `g` after the number (m7g, c6gn, im4gn), and the first one.
_ARM = re.compile(r"(a1|[a-z]+\d+g[a-z]*)\.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """The fields of an Ec2Resource that its machine is made by."""

    #: As it is told in messages.
    name: str
    region: str
    type: str
    image: str | None = None
    key_pair: str | None = None
    subnet: str | None = None
    group_ids: Sequence[str] = ()
    group_names: Sequence[str] = ()
    role: str | None = None
    zone: str | None = None
    #: In USD an hour; None: on demand.
    bid: str | None = None
    public_address: bool | None = None
    count: int = 1
    #: How many are enough, where there is no room for all.
    enough: int = 1
    tags: Mapping[str, str] = field(default_factory=dict)
    #: The values as the definition has them, by field.
    given: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, wanted: Launch, *, region: str) -> Self:
        """Read a resource's fields. Raises ResourceFailure for one that cannot be right."""
        fields = wanted.fields
        name = f"{wanted.row.type} {wanted.row.component_id!r}"
        once = {key: value for key in fields.keys() if (value := fields.string(key))}  # noqa: SIM118
        many = {key: fields.strings(key) for key in ("securityGroupIds", "securityGroups")}
        given = once | {key: ", ".join(found) for key, found in many.items() if found}
        spot = once.get("spotBidPrice")
        on_demand = wanted.is_last and _switch(name, once, "useOnDemandOnLastAttempt")
        return cls(
            name=name,
            region=once.get("region", region),
            type=once.get("instanceType", DEFAULT_TYPE),
            image=once.get("imageId"),
            key_pair=once.get("keyPair"),
            subnet=once.get("subnetId"),
            group_ids=many["securityGroupIds"],
            group_names=many["securityGroups"],
            role=once.get("resourceRole"),
            zone=once.get("availabilityZone"),
            bid=None if on_demand else spot,
            public_address=_switch(name, once, "associatePublicIpAddress"),
            count=_count(name, once, "instanceCount", 1),
            enough=_count(name, once, "minInstanceCount", _count(name, once, "instanceCount", 1)),
            tags=_tags(wanted),
            given={"instanceType": DEFAULT_TYPE, **given},
        )

    @property
    def processor(self) -> str:
        """The type's processor, as AWS names it."""
        return "arm64" if _ARM.match(self.type) else "x86_64"

    @property
    def wants_group_ids(self) -> bool:
        """Whether groups may not be named by their names, as EC2 wants it beside these fields."""
        return bool(self.group_names) and bool(
            self.subnet or self.group_ids or self.public_address is not None
        )


def request(
    spec: Spec, *, image: str, group_ids: Sequence[str], user_data: str, machine: str
) -> dict[str, Any]:
    """The arguments of RunInstances for one machine."""
    found: dict[str, Any] = {
        "ClientToken": machine,
        "ImageId": image,
        "InstanceType": spec.type,
        "MinCount": 1,
        "MaxCount": 1,
        "UserData": user_data,
        # The instance's own shutdown is its end: the last defence against one that is forgotten.
        "InstanceInitiatedShutdownBehavior": "terminate",
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1},
        "TagSpecifications": _tag_specifications(spec, machine),
        **_network(spec, group_ids),
    }
    if spec.key_pair is not None:
        found["KeyName"] = spec.key_pair
    if spec.role is not None:
        by = "Arn" if spec.role.startswith("arn:") else "Name"
        found["IamInstanceProfile"] = {by: spec.role}
    if spec.zone is not None:
        found["Placement"] = {"AvailabilityZone": spec.zone}
    if spec.bid is not None:
        found["InstanceMarketOptions"] = {
            "MarketType": "spot",
            "SpotOptions": {
                "MaxPrice": spec.bid,
                "SpotInstanceType": "one-time",
                "InstanceInterruptionBehavior": "terminate",
            },
        }
    return found


def _network(spec: Spec, group_ids: Sequence[str]) -> dict[str, Any]:
    """Subnet, groups and address: in an interface of its own where that has to say the address."""
    ids = list(group_ids) if spec.wants_group_ids else list(spec.group_ids)
    if spec.public_address is None:
        names = [] if spec.wants_group_ids else list(spec.group_names)
        found = {"SubnetId": spec.subnet, "SecurityGroupIds": ids, "SecurityGroups": names}
        return {key: value for key, value in found.items() if value}
    interface: dict[str, Any] = {
        "DeviceIndex": 0,
        "AssociatePublicIpAddress": spec.public_address,
        "DeleteOnTermination": True,
        "SubnetId": spec.subnet,
        "Groups": ids,
    }
    whole = {key: value for key, value in interface.items() if value not in (None, [])}
    return {"NetworkInterfaces": [whole]}


def _tag_specifications(spec: Spec, machine: str) -> list[dict[str, Any]]:
    tags = [{"Key": key, "Value": value} for key, value in spec.tags.items()]
    tags.append({"Key": MACHINE_TAG, "Value": machine})
    return [{"ResourceType": kind, "Tags": tags} for kind in ("instance", "volume")]


def _tags(wanted: Launch) -> dict[str, str]:
    """The pipeline's tags, and what says whose the machine is."""
    row = wanted.row
    own = {_PIPELINE_TAG: row.pipeline_id, _RESOURCE_TAG: row.instance_id}
    name = {"Name": f"{wanted.pipeline}/{row.component_id}"}
    # AWS keeps tags that begin so to itself.
    theirs = {k: v for k, v in wanted.tags.items() if not k.lower().startswith("aws:")}
    tags = {**name, **theirs, **own}
    return {
        key[:_LONGEST_KEY]: value[:_LONGEST_VALUE]
        for key, value in list(tags.items())[: _MOST_TAGS - 1]
    }


def _switch(name: str, given: Mapping[str, str], key: str) -> bool | None:
    text = given.get(key)
    if text is None:
        return None
    word = text.strip().lower()
    if word not in {"true", "false"}:
        raise ResourceFailure(
            f"{name}, field {key}: found {text!r}, wanted true or false", permanent=True
        )
    return word == "true"


def _count(name: str, given: Mapping[str, str], key: str, default: int) -> int:
    text = given.get(key, str(default)).strip()
    # More than AWS lets one pipeline have is taken for a mistake.
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= _MOST_MACHINES):
        raise ResourceFailure(
            f"{name}, field {key}: found {text!r}, wanted a number from 1 to {_MOST_MACHINES}",
            permanent=True,
        )
    return int(text)
