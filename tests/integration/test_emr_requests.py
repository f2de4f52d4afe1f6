"""Moto's opinion of what is asked of EMR: the shapes of calls, which our own server might misread.

Its clusters never change by themselves, and it knows no releases; tests of that ask ours.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import boto3

from taskrunner.activities.engines.emr_client import EmrClient
from taskrunner.clock import SystemClock
from taskrunner.service.resources.emr.api import EmrApi
from taskrunner.service.resources.emr.cluster import Cluster
from tests.unit.service.resources.test_emr_request import wanted
from tests.unit.service.worlds import ref

REGION = "us-east-1"


def test_a_cluster_is_what_the_fields_say_and_is_found_by_its_name(s3_endpoint: str) -> None:
    session = boto3.session.Session(aws_access_key_id="k", aws_secret_access_key="s")
    make: Any = session.client
    client = make("emr", region_name=REGION, endpoint_url=s3_endpoint)
    api = EmrApi(lambda _name, _region: client)
    launch = wanted(
        {
            "id": "Spark",
            "type": "EmrConfiguration",
            "classification": "spark",
            "property": ref("Max"),
        },
        {"id": "Max", "type": "Property", "key": "maximizeResourceAllocation", "value": "true"},
        # Of later ones moto takes no auto-termination.
        releaseLabel="emr-5.29.0",
        configuration=ref("Spark"),
        coreInstanceCount="2",
        coreInstanceBidPrice="0.25",
        applications=["Spark"],
        bootstrapAction="s3://b/x.sh,a",
        emrLogUri="s3://logs/emr",
    )
    before = SystemClock().now() - timedelta(hours=1)
    cluster = Cluster.of(launch, region=REGION)
    made = api.run(cluster, "c-0123")
    assert [(s.emr_id, s.takes_work) for s in api.active(REGION) if s.mark == "c-0123"] == [
        (made, True)
    ]
    assert [seen.emr_id for seen in api.made_since(REGION, before) if seen.mark == "c-0123"] == [
        made
    ]
    found = client.describe_cluster(ClusterId=made)["Cluster"]
    assert (found["LogUri"], found["ReleaseLabel"]) == ("s3://logs/emr/", "emr-5.29.0")
    assert found["Configurations"][0]["Properties"] == {"maximizeResourceAllocation": "true"}
    groups = client.list_instance_groups(ClusterId=made)["InstanceGroups"]
    kinds = {(g["InstanceGroupType"], g["Market"], g["RequestedInstanceCount"]) for g in groups}
    assert kinds == {("MASTER", "ON_DEMAND", 1), ("CORE", "SPOT", 2)}
    steps = EmrClient(client, made, SystemClock())
    (core,) = steps.nodes()
    steps.grow(core.id, 5)
    assert [(nodes.kind, nodes.requested) for nodes in steps.nodes()] == [("CORE", 5)]
    api.terminate(REGION, [made])
    seen = api.describe(REGION, made)
    assert seen is not None
    assert seen.has_ended
    assert [seen for seen in api.active(REGION) if seen.mark == "c-0123"] == []
