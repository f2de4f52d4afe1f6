"""Ec2Resource through a service whose EC2 is a small server: what is made, watched and ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.config import Config

from taskrunner.service.resources.base import ResourceProvider
from taskrunner.service.resources.ec2.api import Ec2Api
from taskrunner.service.resources.ec2.machine import Spec
from taskrunner.service.resources.ec2.provider import GRACE_S, LATE, WATCH_S, Ec2Machines
from taskrunner.service.resources.ec2.user_data import AgentSettings
from taskrunner.service.resources.providers import Providers
from taskrunner.service.resources.rules import Rules
from taskrunner.service.resources.targets import Where
from taskrunner.service.store import instances as instance_store
from taskrunner.service.store import machines as machine_store
from taskrunner.service.store.database import Store
from taskrunner.service.store.rows import MachineRow
from taskrunner.testing import ServiceInProcess
from taskrunner.testing.ec2 import GROUP, GROUP_NAME, IMAGE, KEY_PAIR, ROLE, SUBNET, Ec2Server
from tests.unit.service.worlds import ON_DEMAND, FakeProvider, T, alarm, ec2, ref, shell

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
AGENTS = AgentSettings(
    endpoint="https://pipelines.example.com",
    region="us-east-1",
    package="taskrunner-agent==1.0",
    signed=True,
)
ANSWERING = Config(retries={"mode": "standard", "total_max_attempts": 1})


@pytest.fixture(scope="module")
def _clients() -> Iterator[tuple[Ec2Server, Mapping[tuple[str, str], Any]]]:
    with Ec2Server() as server:
        made: dict[tuple[str, str], Any] = {}
        session = boto3.session.Session(aws_access_key_id="k", aws_secret_access_key="s")
        for name in ("ec2", "ssm"):
            for region in ("us-east-1", "eu-west-1"):
                make: Any = session.client
                made[name, region] = make(
                    name, region_name=region, endpoint_url=server.url, config=ANSWERING
                )
        yield server, made


@pytest.fixture
def aws(_clients: tuple[Ec2Server, Mapping[tuple[str, str], Any]]) -> Ec2Server:
    """The server, empty as at its start."""
    _clients[0].reset()
    return _clients[0]


class Killed(BaseException):
    """The service ends here: nothing of what it had in its memory is left."""


class Mortal(Ec2Api):
    """Has the service die over the call that makes an instance."""

    dies = ""

    def run(self, spec: Spec, arguments: dict[str, Any]) -> str:
        if self.dies == "before":
            raise Killed
        made = super().run(spec, arguments)
        if self.dies == "after":
            raise Killed
        return made


@pytest.fixture
def api(_clients: tuple[Ec2Server, Mapping[tuple[str, str], Any]]) -> Mortal:
    return Mortal(lambda name, region: _clients[1][name, region])


@pytest.fixture
def world(kept: ServiceInProcess, aws: Ec2Server, api: Mortal) -> ServiceInProcess:
    def provider(store: Store) -> ResourceProvider:
        machines = Ec2Machines(store, region="us-east-1", clock=kept.clock, agents=AGENTS, api=api)
        return Providers({Where.EC2: machines, Where.LOCAL: FakeProvider()})

    return kept.reset(provider=provider, resources=Rules.everywhere("ec2", "--resources"))


def start(world: ServiceInProcess, **fields: Any) -> str:
    """A pipeline with one task on one resource."""
    resource = ec2("R", **fields)
    task = shell("A", runsOn=ref("R"), reportProgressTimeout="30 days")
    return world.run([ON_DEMAND, task, resource])


def resource(world: ServiceInProcess, pipeline: str) -> Any:
    return world.instances(pipeline)[f"@R_{T}"]


def group(pipeline: str) -> str:
    return f"resource:{pipeline}_@R_{T}"


def noted(world: ServiceInProcess) -> list[MachineRow]:
    with world.service.store.read() as conn:
        return machine_store.everything(conn)


def actions(aws: Ec2Server) -> list[str]:
    return [action for action, _ in aws.calls]


# -- a life ---------------------------------------------------------------------------------


def test_an_instance_is_made_for_the_resource_and_ends_with_it(
    world: ServiceInProcess, aws: Ec2Server
) -> None:
    pipeline = start(world)
    (machine,) = aws.running
    row = resource(world, pipeline)
    assert (row.status, row.resource_handle) == ("ACTIVATING", f"ec2:us-east-1:{machine.ec2_id}")
    world.work_off(group(pipeline))
    assert world.components(pipeline) == {"A": ["FINISHED"], "R": ["FINISHED"]}
    assert aws.running == []
    # Nothing is left of it in the store either, once EC2 has said so.
    world.advance(WATCH_S)
    assert noted(world) == []


def test_fields_say_what_it_is_made_of(world: ServiceInProcess, aws: Ec2Server) -> None:
    start(
        world,
        instanceType="m7g.large",
        imageId=IMAGE,
        keyPair=KEY_PAIR,
        subnetId=SUBNET,
        securityGroups=GROUP_NAME,
        securityGroupIds=GROUP,
        resourceRole=ROLE,
        availabilityZone="us-east-1b",
        region="eu-west-1",
    )
    (machine,) = aws.running
    asked = machine.request.without("UserData", "ClientToken", "Action", "Version")
    tags = {key: text for key, text in asked.items() if key.startswith("TagSpecification")}
    assert {key: text for key, text in asked.items() if key not in tags} == {
        "IamInstanceProfile.Name": ROLE,
        "ImageId": IMAGE,
        "InstanceInitiatedShutdownBehavior": "terminate",
        "InstanceType": "m7g.large",
        "KeyName": KEY_PAIR,
        "MaxCount": "1",
        "MetadataOptions.HttpPutResponseHopLimit": "1",
        "MetadataOptions.HttpTokens": "required",
        "MinCount": "1",
        "Placement.AvailabilityZone": "us-east-1b",
        # Names are no names to EC2 beside a subnet.
        "SecurityGroupId.1": GROUP,
        "SecurityGroupId.2": GROUP,
        "SubnetId": SUBNET,
    }
    assert machine.tags["Name"] == "test/R"
    assert machine.tags["taskrunner:machine"] == machine.token


def images_asked_for(aws: Ec2Server) -> list[str]:
    names = [query.text("Name") or "" for name, query in aws.calls if name == "GetParameter"]
    return [name.rpartition("-")[2] for name in names]


def test_a_definition_that_says_nothing_gets_the_current_amazon_linux(
    world: ServiceInProcess, aws: Ec2Server
) -> None:
    for kind in ("t4g.micro", "g5.xlarge", "im4gn.large", "a1.large"):
        start(world, instanceType=kind)
    start(world)
    assert {machine.request.text("ImageId") for machine in aws.running} == {IMAGE}
    assert images_asked_for(aws) == ["arm64", "x86_64"]
    kinds = [(m.request.text("InstanceType"), m.variable("PREFIX")) for m in aws.running]
    assert kinds[-1] == ("t3.small", "/opt/taskrunner")
    # What is current is asked for again after an hour.
    world.advance(HOUR)
    start(world)
    assert len(images_asked_for(aws)) > 2


def test_a_public_address_is_asked_for_in_an_interface(
    world: ServiceInProcess, aws: Ec2Server
) -> None:
    start(world, associatePublicIpAddress="true", securityGroups=GROUP_NAME)
    (machine,) = aws.running
    interface = machine.request.part("NetworkInterface.1")
    assert interface.text("AssociatePublicIpAddress") == "true"
    assert interface.texts("SecurityGroupId") == [GROUP]
    assert interface.text("SubnetId") is None


def test_tags_are_the_pipelines_but_those_that_aws_keeps(
    world: ServiceInProcess, aws: Ec2Server
) -> None:
    pipeline = world.put([ON_DEMAND, shell("A", runsOn=ref("R")), ec2("R")])
    world.service.set_tags(pipeline, {"team": "data", "aws:x": "1", "Name": "mine"})
    world.service.activate(pipeline)
    world.settle()
    (machine,) = aws.running
    assert machine.tags == {
        "Name": "mine",
        "team": "data",
        "taskrunner:pipeline": pipeline,
        "taskrunner:resource": f"@R_{T}",
        "taskrunner:machine": machine.token,
    }
    volume = machine.request.part("TagSpecification.2")
    assert volume.text("ResourceType") == "volume"


def test_several_instances_poll_one_group_and_the_resource_lives_while_one_does(
    world: ServiceInProcess, aws: Ec2Server
) -> None:
    pipeline = start(world, instanceCount="3")
    assert len(aws.running) == 3
    groups = {tuple(machine.settings["worker_group"]) for machine in aws.running}
    assert groups == {(group(pipeline),)}
    for machine in aws.running[:2]:
        aws.shut_down(machine.ec2_id)
    world.advance(WATCH_S)
    assert (len(aws.machines), resource(world, pipeline).failures) == (3, 0)
    world.work_off(group(pipeline))
    assert aws.running == []


def test_fewer_instances_are_enough_where_the_definition_says_so(
    world: ServiceInProcess, aws: Ec2Server
) -> None:
    aws.room = 2
    pipeline = start(world, instanceCount="3", minInstanceCount="2")
    assert (len(aws.running), resource(world, pipeline).failures) == (2, 0)
    aws.room = 1000
    world.advance(WATCH_S)
    assert len(aws.machines) == 2
    world.work_off(group(pipeline))
    assert aws.running == []


# -- spot -----------------------------------------------------------------------------------


def test_a_spot_instance_that_is_taken_back_is_made_again_on_demand_at_last(
    world: ServiceInProcess, aws: Ec2Server
) -> None:
    fields = {"spotBidPrice": "0.05", "useOnDemandOnLastAttempt": "true", "maximumRetries": "2"}
    pipeline = start(world, **fields)
    for failures in (1, 2):
        (machine,) = aws.running
        assert machine.spot
        assert machine.request.text("InstanceMarketOptions.SpotOptions.MaxPrice") == "0.05"
        aws.interrupt(machine.ec2_id)
        world.advance(WATCH_S)
        assert resource(world, pipeline).failures == failures
    (machine,) = aws.running
    assert not machine.spot
    aws.shut_down(machine.ec2_id)
    world.advance(WATCH_S)
    row = resource(world, pipeline)
    assert (row.status, aws.running) == ("FAILED", [])
    output = f"aws ec2 get-console-output --instance-id {machine.ec2_id} says why"
    said = f"its runner ended unexpectedly: {machine.ec2_id} shut itself down; {output}"
    assert row.error_message == said


def test_what_became_of_a_spot_instance_is_said(world: ServiceInProcess, aws: Ec2Server) -> None:
    pipeline = start(world, spotBidPrice="0.05", maximumRetries="0")
    (machine,) = aws.running
    aws.interrupt(machine.ec2_id)
    world.advance(WATCH_S)
    said = f"its runner ended unexpectedly: EC2 took the spot instance {machine.ec2_id} back"
    assert resource(world, pipeline).error_message == said


# -- ends -----------------------------------------------------------------------------------


def test_nothing_runs_after_terminate_after(world: ServiceInProcess, aws: Ec2Server) -> None:
    pipeline = start(world, terminateAfter="2 hours")
    (machine,) = aws.running
    # By itself it ends a little later, if there is no service any more.
    assert machine.variable("LIFE_MINUTES") == "125"
    task = world.take(group(pipeline))
    world.advance(2 * HOUR)
    assert aws.running == []
    assert world.service.report_progress(task.task_id, {}) is True
    assert world.components(pipeline) == {"A": ["CANCELED"], "R": ["TIMEDOUT"]}


def test_an_instance_whose_agent_never_comes_is_ended_before_the_next_is_made(
    world: ServiceInProcess, aws: Ec2Server
) -> None:
    pipeline = start(world, initTimeout="10 minutes", maximumRetries="1")
    (first,) = aws.running
    world.advance(10 * MINUTE)
    (second,) = aws.running
    assert second is not first
    world.advance(10 * MINUTE)
    row = resource(world, pipeline)
    assert (row.status, aws.running) == ("FAILED", [])
    assert "within initTimeout (0:10:00)" in row.error_message
    assert f"{second.ec2_id} runs; what its user data printed is in" in row.error_message


def test_an_instance_is_not_taken_again_though_nobody_could_end_it_yet(
    world: ServiceInProcess, aws: Ec2Server
) -> None:
    pipeline = start(world, initTimeout="10 minutes")
    (first,) = aws.running
    world.advance(10 * MINUTE - timedelta(seconds=WATCH_S))
    aws.fail("DescribeInstances", "RequestLimitExceeded", times=2)
    aws.fail("TerminateInstances", "RequestLimitExceeded")
    world.advance(WATCH_S)
    assert (aws.running, resource(world, pipeline).failures) == ([first], 1)
    for _ in range(4):
        world.advance(WATCH_S)
    (second,) = aws.running
    assert resource(world, pipeline).resource_handle == f"ec2:us-east-1:{second.ec2_id}"
    assert second is not first


def test_a_handle_of_which_no_note_is_left_is_not_trusted_for_ever(
    world: ServiceInProcess, aws: Ec2Server
) -> None:
    pipeline = start(world, region="eu-west-1")
    with world.service.store.write() as conn:
        machine_store.remove(conn, [row.machine_id for row in noted(world)])
    world.reopen()
    world.settle()
    assert resource(world, pipeline).failures == 0
    for _ in range(14):
        world.advance(WATCH_S)
    assert resource(world, pipeline).failures == 1
    assert len(aws.machines) == 2


def test_a_deleted_pipeline_leaves_nothing_running(world: ServiceInProcess, aws: Ec2Server) -> None:
    pipeline = start(world)
    # The call comes at a bad moment, and nobody makes it again.
    aws.fail("TerminateInstances", "RequestLimitExceeded")
    world.service.delete_pipeline(pipeline)
    assert len(aws.running) == 1
    world.advance(2 * WATCH_S)
    assert aws.running == []
    world.advance(WATCH_S)
    assert noted(world) == []


def test_an_end_that_is_refused_for_a_while_is_asked_for_again(
    world: ServiceInProcess, aws: Ec2Server
) -> None:
    pipeline = start(world)
    aws.fail("TerminateInstances", "UnauthorizedOperation")
    world.work_off(group(pipeline))
    assert (resource(world, pipeline).status, len(aws.running)) == ("SHUTTING_DOWN", 1)
    world.advance(WATCH_S)
    assert (resource(world, pipeline).status, len(aws.running)) == ("FINISHED", 0)


def test_a_rule_that_changes_ends_the_instance_also_where_nothing_makes_any_now(
    world: ServiceInProcess, aws: Ec2Server
) -> None:
    pipeline = start(world)
    world.reopen(resources=Rules.everywhere("group=prod", "--resources"))
    world.settle()
    assert (aws.running, resource(world, pipeline).resource_handle) == ([], "group:prod")


# -- a service that dies --------------------------------------------------------------------


@pytest.mark.parametrize("at", ["before", "after"])
def test_a_service_that_is_killed_over_a_launch_finds_its_instance(
    world: ServiceInProcess, aws: Ec2Server, api: Mortal, at: str
) -> None:
    api.dies = at
    with pytest.raises(Killed):
        start(world)
    assert len(aws.machines) == (at == "after")
    api.dies = ""
    world.reopen()
    world.settle()
    (machine,) = aws.running
    (pipeline,) = {row.pipeline_id for row in noted(world)}
    assert resource(world, pipeline).resource_handle == f"ec2:us-east-1:{machine.ec2_id}"
    world.work_off(group(pipeline))
    assert (len(aws.machines), aws.running) == (1, [])


def test_an_instance_whose_resource_was_given_up_meanwhile_is_found_and_ended(
    world: ServiceInProcess, aws: Ec2Server, api: Mortal
) -> None:
    api.dies = "after"
    with pytest.raises(Killed):
        start(world)
    api.dies = ""
    (row,) = noted(world)
    world.service.set_status(row.pipeline_id, [f"@A_{T}", f"@R_{T}"], "CANCEL")
    world.reopen()
    world.advance(2 * WATCH_S)
    assert (len(aws.machines), aws.running) == (1, [])
    world.advance(WATCH_S)
    assert noted(world) == []


def test_an_image_that_changed_in_between_makes_no_second_instance(
    world: ServiceInProcess, aws: Ec2Server, api: Mortal
) -> None:
    api.dies = "after"
    with pytest.raises(Killed):
        start(world)
    api.dies = ""
    aws.images = {"ami-00000000000000000"}
    api.forget_images()
    world.reopen()
    world.settle()
    (machine,) = aws.machines.values()
    (row,) = noted(world)
    assert row.ec2_id == machine.ec2_id


def test_two_services_over_one_store_make_one_instance(
    world: ServiceInProcess, aws: Ec2Server
) -> None:
    pipeline = start(world)
    row = resource(world, pipeline)
    with world.service.store.write() as conn:
        instance_store.update_instance(conn, row, resource_handle=None)
    world.settle()
    assert len(aws.machines) == 1
    assert resource(world, pipeline).resource_handle == row.resource_handle


# -- EC2 is slow, busy or wrong -------------------------------------------------------------


def test_an_instance_that_does_not_show_up_yet_is_not_taken_for_gone(
    world: ServiceInProcess, aws: Ec2Server
) -> None:
    aws.lag = 3
    pipeline = start(world)
    for _ in range(6):
        world.advance(WATCH_S)
    assert (len(aws.machines), resource(world, pipeline).failures) == (1, 0)


def test_an_instance_of_which_nothing_is_known_any_more_is_made_again(
    world: ServiceInProcess, aws: Ec2Server
) -> None:
    pipeline = start(world)
    (gone,) = aws.machines
    del aws.machines[gone]
    world.advance(WATCH_S)
    assert aws.running == []
    world.advance(GRACE_S)
    assert len(aws.running) == 1
    assert resource(world, pipeline).failures == 1
    world.advance(LATE)
    assert [row.ec2_id for row in noted(world)] == [aws.running[0].ec2_id]


def test_a_busy_region_costs_no_retry_and_is_left_alone_for_a_while(
    world: ServiceInProcess, aws: Ec2Server
) -> None:
    aws.fail("RunInstances", "RequestLimitExceeded")
    pipeline = start(world, maximumRetries="0")
    row = resource(world, pipeline)
    assert (row.status, row.failures) == ("CREATING", 0)
    said = "EC2 in us-east-1 is busy (RequestLimitExceeded); it is asked again"
    assert row.error_message == said
    world.advance(1)
    assert actions(aws).count("RunInstances") == 1
    world.advance(WATCH_S)
    row = resource(world, pipeline)
    assert (len(aws.running), row.error_message) == (1, None)


def test_a_look_that_fails_concludes_nothing(world: ServiceInProcess, aws: Ec2Server) -> None:
    pipeline = start(world)
    aws.fail("DescribeInstances", "Unavailable", times=20)
    for _ in range(20):
        world.advance(WATCH_S)
    assert (len(aws.machines), resource(world, pipeline).failures) == (1, 0)


def test_all_machines_of_a_region_are_looked_at_in_one_call(
    world: ServiceInProcess, aws: Ec2Server
) -> None:
    start(world, instanceCount="3")
    start(world, instanceCount="3")
    world.advance(WATCH_S)
    aws.calls.clear()
    world.advance(WATCH_S)
    assert actions(aws) == ["DescribeInstances"]


# -- what the definition has wrong ----------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"imageId": "ami-1"},
            (
                "Ec2Resource 'R', field imageId: 'ami-1' names no image that may be used: name one "
                "of the region, or none (InvalidAMIID.NotFound in us-east-1: "
                "The image id '[ami-1]' does not exist)"
            ),
        ),
        ({"subnetId": "subnet-9"}, "field subnetId: 'subnet-9' names no subnet there"),
        ({"subnetId": "subnet-9", "securityGroups": "x"}, "field subnetId: 'subnet-9'"),
        ({"securityGroupIds": "sg-9"}, "field securityGroupIds: 'sg-9' names a group that is not"),
        ({"securityGroups": "nobody"}, "field securityGroups: 'nobody' names a group that is not"),
        (
            {"subnetId": SUBNET, "securityGroups": "nobody"},
            "field securityGroups: 'nobody' is no group of the VPC",
        ),
        ({"keyPair": "mine"}, "field keyPair: 'mine' is no key pair there"),
        ({"instanceType": "large"}, "field instanceType: 'large' is not taken: correct it"),
        (
            {"resourceRole": "nobody"},
            (
                "field resourceRole: 'nobody' is not taken: correct it (InvalidParameterValue in "
                "us-east-1: Value (nobody) for parameter iamInstanceProfile.name is invalid)"
            ),
        ),
        (
            {"resourceRole": "admin"},
            "field resourceRole: 'admin' may not be passed to an instance: allow iam:PassRole",
        ),
        ({"instanceCount": "0"}, "field instanceCount: found '0', wanted a number from 1 to 20"),
        (
            {"associatePublicIpAddress": "maybe"},
            "field associatePublicIpAddress: found 'maybe', wanted true or false",
        ),
    ],
)
def test_a_field_that_is_wrong_is_said_at_once_and_leaves_nothing_running(
    world: ServiceInProcess, aws: Ec2Server, fields: dict[str, str], said: str
) -> None:
    pipeline = start(world, **fields)
    row = resource(world, pipeline)
    assert (row.status, row.failures) == ("FAILED", 1)
    assert said in row.error_message
    assert "Encoded" not in row.error_message
    assert world.components(pipeline)["A"] == ["CANCELED"]
    assert aws.machines == {}


def test_no_capacity_is_tried_again_after_retry_delay_until_it_is_given_up(
    world: ServiceInProcess, aws: Ec2Server
) -> None:
    aws.full = {"p5.48xlarge"}
    fields = {"instanceType": "p5.48xlarge", "retryDelay": "15 minutes", "maximumRetries": "1"}
    pipeline = start(world, **fields)
    row = resource(world, pipeline)
    assert row.status == "CREATING"
    said = "field instanceType: 'p5.48xlarge' has no capacity there now: name another type or zone"
    assert said in row.error_message
    world.advance(14 * MINUTE)
    assert actions(aws).count("RunInstances") == 1
    world.advance(MINUTE)
    assert actions(aws).count("RunInstances") == 2
    row = resource(world, pipeline)
    assert (row.status, aws.machines) == ("FAILED", {})
    assert said in row.error_message


def test_of_several_instances_none_is_left_when_there_is_no_room_for_all(
    world: ServiceInProcess, aws: Ec2Server
) -> None:
    aws.room = 1
    pipeline = start(world, instanceCount="2", maximumRetries="0")
    assert resource(world, pipeline).status == "FAILED"
    world.advance(WATCH_S)
    assert (len(aws.machines), aws.running) == (1, [])


def test_a_service_that_may_not_make_instances_says_what_it_needs(
    world: ServiceInProcess, aws: Ec2Server
) -> None:
    aws.fail("GetParameter", "AccessDeniedException", "not authorized")
    row = resource(world, start(world))
    said = "the service may not do this: allow ssm:GetParameter to its AWS credentials"
    assert (row.status, said in row.error_message) == ("FAILED", True)


# -- what the instance is told --------------------------------------------------------------


def test_user_data_tell_the_agent_what_it_needs_and_no_key(
    world: ServiceInProcess, aws: Ec2Server
) -> None:
    pipeline = start(world, runAsUser="ec2-user", httpProxy=[])
    (machine,) = aws.running
    (row,) = noted(world)
    assert machine.settings == {
        "worker_group": [group(pipeline)],
        "endpoint": "https://pipelines.example.com",
        "region": "us-east-1",
        "run_as_user": "ec2-user",
        "allow_root": False,
        "allow_http": False,
        "service_access_id": row.machine_id,
    }
    assert machine.variable("TASK_USER") == "ec2-user"
    assert machine.variable("PACKAGE") == "taskrunner-agent==1.0"
    assert (machine.variable("KEY_ID"), machine.variable("KEY_TOKEN")) == (
        row.machine_id,
        row.token,
    )
    assert machine.variable("LIFE_MINUTES") == ""
    assert row.secret is None


def test_a_proxy_reaches_the_agent_and_what_installs_it(
    world: ServiceInProcess, aws: Ec2Server
) -> None:
    world.run(
        [
            ON_DEMAND,
            alarm("Bad"),
            shell("A", runsOn=ref("R")),
            ec2("R", httpProxy=ref("P"), onFail=ref("Bad")),
            {
                "id": "P",
                "type": "HttpProxy",
                "hostname": "proxy.example.com",
                "port": "3128",
                "username": "me",
                "*password": "a b'c",
            },
        ]
    )
    (machine,) = aws.running
    told = {key: text for key, text in machine.settings.items() if key.startswith("proxy")}
    assert told == {
        "proxy_host": "proxy.example.com",
        "proxy_port": 3128,
        "proxy_username": "me",
        "proxy_password": "a b'c",
    }
    assert machine.variable("https_proxy") == "http://me:a%20b%27c@proxy.example.com:3128"
