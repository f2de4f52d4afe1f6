"""Moto's opinion of what is asked of EC2: the shapes of calls, which our own server might misread.

It knows nothing of client tokens or of images that are not there; tests of those ask ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from taskrunner.service.resources.ec2.api import Ec2Api
from taskrunner.service.resources.ec2.machine import MACHINE_TAG, Spec, request

REGION = "us-east-1"


@pytest.fixture
def clients(s3_endpoint: str) -> dict[str, Any]:
    session = boto3.session.Session(aws_access_key_id="k", aws_secret_access_key="s")
    make: Any = session.client
    names = ("ec2", "ssm", "iam")
    return {name: make(name, region_name=REGION, endpoint_url=s3_endpoint) for name in names}


@pytest.fixture
def network(clients: dict[str, Any]) -> Iterator[dict[str, str]]:
    """A subnet with a group and a role, as an account has them."""
    ec2, iam = clients["ec2"], clients["iam"]
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.1.0/24")["Subnet"]
    group = ec2.create_security_group(GroupName="workers", Description="x", VpcId=vpc)["GroupId"]
    ec2.create_key_pair(KeyName="ops")
    iam.create_instance_profile(InstanceProfileName="runners")
    found = {"vpc": vpc, "subnet": subnet["SubnetId"], "group": group}
    yield {**found, "zone": subnet["AvailabilityZone"]}
    iam.delete_instance_profile(InstanceProfileName="runners")
    ec2.delete_key_pair(KeyName="ops")


def test_an_instance_is_what_the_fields_say(
    clients: dict[str, Any], network: dict[str, str]
) -> None:
    api = Ec2Api(lambda name, _region: clients[name])
    spec = Spec(
        name="Ec2Resource 'R'",
        region=REGION,
        type="m7g.large",
        key_pair="ops",
        subnet=network["subnet"],
        group_names=("workers",),
        role="runners",
        zone=network["zone"],
        bid="0.05",
        public_address=True,
        tags={"team": "data", "Name": "p/R"},
    )
    image = api.image(spec)
    arguments = request(
        spec,
        image=image,
        group_ids=api.group_ids(spec),
        user_data="#!/bin/bash\n",
        machine="m-1",
    )
    ec2_id = api.run(spec, arguments)
    reply = clients["ec2"].describe_instances(InstanceIds=[ec2_id])
    (made,) = reply["Reservations"][0]["Instances"]
    assert (made["ImageId"], made["InstanceType"], made["KeyName"]) == (image, "m7g.large", "ops")
    assert (made["SubnetId"], made["VpcId"]) == (network["subnet"], network["vpc"])
    # Of groups that an interface has moto tells there.
    (interface,) = made["NetworkInterfaces"]
    assert [group["GroupId"] for group in interface["Groups"]] == [network["group"]]
    assert made["IamInstanceProfile"]["Arn"].endswith("/runners")
    assert made["InstanceLifecycle"] == "spot"
    assert made["PublicIpAddress"]
    assert {tag["Key"]: tag["Value"] for tag in made["Tags"]} == {
        "team": "data",
        "Name": "p/R",
        MACHINE_TAG: "m-1",
    }
    (seen,) = api.machines(REGION, ["m-1", "m-2"])
    assert (seen.ec2_id, seen.runs, seen.has_ended) == (ec2_id, True, False)
    assert api.terminate(REGION, ["i-00000000000000000", ec2_id]) == {ec2_id: True}
    (seen,) = api.machines(REGION, ["m-1"])
    assert seen.has_ended
