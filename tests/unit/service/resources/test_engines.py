"""EmrClusters in whose place something stands that is there, through a service."""

from __future__ import annotations

from typing import Any

import pytest

from taskrunner.service.resources.base import ResourceProvider
from taskrunner.service.resources.engines import GivenEngines
from taskrunner.service.resources.providers import Providers
from taskrunner.service.resources.rules import Rules, read_rules
from taskrunner.service.resources.targets import Where
from taskrunner.service.store.database import Store
from taskrunner.testing import ServiceInProcess
from tests.unit.service.resources.test_emr import FakeStarter
from tests.unit.service.worlds import ON_DEMAND, T, ref, values

ROLE = "arn:aws:iam::123456789012:role/jobs"
SPARK = Rules.everywhere("spark=spark://h:7077", "--resources")


@pytest.fixture
def starter() -> FakeStarter:
    return FakeStarter()


@pytest.fixture
def world(kept: ServiceInProcess, starter: FakeStarter) -> ServiceInProcess:
    def provider(_store: Store) -> ResourceProvider:
        given = GivenEngines(region="us-east-1", starter=starter)
        return Providers({Where.SPARK: given, Where.EMR_SERVERLESS: given})

    return kept.reset(provider=provider, resources=SPARK)


def start(world: ServiceInProcess, **fields: Any) -> str:
    work = {"id": "A", "type": "EmrActivity", "step": "command-runner.jar,true"}
    cluster = {"id": "R", "type": "EmrCluster", **fields}
    return world.run([ON_DEMAND, {**work, "runsOn": ref("R")}, cluster])


def resource(world: ServiceInProcess, pipeline: str) -> Any:
    return world.instances(pipeline)[f"@R_{T}"]


def rule(text: str) -> Rules:
    return read_rules(f"[[resources]]\n{text}\n", "rules.toml")


def test_an_agent_here_is_told_of_the_master(world: ServiceInProcess, starter: FakeStarter) -> None:
    pipeline = start(world)
    handle = "spark:spark://h:7077@process:1"
    assert resource(world, pipeline).resource_handle == handle
    own = f"resource:{pipeline}_@R_{T}"
    assert starter.started == [own]
    task = world.take(own)
    assert values(task.objects[f"@R_{T}"])["@resourceId"] == handle
    world.conclude(task)
    assert world.components(pipeline) == {"A": ["FINISHED"], "R": ["FINISHED"]}
    assert starter.dead == {"process:1"}


def test_an_agent_here_that_is_lost_is_replaced(
    world: ServiceInProcess, starter: FakeStarter
) -> None:
    pipeline = start(world)
    starter.dead.add("process:1")
    world.settle()
    assert resource(world, pipeline).resource_handle == "spark:spark://h:7077@process:2"


def test_agents_of_a_group_take_the_work_at_once(
    world: ServiceInProcess, starter: FakeStarter
) -> None:
    world.reopen(resources=rule('run = "spark=yarn"\nagents = "a@process:7"'))
    pipeline = start(world)
    row = resource(world, pipeline)
    assert (row.status, row.resource_handle) == ("RUNNING", "spark:yarn#a@process:7")
    world.work_off("a@process:7")
    assert world.components(pipeline) == {"A": ["FINISHED"], "R": ["FINISHED"]}
    assert starter.started == []


def test_jobs_of_emr_serverless_have_the_role_of_the_rule_or_of_the_resource(
    world: ServiceInProcess,
) -> None:
    text = 'run = "emr-serverless=00a,00b"\nagents = "jobs"'
    world.reopen(resources=rule(f"{text}\nrole = {ROLE!r}"))
    first = resource(world, start(world, region="eu-west-1")).resource_handle
    assert first == f"emr-serverless:eu-west-1:00a,00b:{ROLE}#jobs"
    world.reopen(resources=rule(text))
    second = resource(world, start(world, resourceRole=ROLE)).resource_handle
    assert second == f"emr-serverless:us-east-1:00a,00b:{ROLE}#jobs"


def test_without_a_role_the_resource_fails_and_says_so(world: ServiceInProcess) -> None:
    world.reopen(resources=rule('run = "emr-serverless=00a"\nagents = "jobs"'))
    row = resource(world, start(world, resourceRole="DataPipelineDefaultResourceRole"))
    assert row.status == "FAILED"
    assert row.error_message == (
        "EmrCluster 'R', field resourceRole: found 'DataPipelineDefaultResourceRole', wanted "
        "arn:aws:iam::ACCOUNT:role/NAME, or role = 'arn:...' in the rule"
    )
