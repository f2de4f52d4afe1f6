"""Where resources run: rules carried out by the service, and what is said where none is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from taskrunner.service.callers import ANONYMOUS, Caller
from taskrunner.service.handlers import definitions, pipelines
from taskrunner.service.resources.rules import Rules, read_rules
from taskrunner.testing import ServiceInProcess
from taskrunner.wire.inputs import (
    ActivatePipelineInput,
    PutPipelineDefinitionInput,
    ValidatePipelineDefinitionInput,
)
from tests.unit.service.worlds import (
    ON_DEMAND,
    FakeProvider,
    T,
    check,
    data,
    ec2,
    ref,
    schedule,
    scheduled,
    shell,
    values,
)

HOUR = timedelta(hours=1)
PROD = Rules.everywhere("group=prod", "--resources")
LOCAL = Rules.everywhere("local", "--resources")
NONE = Rules.everywhere("none", "--resources")
#: Matches nothing here.
OTHERS = read_rules('[[resources]]\ntype = "EmrCluster"\nrun = "group=hadoop"\n', "rules.toml")

R, A = f"@R_{T}", f"@A_{T}"
SIMPLE = [ON_DEMAND, shell("A", runsOn=ref("R")), ec2("R")]


def own_group(pipeline: str, start: str = T) -> str:
    return f"resource:{pipeline}_@R_{start}"


def shown(world: ServiceInProcess, pipeline: str, instance: str) -> dict[str, Any]:
    return values(world.describe(pipeline, instance))


# -- group=NAME -----------------------------------------------------------------------------


def test_work_goes_to_the_agents_of_a_group_and_nothing_is_made(kept: ServiceInProcess) -> None:
    provider = FakeProvider()
    world = kept.reset(provider=provider, resources=PROD)
    pipeline = world.run(SIMPLE)

    assert world.statuses(pipeline) == {A: "WAITING_FOR_RUNNER", R: "RUNNING"}
    assert world.claim(own_group(pipeline)) is None
    task = world.take("prod")
    found = shown(world, pipeline, R)
    assert (found["@resourceId"], found["@actualStartTime"]) == ("group:prod", T)
    assert "errorMessage" not in found
    world.conclude(task)
    assert world.statuses(pipeline) == {A: "FINISHED", R: "FINISHED"}
    assert world.state(pipeline) == "FINISHED"
    assert provider.launched == provider.ended == []


def test_a_resource_runs_as_long_as_its_tasks_need_it(kept: ServiceInProcess) -> None:
    world = kept.reset(resources=PROD)
    pipeline = world.run(
        [
            ON_DEMAND,
            shell("A", runsOn=ref("R")),
            shell("B", runsOn=ref("R"), after="A", maximumRetries="1", retryDelay="10 minutes"),
            ec2("R"),
        ]
    )
    world.conclude(world.take("prod"))
    world.conclude(world.take("prod"), "FAILED")
    assert world.statuses(pipeline)[R] == "RUNNING"
    assert world.claim("prod") is None, "the next try is ten minutes away"
    world.advance(10 * 60)
    world.conclude(world.take("prod"))
    assert set(world.statuses(pipeline).values()) == {"FINISHED"}


def test_terminate_after_holds_for_a_group_as_well(kept: ServiceInProcess) -> None:
    world = kept.reset(resources=PROD)
    pipeline = world.run(
        [
            ON_DEMAND,
            shell("A", runsOn=ref("R"), reportProgressTimeout="1 day"),
            ec2("R", terminateAfter="2 hours"),
        ]
    )
    task = world.take("prod")
    world.advance(2 * HOUR)
    assert world.service.report_progress(task.task_id, {}) is True
    assert world.statuses(pipeline) == {A: "CANCELED", R: "TIMEDOUT"}


def test_preconditions_go_where_their_activity_does(kept: ServiceInProcess) -> None:
    world = kept.reset(resources=PROD)
    pipeline = world.run(
        [
            {**ON_DEMAND, "workerGroup": []},
            check("There"),
            data("In", precondition=ref("There")),
            shell("A", runsOn=ref("R"), input=ref("In")),
            ec2("R"),
        ]
    )
    assert len(world.work_off("prod")) == 2
    assert set(world.statuses(pipeline).values()) == {"FINISHED"}


def test_who_comes_later_goes_there_too(kept: ServiceInProcess) -> None:
    world = kept.reset(resources=PROD)
    pipeline = world.run(
        [
            scheduled(),
            schedule(occurrences="3"),
            schedule("Day", period="1 day", occurrences="1"),
            shell("A", runsOn=ref("R")),
            ec2("R", schedule=ref("Day")),
        ]
    )
    for _ in range(3):
        assert len(world.work_off("prod")) == 1
        assert world.statuses(pipeline)[R] == "RUNNING"
        world.advance(HOUR)
    world.advance(21 * HOUR)
    assert world.state(pipeline) == "FINISHED"


def test_who_comes_back_from_a_runner_of_the_resource_goes_to_the_group(
    kept: ServiceInProcess,
) -> None:
    world = kept.reset(resources=NONE)
    pipeline = world.run(SIMPLE)
    world.take(own_group(pipeline))
    world.reopen(resources=PROD)
    world.settle()
    assert world.claim("prod") is None, "its runner may still be at work"
    world.advance(HOUR)
    assert world.work_off("prod") == [f"{A}_Attempt=2"]


def test_a_poll_is_told_at_once(kept: ServiceInProcess) -> None:
    world = kept.reset(resources=PROD)
    told: list[str] = []
    world.service.work_ready.subscribe("prod", lambda: told.append("prod"))
    world.run(SIMPLE)
    assert told


def test_only_the_pipelines_own_account_gets_its_work(kept: ServiceInProcess) -> None:
    world = kept.reset(resources=PROD)
    world.run(SIMPLE)
    other = Caller(account="2", user="eve")
    assert world.service.claim("prod", caller=other) is None
    assert world.service.claim("prod", caller=ANONYMOUS) is not None


def test_a_rerun_goes_to_the_group_again(kept: ServiceInProcess) -> None:
    world = kept.reset(resources=PROD)
    pipeline = world.run([*SIMPLE, shell("Later", workerGroup="later")])
    world.work_off("prod")
    assert world.statuses(pipeline)[R] == "FINISHED"
    world.service.set_status(pipeline, [A], "RERUN")
    world.settle()
    assert world.statuses(pipeline)[R] == "RUNNING"
    assert world.work_off("prod") == [f"{A}_Attempt=2"]


def test_rules_look_at_type_id_name_and_tags(kept: ServiceInProcess) -> None:
    text = '[[resources]]\nid = "R"\ntag = "team=data"\npipeline = "t*"\nrun = "group=data"\n'
    world = kept.reset(resources=read_rules(text, "rules.toml"))
    pipeline = world.put([*SIMPLE, shell("B", runsOn=ref("Other")), ec2("Other")])
    world.service.set_tags(pipeline, {"team": "data"})
    world.service.activate(pipeline)
    world.settle()
    statuses = world.statuses(pipeline)
    assert (statuses[R], statuses[f"@Other_{T}"]) == ("RUNNING", "CREATING")


# -- nobody said where ----------------------------------------------------------------------


def test_without_a_rule_the_instance_says_what_it_waits_for(kept: ServiceInProcess) -> None:
    world = kept.reset(resources=OTHERS)
    with capture_logs() as log:
        pipeline = world.run(SIMPLE)
        world.advance(HOUR)
    assert world.statuses(pipeline) == {A: "WAITING_FOR_RUNNER", R: "CREATING"}
    reason = shown(world, pipeline, R)["errorMessage"]
    assert reason.startswith("no rule of rules.toml says where Ec2Resource 'R' of pipeline")
    assert own_group(pipeline) in reason
    assert shown(world, pipeline, A)["@waitingOn"] == f">{R}"
    waits = [line for line in log if line["event"] == "resource waits for a runner"]
    assert [(line["log_level"], line["reason"]) for line in waits] == [("warning", reason)]


def test_a_runner_started_by_hand_is_taken_and_the_complaint_goes(kept: ServiceInProcess) -> None:
    world = kept.reset(resources=OTHERS)
    pipeline = world.run(SIMPLE)
    task = world.take(own_group(pipeline))
    world.settle()
    assert "errorMessage" not in shown(world, pipeline, R)
    assert "@waitingOn" not in shown(world, pipeline, A)
    assert world.statuses(pipeline)[R] == "RUNNING"
    world.conclude(task)
    assert world.state(pipeline) == "FINISHED"


def test_a_tag_that_comes_later_helps(kept: ServiceInProcess) -> None:
    text = '[[resources]]\ntag = "team=data"\nrun = "group=data"\n'
    world = kept.reset(resources=read_rules(text, "rules.toml"))
    pipeline = world.run(SIMPLE)
    assert world.statuses(pipeline)[R] == "CREATING"
    world.service.set_tags(pipeline, {"team": "data"})
    world.settle()
    assert len(world.work_off("data")) == 1
    assert world.state(pipeline) == "FINISHED"


def test_what_waits_for_nobody_is_not_ended_by_its_terminate_after(kept: ServiceInProcess) -> None:
    world = kept.reset(resources=OTHERS)
    objects = [ON_DEMAND, shell("A", runsOn=ref("R")), ec2("R", terminateAfter="1 hour")]
    pipeline = world.run(objects)
    world.advance(2 * HOUR)
    world.reopen(resources=PROD)
    world.settle()
    assert len(world.work_off("prod")) == 1
    assert world.state(pipeline) == "FINISHED"


def test_none_is_said_but_not_warned_of(kept: ServiceInProcess) -> None:
    world = kept.reset(resources=NONE)
    with capture_logs() as log:
        pipeline = world.run(SIMPLE)
    reason = shown(world, pipeline, R)["errorMessage"]
    assert reason.startswith("nothing is started, by --resources (none): an agent of the worker")
    assert [line["log_level"] for line in log] == ["info"]
    assert len(world.work_off(own_group(pipeline))) == 1


def test_what_waits_can_be_canceled_and_deactivated(kept: ServiceInProcess) -> None:
    world = kept.reset(resources=OTHERS)
    pipeline = world.run(SIMPLE)
    world.service.deactivate(pipeline)
    world.settle()
    assert world.state(pipeline) == "INACTIVE"
    assert world.statuses(pipeline) == {A: "CANCELED", R: "FINISHED"}


# -- rules that change ----------------------------------------------------------------------


@pytest.mark.parametrize("before", [OTHERS, NONE, LOCAL, PROD], ids=lambda rules: rules.source)
@pytest.mark.parametrize("again", [False, True])
def test_rules_that_were_changed_hold_for_what_waits(
    kept: ServiceInProcess, before: Rules, *, again: bool
) -> None:
    provider = FakeProvider()
    world = kept.reset(provider=provider, resources=before)
    pipeline = world.run(SIMPLE)
    world.reopen(resources=Rules.everywhere("group=new", "--resources"))
    world.settle()
    if again:
        world.reopen()
        world.settle()
    assert world.statuses(pipeline) == {A: "WAITING_FOR_RUNNER", R: "RUNNING"}
    assert (world.claim("prod"), world.claim(own_group(pipeline))) == (None, None)
    assert len(world.work_off("new")) == 1
    assert world.state(pipeline) == "FINISHED"
    assert provider.ended == (["i-1"] if before is LOCAL else [])


@pytest.mark.parametrize("before", [OTHERS, NONE, PROD], ids=lambda rules: rules.source)
def test_what_waited_for_a_group_may_get_an_agent_of_its_own(
    kept: ServiceInProcess, before: Rules
) -> None:
    provider = FakeProvider()
    world = kept.reset(provider=provider, resources=before)
    pipeline = world.run(SIMPLE)
    world.reopen(resources=LOCAL)
    world.settle()
    assert provider.launched == ["i-1"]
    assert world.statuses(pipeline)[R] == "ACTIVATING"
    assert "errorMessage" not in shown(world, pipeline, R)
    assert world.claim("prod") is None
    assert len(world.work_off(own_group(pipeline))) == 1
    assert world.state(pipeline) == "FINISHED"


def test_a_rule_that_is_gone_is_missed(kept: ServiceInProcess) -> None:
    world = kept.reset(resources=PROD)
    pipeline = world.run(SIMPLE)
    world.reopen(resources=OTHERS)
    world.settle()
    assert world.statuses(pipeline) == {A: "WAITING_FOR_RUNNER", R: "CREATING"}
    assert "rules.toml" in shown(world, pipeline, R)["errorMessage"]
    assert len(world.work_off(own_group(pipeline))) == 1


# -- what is told at once -------------------------------------------------------------------


@pytest.mark.parametrize(("rules", "count"), [(OTHERS, 1), (Rules(), 1), (PROD, 0), (NONE, 0)])
def test_put_validate_and_activate_warn_of_a_resource_without_a_rule(
    kept: ServiceInProcess, rules: Rules, count: int
) -> None:
    world = kept.reset(resources=rules)
    pipeline = world.put(SIMPLE)
    objects = world.service.definition(pipeline).objects
    request = PutPipelineDefinitionInput(pipeline_id=pipeline, pipeline_objects=objects)
    answer = definitions.put_pipeline_definition(world.service, ANONYMOUS, request)
    assert not answer.errored
    checked = definitions.validate_pipeline_definition(
        world.service,
        ANONYMOUS,
        ValidatePipelineDefinitionInput(pipeline_id=pipeline, pipeline_objects=objects),
    )
    for warnings in (answer.validation_warnings, checked.validation_warnings):
        told = [text for found in warnings if found.id == "R" for text in found.warnings]
        assert len([text for text in told if "says where Ec2Resource 'R'" in text]) == count
    with capture_logs() as log:
        activate = ActivatePipelineInput(pipeline_id=pipeline)
        pipelines.activate_pipeline(world.service, ANONYMOUS, activate)
    told = [line["component_id"] for line in log if line["event"] == "a resource runs nowhere"]
    assert told == ["R"] * count


def test_a_resource_on_which_nothing_runs_is_not_warned_of(kept: ServiceInProcess) -> None:
    world = kept.reset(resources=OTHERS)
    pipeline = world.put([ON_DEMAND, shell("A"), ec2("R")])
    assert list(world.service.look_at_places(pipeline)) == []


def test_put_validate_and_activate_warn_of_fields_without_effect(kept: ServiceInProcess) -> None:
    world = kept.reset(resources=PROD)
    objects = [
        {**ON_DEMAND, "maximumRetries": "1"},
        shell("A", runsOn=ref("R")),
        ec2("R", instanceType="m5.large", attemptTimeout="1 hour", terminateAfter="1 hour"),
    ]
    pipeline = world.put(objects)
    given = world.service.definition(pipeline).objects
    request = PutPipelineDefinitionInput(pipeline_id=pipeline, pipeline_objects=given)
    put = definitions.put_pipeline_definition(world.service, ANONYMOUS, request)
    asked = ValidatePipelineDefinitionInput(pipeline_id=pipeline, pipeline_objects=given)
    checked = definitions.validate_pipeline_definition(world.service, ANONYMOUS, asked)
    for warnings in (put.validation_warnings, checked.validation_warnings):
        (told,) = [found.warnings for found in warnings if found.id == "R"]
        beginning = "it has no effect here: "
        assert [tuple(text.split(f": {beginning}")) for text in told if beginning in text] == [
            ("attemptTimeout", "initTimeout and terminateAfter bound a resource"),
            ("instanceType", "only an instance that is made for the resource has it"),
        ]
    with capture_logs() as log:
        activate = ActivatePipelineInput(pipeline_id=pipeline)
        pipelines.activate_pipeline(world.service, ANONYMOUS, activate)
    (line,) = [line for line in log if line["event"] == "fields have no effect"]
    assert (line["fields"], line["log_level"]) == ("R.attemptTimeout, R.instanceType", "warning")
