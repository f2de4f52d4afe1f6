"""What fields of resources do for each group of nodes, and for each type that has them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from taskrunner.model.policy import Policy
from taskrunner.model.reader import read_definition
from taskrunner.service.resources.base import Launch
from taskrunner.service.resources.ec2.machine import Spec
from taskrunner.service.resources.emr.cluster import Cluster
from tests.unit.cli.pictures import instance
from tests.unit.service.worlds import ref

PARTS: list[dict[str, Any]] = [
    {"id": "Config", "type": "EmrConfiguration", "classification": "spark"},
    {"id": "Ebs", "type": "EbsConfiguration", "ebsOptimized": "true"},
]


def wanted(kind: str, *objects: dict[str, Any], **fields: Any) -> Launch:
    own = {"id": "C", "type": kind, **fields}
    found = {obj.id: obj for obj in read_definition(json.dumps({"objects": [own, *objects]}))}
    row = instance("C", "CREATING", category="resource", type=kind)
    policy = Policy.of(found["C"].string, at=row.scheduled_start)
    return Launch(
        row=row,
        fields=found.pop("C"),
        referred=found,
        policy=policy,
        account="1",
        pipeline="nightly",
        tags={},
    )


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (
            "master",
            {
                "masterInstanceType": "m5.4xlarge",
                "masterInstanceBidPrice": "0.5",
                "masterGroupConfiguration": ref("Config"),
                "masterEbsConfiguration": ref("Ebs"),
            },
        ),
        (
            "task",
            {
                "taskInstanceType": "m5.4xlarge",
                "taskInstanceBidPrice": "0.5",
                "taskGroupConfiguration": ref("Config"),
                "taskEbsConfiguration": ref("Ebs"),
            },
        ),
    ],
)
def test_each_group_of_nodes_has_fields_of_its_own(kind: str, fields: dict[str, Any]) -> None:
    cluster = Cluster.of(wanted("EmrCluster", *PARTS, **fields), region="us-east-1")
    groups = cluster.request["Instances"]["InstanceGroups"]
    (group,) = [group for group in groups if group["Name"] == kind]
    assert (group["InstanceType"], group["BidPrice"]) == ("m5.4xlarge", "0.5")
    assert [each["Classification"] for each in group["Configurations"]] == ["spark"]
    assert group["EbsConfiguration"]["EbsOptimized"] is True
    others = [other for other in groups if other is not group]
    assert others
    assert not any("Configurations" in other or "BidPrice" in other for other in others)


def test_resources_are_made_in_their_own_region() -> None:
    fields = {"region": "eu-west-1"}
    assert Spec.of(wanted("Ec2Resource", **fields), region="us-east-1").region == "eu-west-1"
    assert Cluster.of(wanted("EmrCluster", **fields), region="us-east-1").region == "eu-west-1"
