"""Clusters that grow before a step: how far, what is waited for, and that nothing fails of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from botocore.exceptions import ClientError

from taskrunner.activities.base import Activity, Canceled, Context
from taskrunner.activities.engines.emr import EmrEngine
from taskrunner.activities.engines.emr_client import EmrClient
from taskrunner.activities.engines.resize import MOST_NODES, PATIENCE_S, nodes_for
from taskrunner.activities.engines.steps import Steps
from taskrunner.errors import PermanentTaskError
from taskrunner.model.document import Value
from taskrunner.model.steps.reader import read_step
from taskrunner.testing import ActivityEnvironment, Ref, new_object, new_task
from tests.unit.activities.engines.fake_emr import FakeEmr
from tests.unit.agent.fakes import FakeClock
from tests.unit.data.dynamodb.fake import FakeDynamoDB

Fields = dict[str, Value | Sequence[Value]]

MASTER = {"Id": "ig-m", "InstanceGroupType": "MASTER", "RequestedInstanceCount": 1}


def group(kind: str, requested: int, running: int, state: str = "RUNNING") -> dict[str, Any]:
    return {
        "Id": f"ig-{kind.lower()}",
        "InstanceGroupType": kind,
        "RequestedInstanceCount": requested,
        "RunningInstanceCount": running,
        "Status": {"State": state},
    }


def emr(*looks: Sequence[dict[str, Any]], **answers: list[Any]) -> FakeEmr:
    """A cluster with these groups of nodes, look after look."""
    return FakeEmr(
        add_job_flow_steps=[{"StepIds": ["s-1"]}],
        describe_cluster=[{"Cluster": {"Status": {"State": "WAITING"}}}],
        describe_step=[{"Step": {"Id": "s-1", "Status": {"State": "COMPLETED"}}}],
        list_steps=[{"Steps": []}],
        list_instance_groups=[{"InstanceGroups": [MASTER, *groups]} for groups in looks],
        **{"modify_instance_groups": [{}], **answers},
    )


class _Work(Activity):
    type = "EmrActivity"

    def __init__(self, api: FakeEmr, *, is_made: bool = True, tables: FakeDynamoDB) -> None:
        self._api, self._is_made, self._tables = api, is_made, tables
        self.clock = FakeClock()

    def run(self, ctx: Context) -> None:
        engine = EmrEngine(
            ctx,
            cluster="j-1",
            client=EmrClient(self._api, "j-1", self.clock),
            clock=self.clock,
            is_made=self._is_made,
            connect=lambda _region, _role: self._tables,
        )
        steps = [read_step("s3://b/x.jar"), read_step("s3://b/y.jar")]
        Steps.prepare(ctx, steps, engines=[engine]).run()


def table_of(name: str, **more: Value) -> Any:
    return new_object(name, "DynamoDBDataNode", {"tableName": "users", **more})


def run(
    api: FakeEmr,
    fields: Fields,
    *,
    is_made: bool = True,
    read: int = 3200,
    canceled_after: int | None = None,
) -> tuple[str, FakeClock]:
    """The log of an activity with a table as input (half of its capacity) and as output."""
    tables = FakeDynamoDB(read=read, write=1000)
    nodes = (table_of("In"), table_of("Out", writeThroughputPercent="1.0"))
    given: Fields = {"input": Ref("In"), "output": Ref("Out")}
    environment = ActivityEnvironment()
    environment.cancel_after = canceled_after
    work = _Work(api, is_made=is_made, tables=tables)
    with environment:
        environment.run(work, new_task("EmrActivity", {**given, **fields}, *nodes))
    return "\n".join(environment.messages), work.clock


def grown(api: FakeEmr) -> list[Any]:
    return [told["InstanceGroups"] for name, told in api.calls if name == "modify_instance_groups"]


GROW: Fields = {"resizeClusterBeforeRunning": "true"}


@pytest.mark.parametrize(
    ("units", "most", "nodes"), [(1, 20, 1), (800, 20, 1), (801, 20, 2), (40_000, 20, 20)]
)
def test_a_node_is_kept_at_work_by_eight_hundred_units(units: float, most: int, nodes: int) -> None:
    assert nodes_for(units, most) == nodes


def test_the_cluster_grows_once_and_the_steps_wait_for_its_nodes() -> None:
    # 3,200 x 0.5 + 1,000 units are four nodes.
    api = emr(
        [group("CORE", 2, 2)],
        [group("CORE", 4, 2, "RESIZING")],
        [group("CORE", 4, 4)],
    )
    log, clock = run(api, GROW)
    assert grown(api) == [[{"InstanceGroupId": "ig-core", "InstanceCount": 4}]]
    at = [api.names.index(name) for name in ("modify_instance_groups", "add_job_flow_steps")]
    assert api.names[at[0] : at[1]].count("list_instance_groups") == 2
    assert "Making the cluster larger, from 2 to 4 nodes, for 2600 units" in log
    assert clock.waits == [15.0]


@pytest.mark.parametrize(
    ("fields", "groups", "expected"),
    [
        ({"resizeClusterMaxInstances": "3"}, [group("CORE", 1, 1)], ("ig-core", 3)),
        ({}, [group("CORE", 1, 1), group("TASK", 1, 1)], ("ig-task", 3)),
    ],
    ids=["within-bounds", "task-nodes"],
)
def test_which_nodes_are_added(
    fields: Fields, groups: list[dict[str, Any]], expected: tuple[str, int]
) -> None:
    api = emr(groups, [group("CORE", 9, 9), group("TASK", 9, 9)])
    run(api, {**GROW, **fields})
    assert grown(api) == [[{"InstanceGroupId": expected[0], "InstanceCount": expected[1]}]]


def test_a_table_that_is_paid_by_request_makes_no_cluster_without_bounds() -> None:
    api = emr([group("CORE", 1, 1)], [group("CORE", MOST_NODES, MOST_NODES)])
    run(api, GROW, read=0)
    assert grown(api) == [[{"InstanceGroupId": "ig-core", "InstanceCount": MOST_NODES}]]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, None),
        ({"resizeClusterBeforeRunning": "false"}, None),
        (GROW, "The cluster has 4 nodes; 4 are enough for 2600 units"),
        ({**GROW, "input": [], "output": []}, "no DynamoDBDataNode is input or output"),
    ],
)
def test_a_cluster_that_is_large_enough_stays_as_it_is(fields: Fields, text: str | None) -> None:
    api = emr([group("CORE", 4, 4)])
    log, _ = run(api, fields)
    assert grown(api) == []
    assert api.names.count("add_job_flow_steps") == 2
    assert text is None or text in log


def test_a_cluster_of_somebody_elses_is_left_alone() -> None:
    api = emr([group("CORE", 1, 1)])
    log, _ = run(api, GROW, is_made=False)
    assert "list_instance_groups" not in api.names
    assert "resizeClusterBeforeRunning has no effect: the cluster j-1 was not made for" in log


_DENIED = ClientError(
    {"Error": {"Code": "AccessDeniedException", "Message": "not allowed"}}, "ModifyInstanceGroups"
)


@pytest.mark.parametrize(
    ("api", "text"),
    [
        (
            emr([group("CORE", 1, 1)], modify_instance_groups=[_DENIED]),
            "EMR refused: not allowed (AccessDeniedException)",
        ),
        (
            emr([group("CORE", 1, 1)], [group("CORE", 4, 2, "ARRESTED")]),
            "its group of nodes is ARRESTED, with 2 of 4 running",
        ),
        (
            emr([group("CORE", 1, 1)], [group("CORE", 4, 1, "RESIZING")]),
            f"its group of nodes is RESIZING after {PATIENCE_S / 60:g} minutes, with 1 of 4",
        ),
        (emr([group("CORE", 1, 1)], []), "its group of nodes is gone, with 0 of 4 running"),
    ],
    ids=["refused", "no-capacity", "slow", "gone"],
)
def test_the_steps_run_on_the_nodes_that_there_are(api: FakeEmr, text: str) -> None:
    log, _ = run(api, GROW)
    assert f"The cluster was not made larger: {text}" in log
    assert api.names.count("add_job_flow_steps") == 2


def test_a_table_that_cannot_be_looked_at_fails_nothing() -> None:
    api = emr([group("CORE", 1, 1)])
    log, _ = run(api, {**GROW, "input": Ref("Out"), "output": []})
    assert "for 1600 units" in log
    tables = FakeDynamoDB()
    other = new_object("In", "DynamoDBDataNode", {"tableName": "other"})
    environment = ActivityEnvironment()
    with environment:
        task = new_task("EmrActivity", {**GROW, "input": Ref("In")}, other)
        environment.run(_Work(api, tables=tables), task)
    assert "The cluster was not made larger: DynamoDBDataNode 'In'" in "\n".join(
        environment.messages
    )


def test_a_cancellation_ends_the_wait() -> None:
    api = emr([group("CORE", 1, 1)], [group("CORE", 4, 1, "RESIZING")])
    with pytest.raises(Canceled):
        run(api, GROW, canceled_after=3)
    assert "add_job_flow_steps" not in api.names


def test_a_bound_that_is_no_number_is_refused() -> None:
    with pytest.raises(PermanentTaskError, match="resizeClusterMaxInstances': found '0', wanted"):
        run(emr([]), {**GROW, "resizeClusterMaxInstances": "0"})
