"""What alarms say: every expression for itself, and no secret."""

from __future__ import annotations

from typing import Any

import pytest

from taskrunner.model.masks import MASK
from taskrunner.testing import ServiceInProcess
from tests.unit.service.worlds import ON_DEMAND, FakeProvider, T, alarm, ec2, ref, shell

NO_RETRY = {**ON_DEMAND, "maximumRetries": "0"}


def failed(
    world: ServiceInProcess, message: str, error: str = "no such file", **more: Any
) -> tuple[str, str]:
    """The pipeline and the message of the alarm for a shell command that failed."""
    fields = {"onFail": ref("Bad"), **more.pop("fields", {})}
    objects = [NO_RETRY, alarm("Bad", message=message), shell("A", **fields)]
    pipeline = world.run({"objects": objects, **more})
    task = world.take()
    world.service.set_task_status(task.task_id, "FAILED", "X", error, "line 1\nline 2")
    world.settle()
    (raised,) = world.alarms(pipeline)
    return pipeline, raised.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("#{node.hostname}", "runner.example"),
        ("#{node.errorStackTrace}", "line 1\nline 2"),
        ("try #{node.@attemptCount}, #{@triesLeft} left", "try 1, 0 left"),
        ("#{node.attemptStatus} #{node.@headAttempt}", f"FAILED @A_{T}_Attempt=1"),
        # Nothing is known, or nothing is meant: it is left out, and the rest stays.
        ("[#{node.cancellationReason}] #{node.@status}", "[] FAILED"),
        ("[#{node.@noSuch}#{node.nothing}#{nothing}] #{node.errorId}", "[] X"),
        ("#{node.errorId + node.emrStepLog}", "X"),
        ("#{format(node.@waitingOn, 'YYYY')}#{node.errorId}", "X"),
        # What is no expression stays as it was written.
        ("#{node.} #{node.errorId}", "#{node.} X"),
        ("#{frobnicate(node.errorId)} #{node.errorId}", "#{frobnicate(node.errorId)} X"),
        ("#{node.errorId} #{", "X #{"),
    ],
)
def test_each_expression_is_filled_in_for_itself(
    world: ServiceInProcess, text: str, said: str
) -> None:
    assert failed(world, text)[1] == said


def test_an_alarm_names_its_pipeline(world: ServiceInProcess) -> None:
    pipeline, said = failed(world, "#{@pipelineId} #{node.@pipelineId}")
    assert said == f"{pipeline} {pipeline}"


def test_several_values_are_all_said(world: ServiceInProcess) -> None:
    fields = {"scriptArgument": ["a", "b"]}
    assert failed(world, "with #{node.scriptArgument}", fields=fields)[1] == "with a,b"


def test_a_message_may_be_a_parameter_that_names_what_is_not_set(world: ServiceInProcess) -> None:
    declared = {"id": "myText", "type": "String", "default": "#{node.@status}#{node.hadoopJobLog}!"}
    assert failed(world, "#{myText}", parameters=[declared])[1] == "FAILED!"


def test_secrets_are_hidden_wherever_they_come_from(world: ServiceInProcess) -> None:
    secret = {"id": "*myKey", "type": "String"}
    _, said = failed(
        world,
        "#{*myKey} | #{node.*password} | #{node.errorMessage} | #{node.command}",
        error="login with tok-4711-a and hunter2-tok-4711 failed for ab",
        fields={"*password": "hunter2-#{*myKey}", "*pin": "ab", "command": "login #{*myKey}"},
        parameters=[secret],
        values={"*myKey": "tok-4711"},
    )
    shown = f"login with {MASK}-a and {MASK} failed for ab"
    assert said == f"{MASK} | {MASK} | {shown} | login {MASK}"


def test_a_topic_may_be_a_secret_and_one_that_cannot_be_evaluated_stays_to_be_seen(
    world: ServiceInProcess,
) -> None:
    topic = "arn:aws:sns:us-east-1:1:hush"
    pipeline = world.run(
        {
            "objects": [
                ON_DEMAND,
                alarm("Good", topicArn="#{*myTopic}", subject="to #{*myTopic}"),
                alarm("Lost", topicArn="#{myMissing}"),
                shell("A", onSuccess=[ref("Good"), ref("Lost")]),
            ],
            "parameters": [{"id": "*myTopic", "type": "String"}],
            "values": {"*myTopic": topic},
        }
    )
    world.work_off()
    said = {raised.action_id: raised for raised in world.alarms(pipeline)}
    assert (said["Good"].topic, said["Good"].subject) == (topic, f"to {MASK}")
    assert said["Good"].shown_topic == MASK
    assert said["Lost"].topic_arn == "#{myMissing}"


def test_the_attempts_of_a_resource_are_its_launches(kept: ServiceInProcess) -> None:
    provider = FakeProvider()
    provider.refuse = True
    world = kept.reset(provider=provider)
    said = "#{node.@attemptCount} launches, on #{node.hostname}: #{node.errorMessage}"
    pipeline = world.run(
        [
            ON_DEMAND,
            alarm("Bad", message=said),
            shell("A", runsOn=ref("R")),
            ec2("R", maximumRetries="1", onFail=ref("Bad")),
        ]
    )
    (raised,) = world.alarms(pipeline)
    assert raised.message == "2 launches, on : no capacity"
