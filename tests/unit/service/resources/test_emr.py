"""EmrCluster through a service whose EMR is a small server: what is made, watched and ended."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from taskrunner.service.resources.base import ResourceProvider
from taskrunner.service.resources.emr.api import EmrApi
from taskrunner.service.resources.emr.cluster import Cluster
from taskrunner.service.resources.emr.provider import LATE, UNSURE_S, WATCH_S, EmrClusters
from taskrunner.service.resources.providers import Providers
from taskrunner.service.resources.rules import Rules, read_rules
from taskrunner.service.resources.targets import Where
from taskrunner.service.store import clusters as cluster_store
from taskrunner.service.store.database import Store
from taskrunner.service.store.rows import ClusterRow
from taskrunner.testing import ServiceInProcess
from taskrunner.testing.emr import EmrInProcess
from tests.unit.service.worlds import ON_DEMAND, FakeProvider, T, ref, values

MINUTE = timedelta(minutes=1)
BY_GROUP = read_rules('[[resources]]\nrun = "emr"\nagents = "hadoop"\n', "rules.toml")
HERE = Rules.everywhere("emr", "--resources")
ANSWERING = Config(retries={"total_max_attempts": 1})


@pytest.fixture(scope="module")
def _emr(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EmrInProcess, dict[str, Any]]]:
    folder: Path = tmp_path_factory.mktemp("s3")
    with EmrInProcess(s3_root=folder) as server:
        session = boto3.session.Session(aws_access_key_id="k", aws_secret_access_key="s")
        make: Any = session.client
        regions = ("us-east-1", "eu-west-1")
        yield (
            server,
            {
                region: make("emr", region_name=region, endpoint_url=server.url, config=ANSWERING)
                for region in regions
            },
        )


@pytest.fixture
def emr(_emr: tuple[EmrInProcess, dict[str, Any]]) -> EmrInProcess:
    """The server, empty as at its start."""
    _emr[0].reset()
    return _emr[0]


class Killed(BaseException):
    """The service ends here: nothing of what it had in its memory is left."""


class Mortal(EmrApi):
    """Has the service die over the call that makes a cluster."""

    dies = ""

    def run(self, cluster: Cluster, mark: str) -> str:
        if self.dies == "before":
            raise Killed
        made = super().run(cluster, mark)
        if self.dies == "after":
            raise Killed
        return made


class FakeStarter:
    """Starts no agents, and remembers for which groups it was asked."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.dead: set[str] = set()

    def start(self, worker_group: str) -> str:
        self.started.append(worker_group)
        return f"process:{len(self.started)}"

    def alive(self, handle: str) -> bool:
        return handle not in self.dead

    def end(self, handle: str) -> bool:
        self.dead.add(handle)
        return True


@pytest.fixture
def api(_emr: tuple[EmrInProcess, dict[str, Any]]) -> Mortal:
    return Mortal(lambda _name, region: _emr[1][region])


@pytest.fixture
def starter() -> FakeStarter:
    return FakeStarter()


@pytest.fixture
def world(
    kept: ServiceInProcess, emr: EmrInProcess, api: Mortal, starter: FakeStarter
) -> ServiceInProcess:
    def provider(store: Store) -> ResourceProvider:
        clusters = EmrClusters(
            store, region="us-east-1", clock=kept.clock, starter=starter, api=api
        )
        return Providers({Where.EMR: clusters, Where.LOCAL: FakeProvider()})

    return kept.reset(provider=provider, resources=BY_GROUP)


def cluster(object_id: str = "R", **fields: Any) -> dict[str, Any]:
    return {"id": object_id, "type": "EmrCluster", **fields}


def work(object_id: str = "A", **fields: Any) -> dict[str, Any]:
    own = {"step": "command-runner.jar,true", "reportProgressTimeout": "30 days"}
    return {"id": object_id, "type": "EmrActivity", "runsOn": ref("R"), **own, **fields}


def start(world: ServiceInProcess, *more: dict[str, Any], **fields: Any) -> str:
    """A pipeline with one task on one cluster."""
    return world.run([ON_DEMAND, work(), cluster(**fields), *more])


def resource(world: ServiceInProcess, pipeline: str) -> Any:
    return world.instances(pipeline)[f"@R_{T}"]


def noted(world: ServiceInProcess) -> list[ClusterRow]:
    with world.service.store.read() as conn:
        return cluster_store.everything(conn)


def own_group(pipeline: str) -> str:
    return f"resource:{pipeline}_@R_{T}"


# -- a life ---------------------------------------------------------------------------------


def test_a_cluster_is_made_for_the_resource_and_ends_with_it(
    world: ServiceInProcess, emr: EmrInProcess
) -> None:
    emr.at_once = False
    pipeline = start(world)
    (made,) = emr.running
    row = resource(world, pipeline)
    assert (row.status, row.resource_handle) == ("ACTIVATING", f"emr:us-east-1:{made.id}#hadoop")
    assert world.claim("hadoop") is None
    emr.set_up(made.id, "BOOTSTRAPPING")
    world.advance(WATCH_S)
    assert resource(world, pipeline).status == "ACTIVATING"
    emr.set_up(made.id)
    world.advance(WATCH_S)
    assert resource(world, pipeline).status == "RUNNING"
    task = world.take("hadoop")
    told = values(task.objects[f"@R_{T}"])
    assert told["@resourceId"] == f"emr:us-east-1:{made.id}#hadoop"
    world.conclude(task)
    assert world.components(pipeline) == {"A": ["FINISHED"], "R": ["FINISHED"]}
    assert (emr.running, made.state, made.code) == ([], "TERMINATING", "USER_REQUEST")
    # Nothing is left of it in the store either, once EMR has said so.
    world.advance(WATCH_S)
    assert noted(world) == []


def test_whoever_comes_later_uses_the_same_cluster(
    world: ServiceInProcess, emr: EmrInProcess
) -> None:
    later = {"dependsOn": ref("A")}
    pipeline = start(world, work("B", **later))
    world.work_off("hadoop")
    assert world.components(pipeline) == {"A": ["FINISHED"], "B": ["FINISHED"], "R": ["FINISHED"]}
    assert emr.calls.count("RunJobFlow") == 1


def test_an_agent_is_started_here_where_no_groups_agents_use_it(
    world: ServiceInProcess, emr: EmrInProcess, starter: FakeStarter
) -> None:
    world.reopen(resources=HERE)
    emr.at_once = False
    pipeline = start(world)
    assert starter.started == []
    (made,) = emr.running
    emr.set_up(made.id)
    world.advance(WATCH_S)
    assert starter.started == [own_group(pipeline)]
    # One that ends is started again: the cluster is still there.
    starter.dead.add("process:1")
    world.advance(WATCH_S)
    assert starter.started == [own_group(pipeline)] * 2
    world.work_off(own_group(pipeline))
    assert world.components(pipeline) == {"A": ["FINISHED"], "R": ["FINISHED"]}
    assert (emr.running, starter.dead) == ([], {"process:1", "process:2"})


def test_after_a_restart_the_cluster_and_its_agent_are_looked_after_again(
    world: ServiceInProcess, emr: EmrInProcess, starter: FakeStarter
) -> None:
    world.reopen(resources=HERE)
    pipeline = start(world)
    assert starter.started == [own_group(pipeline)]
    world.reopen()
    world.advance(WATCH_S)
    assert starter.started == [own_group(pipeline)] * 2
    assert resource(world, pipeline).failures == 0
    world.work_off(own_group(pipeline))
    assert (len(emr.clusters), emr.running) == (1, [])


# -- ends -----------------------------------------------------------------------------------


def test_a_cluster_that_fails_to_start_is_made_again_and_says_why(
    world: ServiceInProcess, emr: EmrInProcess
) -> None:
    why = "On the master instance (i-1), bootstrap action 1 returned a non-zero return code"
    emr.stillborn = [("BOOTSTRAP_FAILURE", why)] * 2
    pipeline = start(world, maximumRetries="1")
    first, second = emr.clusters.values()
    row = resource(world, pipeline)
    assert (row.status, row.error_id) == ("FAILED", "ResourceFailed")
    said = f"the EMR cluster {second.id} is TERMINATED_WITH_ERRORS (BOOTSTRAP_FAILURE: {why})"
    assert row.error_message == f"its runner ended unexpectedly: {said}"
    assert first.id != second.id


def test_a_bootstrap_action_whose_script_is_missing_fails_the_cluster(
    world: ServiceInProcess, emr: EmrInProcess
) -> None:
    # What the first way of running definitions here passed over in silence.
    pipeline = start(world, bootstrapAction="s3://b/none.sh,x", maximumRetries="0")
    row = resource(world, pipeline)
    assert (row.status, emr.running) == ("FAILED", [])
    assert "BOOTSTRAP_FAILURE: On the master instance (i-1), bootstrap action s3://b/none.sh" in (
        row.error_message
    )
    assert world.components(pipeline) == {"A": ["CANCELED"], "R": ["FAILED"]}


def test_an_application_that_the_release_does_not_have_is_told(
    world: ServiceInProcess, emr: EmrInProcess
) -> None:
    pipeline = start(world, applications=["Hive", "Nothing"])
    row = resource(world, pipeline)
    assert (row.status, emr.clusters) == ("FAILED", {})
    assert "field applications: 'Hive, Nothing' is not taken: name those" in row.error_message


def test_a_cluster_whose_spot_instance_is_taken_back_is_made_again_on_demand_at_last(
    world: ServiceInProcess, emr: EmrInProcess
) -> None:
    pipeline = start(
        world,
        masterInstanceBidPrice="0.10",
        useOnDemandOnLastAttempt="true",
        maximumRetries="1",
        retryDelay="10 minutes",
    )
    (first,) = emr.running
    assert first.request["Instances"]["InstanceGroups"][0]["BidPrice"] == "0.10"
    emr.interrupt(first.id)
    world.advance(WATCH_S)
    (second,) = emr.running
    assert second.request["Instances"]["InstanceGroups"][0]["Market"] == "ON_DEMAND"
    assert resource(world, pipeline).failures == 1
    world.work_off("hadoop")
    assert world.components(pipeline) == {"A": ["FINISHED"], "R": ["FINISHED"]}


def test_no_agent_takes_work_for_a_cluster_that_is_gone(
    world: ServiceInProcess, emr: EmrInProcess
) -> None:
    pipeline = start(world)
    (made,) = emr.running
    emr.at_once = False
    emr.kill(made.id)
    world.advance(WATCH_S)
    # The next one is not set up yet: what waits must not run without it.
    assert world.claim("hadoop") is None
    assert resource(world, pipeline).status == "ACTIVATING"


def test_nothing_runs_after_terminate_after(world: ServiceInProcess, emr: EmrInProcess) -> None:
    # AWS's table has a number of hours, its samples a period.
    pipeline = start(world, terminateAfter="2")
    (made,) = emr.running
    # By itself it ends a little later, if there is no service any more.
    assert made.request["AutoTerminationPolicy"] == {"IdleTimeout": 2 * 3600 + 300}
    world.take("hadoop")
    world.advance(timedelta(hours=2))
    assert emr.running == []
    assert world.components(pipeline) == {"A": ["CANCELED"], "R": ["TIMEDOUT"]}


def test_a_cluster_that_takes_too_long_is_ended_before_the_next_is_made(
    world: ServiceInProcess, emr: EmrInProcess
) -> None:
    emr.at_once = False
    pipeline = start(world, initTimeout="10 minutes", maximumRetries="0")
    (made,) = emr.running
    world.advance(10 * MINUTE)
    row = resource(world, pipeline)
    assert (row.status, emr.running) == ("FAILED", [])
    assert row.error_message == (
        "its runner did not ask for work within initTimeout (0:10:00): "
        f"the EMR cluster {made.id} is STARTING"
    )


def test_a_task_that_fails_ends_the_cluster_where_it_says_so(
    world: ServiceInProcess, emr: EmrInProcess
) -> None:
    start(world, actionOnTaskFailure="terminate", maximumRetries="0")
    for _ in range(3):
        task = world.claim("hadoop")
        if task is not None:
            world.conclude(task, "FAILED")
        world.advance(10 * MINUTE)
    assert emr.running == []


def test_a_cluster_that_is_lost_is_not_made_again_with_retrynone(
    world: ServiceInProcess, emr: EmrInProcess
) -> None:
    pipeline = start(world, actionOnResourceFailure="retrynone")
    (made,) = emr.running
    emr.kill(made.id)
    world.advance(WATCH_S)
    assert (resource(world, pipeline).status, len(emr.clusters)) == ("FAILED", 1)


def test_a_deleted_pipeline_leaves_no_cluster(world: ServiceInProcess, emr: EmrInProcess) -> None:
    pipeline = start(world)
    # The call comes at a bad moment, and nobody makes it again.
    emr.fail("TerminateJobFlows", "ThrottlingException")
    world.service.delete_pipeline(pipeline)
    assert len(emr.running) == 1
    world.advance(2 * WATCH_S)
    assert emr.running == []
    world.advance(WATCH_S)
    assert noted(world) == []


def test_an_end_that_is_refused_for_a_while_is_asked_for_again(
    world: ServiceInProcess, emr: EmrInProcess
) -> None:
    pipeline = start(world)
    emr.fail("TerminateJobFlows", "AccessDeniedException")
    world.work_off("hadoop")
    assert (resource(world, pipeline).status, len(emr.running)) == ("SHUTTING_DOWN", 1)
    world.advance(WATCH_S)
    assert (resource(world, pipeline).status, len(emr.running)) == ("FINISHED", 0)


def test_a_rule_that_changes_ends_the_cluster(world: ServiceInProcess, emr: EmrInProcess) -> None:
    pipeline = start(world)
    world.reopen(resources=Rules.everywhere("group=prod", "--resources"))
    world.settle()
    assert (emr.running, resource(world, pipeline).resource_handle) == ([], "group:prod")


# -- what is refused ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"releaseLabel": "emr-9.9.9"},
            "EmrCluster 'R', field releaseLabel: 'emr-9.9.9' is not taken: name a release that the",
        ),
        ({"releaseLabel": "emr-9.9.9"}, "(ValidationException in us-east-1: The supplied release"),
        ({"resourceRole": "nobody"}, "field resourceRole: 'nobody' is not taken: name a profile"),
        ({"role": "nobody"}, "field role: 'nobody' is not taken: name a role that elastic"),
        ({"subnetId": "subnet-9"}, "field subnetId: 'subnet-9' is not taken: name a subnet"),
        ({"role": "admin"}, "fields role and resourceRole: they may not be passed to EMR"),
        ({"amiVersion": "3.11", "releaseLabel": "emr-5.36.2"}, "field amiVersion: found '3.11'"),
    ],
)
def test_what_no_retry_would_mend_is_tried_once_and_said_in_one_sentence(
    world: ServiceInProcess, emr: EmrInProcess, fields: dict[str, str], said: str
) -> None:
    emr.account.unpassable = {"admin"}
    emr.account.roles.add("admin")
    pipeline = start(world, **fields)
    row = resource(world, pipeline)
    assert (row.status, emr.clusters) == ("FAILED", {})
    assert said in row.error_message
    world.advance(WATCH_S)
    assert noted(world) == []


def test_a_limit_is_waited_for(world: ServiceInProcess, emr: EmrInProcess) -> None:
    emr.account.room = 0
    pipeline = start(world, retryDelay="10 minutes")
    row = resource(world, pipeline)
    assert (row.status, row.failures) == ("CREATING", 1)
    assert "EmrCluster 'R': a limit of the account is reached" in row.error_message
    emr.account.room = 1
    world.advance(10 * MINUTE)
    assert len(emr.running) == 1


def test_an_emr_that_throttles_costs_no_retry_and_is_said(
    world: ServiceInProcess, emr: EmrInProcess
) -> None:
    emr.fail("RunJobFlow", "ThrottlingException", "Rate exceeded")
    pipeline = start(world)
    row = resource(world, pipeline)
    assert (row.status, row.failures) == ("CREATING", 0)
    assert row.error_message == "EMR in us-east-1 is busy (ThrottlingException); it is asked again"
    world.advance(WATCH_S)
    row = resource(world, pipeline)
    # Nothing was made by the call that was throttled, so nothing was looked for.
    assert (row.status, row.error_message, len(emr.running)) == ("RUNNING", None, 1)


# -- a service that dies, and answers that are lost -----------------------------------------


@pytest.mark.parametrize("at", ["before", "after"])
def test_a_service_that_is_killed_over_a_launch_makes_one_cluster(
    world: ServiceInProcess, emr: EmrInProcess, api: Mortal, at: str
) -> None:
    api.dies = at
    with pytest.raises(Killed):
        start(world)
    assert len(emr.clusters) == (at == "after")
    api.dies = ""
    world.reopen()
    world.settle()
    (pipeline,) = {row.pipeline_id for row in noted(world)}
    if at == "before":
        # It may still turn up, so that nothing is asked for yet.
        assert emr.clusters == {}
        said = "EMR was asked for the cluster, and may still make it"
        assert resource(world, pipeline).error_message == said
        world.advance(UNSURE_S)
    (made,) = emr.running
    assert resource(world, pipeline).resource_handle == f"emr:us-east-1:{made.id}#hadoop"
    world.work_off("hadoop")
    assert (len(emr.clusters), emr.running) == (1, [])


def test_a_cluster_whose_answer_was_lost_is_found_by_its_name(
    world: ServiceInProcess, emr: EmrInProcess
) -> None:
    emr.lose_answers("RunJobFlow")
    emr.lag = 1
    pipeline = start(world)
    assert "whether EMR makes its cluster is not known" in resource(world, pipeline).error_message
    world.advance(WATCH_S)
    world.advance(WATCH_S)
    (made,) = emr.clusters.values()
    assert resource(world, pipeline).resource_handle == f"emr:us-east-1:{made.id}#hadoop"
    assert resource(world, pipeline).failures == 0


def test_a_cluster_that_turns_up_late_is_ended(world: ServiceInProcess, emr: EmrInProcess) -> None:
    emr.lose_answers("RunJobFlow")
    emr.lag = 12
    pipeline = start(world)
    for _ in range(8):
        world.advance(WATCH_S)
    emr.lag = 0
    assert len(emr.clusters) == 2
    for _ in range(8):
        world.advance(WATCH_S)
    (left,) = emr.running
    assert resource(world, pipeline).resource_handle == f"emr:us-east-1:{left.id}#hadoop"


def test_a_cluster_whose_resource_was_given_up_meanwhile_is_found_and_ended(
    world: ServiceInProcess, emr: EmrInProcess, api: Mortal
) -> None:
    api.dies = "after"
    with pytest.raises(Killed):
        start(world)
    api.dies = ""
    (pipeline,) = {row.pipeline_id for row in noted(world)}
    world.service.delete_pipeline(pipeline)
    assert len(emr.running) == 1
    world.reopen()
    world.settle()
    assert emr.running == []


def test_a_launch_that_nobody_wants_any_more_is_forgotten_in_the_end(
    world: ServiceInProcess, emr: EmrInProcess, api: Mortal
) -> None:
    api.dies = "before"
    with pytest.raises(Killed):
        start(world)
    api.dies = ""
    (pipeline,) = {row.pipeline_id for row in noted(world)}
    world.service.delete_pipeline(pipeline)
    world.reopen()
    world.settle()
    assert len(noted(world)) == 1
    world.advance(LATE)
    assert (noted(world), emr.clusters) == ([], {})


def test_a_cluster_that_emr_has_forgotten_counts_as_gone(
    world: ServiceInProcess, emr: EmrInProcess
) -> None:
    pipeline = start(world, maximumRetries="0")
    emr.clusters.clear()
    world.advance(UNSURE_S)
    row = resource(world, pipeline)
    assert row.status == "FAILED"
    assert "is TERMINATED (EMR does not know it)" in row.error_message
    world.advance(WATCH_S)
    assert noted(world) == []


def test_the_agent_ends_although_another_service_has_seen_to_the_end_of_its_cluster(
    world: ServiceInProcess, emr: EmrInProcess, starter: FakeStarter
) -> None:
    world.reopen(resources=HERE)
    pipeline = start(world)
    assert (starter.started, starter.dead) == ([own_group(pipeline)], set())
    with world.service.store.write() as conn:
        cluster_store.remove(conn, [row.cluster_id for row in cluster_store.everything(conn)])
    world.advance(WATCH_S)
    assert starter.dead == {"process:1"}


def test_clusters_of_others_are_left_alone(world: ServiceInProcess, emr: EmrInProcess) -> None:
    other = emr.add_cluster()
    emr.clusters[other].name = "nightly/R [c-0123456789abcdef]"
    start(world)
    world.advance(WATCH_S)
    assert emr.clusters[other].state == "WAITING"


def test_a_region_that_does_not_answer_is_no_end_of_its_clusters(
    world: ServiceInProcess, emr: EmrInProcess
) -> None:
    pipeline = start(world, region="eu-west-1")
    emr.fail("ListClusters", "ThrottlingException", times=2)
    world.advance(WATCH_S)
    world.advance(WATCH_S)
    assert (resource(world, pipeline).failures, len(emr.clusters)) == (0, 1)


def test_one_call_watches_all_clusters_of_a_region(
    world: ServiceInProcess, emr: EmrInProcess
) -> None:
    for _ in range(2):
        start(world)
    world.advance(WATCH_S)
    before = len(emr.calls)
    world.advance(WATCH_S)
    assert emr.calls[before:] == ["ListClusters"]
