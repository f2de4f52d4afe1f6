from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from taskrunner.errors import InvalidRequest
from taskrunner.model.codec import OBJECT
from taskrunner.model.document import PipelineObject
from taskrunner.model.task import Task
from taskrunner.service.views import MADE_OF_SECRETS
from taskrunner.testing import ServiceInProcess
from tests.unit.service.worlds import (
    ON_DEMAND,
    FakeProvider,
    T,
    alarm,
    check,
    data,
    ec2,
    ref,
    shell,
    values,
)


def written(*objects: PipelineObject) -> str:
    """Objects as they go over the wire."""
    return json.dumps([OBJECT.encode(obj) for obj in objects])


def at(component: str) -> str:
    return f"@{component}_{T}"


@pytest.fixture
def world(kept: ServiceInProcess) -> ServiceInProcess:
    return kept.reset(provider=FakeProvider())


def definition() -> list[dict[str, Any]]:
    return [
        ON_DEMAND,
        alarm("Good"),
        {
            "id": "Db",
            "type": "JdbcDatabase",
            "connectionString": "jdbc:mysql://h/d",
            "jdbcDriverClass": "x",
            "username": "u",
            "*password": "s3cret",
        },
        {
            "id": "In",
            "name": "orders",
            "type": "SqlDataNode",
            "database": ref("Db"),
            "table": "orders",
            "selectQuery": "select * from #{table} where day = '#{@scheduledStartTime}'",
        },
        data("Out", directoryPath="s3://b/#{format(@scheduledStartTime, 'YYYY-MM-dd')}"),
        {
            "id": "Copy",
            "name": "the copy",
            "type": "CopyActivity",
            "input": ref("In"),
            "output": ref("Out"),
            "runsOn": ref("R"),
            "onSuccess": ref("Good"),
            "precondition": ref("P"),
        },
        check("P", note="#{node.name}"),
        shell("Use", input=ref("Out"), after="Copy", runsOn=ref("R")),
        ec2("R"),
    ]


def shown(world: ServiceInProcess, pipeline: str, object_id: str, **kw: bool) -> dict[str, Any]:
    return values(world.describe(pipeline, object_id, **kw))


# -- instances ------------------------------------------------------------------------------


def test_an_activity_refers_to_instances_and_counts_its_tries(world: ServiceInProcess) -> None:
    pipeline = world.run(definition())
    group = f"resource:{pipeline}_{at('R')}"
    world.conclude(world.take(group))
    assert world.take(group).component_id == "Copy"
    obj = world.describe(pipeline, at("Copy"))
    found = values(obj)
    assert (obj.id, obj.name) == (at("Copy"), f"@the copy_{T}")
    expected = {
        "parent": ">Copy",
        "@componentParent": ">Copy",
        "@sphere": "INSTANCE",
        "type": "CopyActivity",
        "@status": "RUNNING",
        "@version": "1",
        "@scheduledStartTime": T,
        "@scheduledEndTime": T,
        "@actualStartTime": T,
        "@resource": f">{at('R')}",
        "@attemptCount": "1",
        "@triesLeft": "2",
        "@headAttempt": f">{at('Copy')}_Attempt=1",
        "input": f">{at('In')}",
        "output": f">{at('Out')}",
        "runsOn": f">{at('R')}",
        "precondition": f">{at('P')}",
    }
    assert {key: found.get(key) for key in expected} == expected
    assert "@actualEndTime" not in found
    assert shown(world, pipeline, at("Use"))["dependsOn"] == f">{at('Copy')}"


def test_a_data_node_shows_who_writes_and_who_reads_it(world: ServiceInProcess) -> None:
    pipeline = world.run(definition())
    found = shown(world, pipeline, at("Out"))
    assert (found["output"], found["input"]) == (f">{at('Copy')}", f">{at('Use')}")
    assert found["directoryPath"] == "s3://b/2026-02-13"
    assert not {"@attemptCount", "@triesLeft", "@headAttempt"} & found.keys()


def test_a_resource_shows_its_users_and_what_stands_behind_it(world: ServiceInProcess) -> None:
    pipeline = world.run(definition())
    before = shown(world, pipeline, at("R"))
    assert set(before["input"]) == {f">{at('Copy')}", f">{at('Use')}"}
    assert (before["@status"], before["@resourceId"]) == ("ACTIVATING", "i-1")
    group = f"resource:{pipeline}_{at('R')}"
    world.clock.advance(60)
    world.work_off(group)
    after = shown(world, pipeline, at("R"))
    assert (after["@attemptCount"], after["@triesLeft"]) == ("1", "2")
    assert (after["@actualStartTime"], after["@actualEndTime"]) == (T, "2026-02-13T02:01:00")


def test_a_precondition_shows_what_it_is_for(world: ServiceInProcess) -> None:
    pipeline = world.run(definition())
    found = shown(world, pipeline, at("P"))
    assert (found["node"], found["note"]) == (f">{at('Copy')}", "the copy")


def test_tries_left_counts_down_and_spares_what_was_free(world: ServiceInProcess) -> None:
    pipeline = world.run([ON_DEMAND, shell("A", retryDelay="1 second"), shell("B", after="A")])
    left = [shown(world, pipeline, at("A"))["@triesLeft"]]
    for error in ("TaskRunner.Interrupted", "X", "X", "X"):
        task = world.take()
        left.append(shown(world, pipeline, at("A"))["@triesLeft"])
        world.conclude(task, "FAILED", error)
        world.advance(1)
    left.append(shown(world, pipeline, at("A"))["@triesLeft"])
    assert left == ["2", "2", "2", "1", "0", "0"]
    assert shown(world, pipeline, at("B"))["@triesLeft"] == "3"


def test_a_failure_tells_why_and_a_cascade_on_whom(world: ServiceInProcess) -> None:
    default = {**ON_DEMAND, "failureAndRerunMode": "cascade", "maximumRetries": "0"}
    pipeline = world.run([default, shell("A"), shell("B", after="A")])
    world.conclude(world.take(), "FAILED", "X", "broken")
    failed, drawn_in = shown(world, pipeline, at("A")), shown(world, pipeline, at("B"))
    assert (failed["errorId"], failed["errorMessage"]) == ("X", "broken")
    assert drawn_in["@cascadeFailedOn"] == f">{at('A')}"


def test_fields_can_be_shown_as_they_stand(world: ServiceInProcess) -> None:
    pipeline = world.run(definition())
    raw = shown(world, pipeline, at("Out"), evaluate=False)
    assert raw["directoryPath"] == "s3://b/#{format(@scheduledStartTime, 'YYYY-MM-dd')}"


@pytest.mark.parametrize("suffix", ["", "_Attempt=1"])
def test_a_field_that_cannot_be_evaluated_is_shown_as_it_stands(
    world: ServiceInProcess, suffix: str
) -> None:
    broken = shell("A", command="#{nothing.here}", stdout="s3://b/#{@scheduledStartTime}")
    pipeline = world.run([ON_DEMAND, broken])
    world.claim()
    world.settle()
    found = shown(world, pipeline, at("A") + suffix)
    assert found["command"] == "#{nothing.here}"
    assert found["stdout"] == f"s3://b/{T}", "the others are evaluated all the same"


def test_an_attempt_shows_its_own_story(world: ServiceInProcess) -> None:
    pipeline = world.run([ON_DEMAND, shell("A", name="the A", retryDelay="1 second")])
    task = world.take()
    world.clock.advance(7)
    world.service.set_task_status(task.task_id, "FAILED", "X", "broken", "trace")
    world.advance(1)
    obj = world.describe(pipeline, f"{at('A')}_Attempt=1")
    found = values(obj)
    assert obj.name == f"@the A_{T}_Attempt=1"
    expected = {
        "@componentParent": ">A",
        "@instanceParent": f">{at('A')}",
        "@sphere": "ATTEMPT",
        "@status": "FAILED",
        "@attemptCount": "1",
        "@actualStartTime": T,
        "@actualEndTime": "2026-02-13T02:00:07",
        "hostname": "runner.example",
        "errorId": "X",
        "errorMessage": "broken",
        "errorStackTrace": "trace",
        "command": "true",
    }
    assert {key: found.get(key) for key in expected} == expected


def test_a_component_shows_what_was_put(world: ServiceInProcess) -> None:
    pipeline = world.run(definition())
    found = shown(world, pipeline, "In")
    assert (found["@sphere"], found["table"], found["database"]) == ("COMPONENT", "orders", ">Db")


def test_what_is_not_there_cannot_be_described(world: ServiceInProcess) -> None:
    pipeline = world.run(definition())
    with pytest.raises(InvalidRequest, match="no object 'Nope'"):
        world.describe(pipeline, "Nope")


def test_expressions_are_evaluated_for_an_object(world: ServiceInProcess) -> None:
    pipeline = world.run(definition())
    with world.service.objects(pipeline) as objects:
        assert objects.evaluate(at("In"), "#{table} at #{@scheduledStartTime}") == f"orders at {T}"
        assert objects.evaluate(at("In"), "table") == "orders"
        assert objects.evaluate("In", "#{table}") == "orders"
        with pytest.raises(InvalidRequest):
            objects.evaluate(at("In"), "#{table")


# -- secrets --------------------------------------------------------------------------------


def with_secrets(world: ServiceInProcess) -> str:
    objects = [
        ON_DEMAND,
        {"id": "Db", "type": "JdbcDatabase", "username": "u", "*password": "s3cret"},
        shell("A", command="login #{*myToken}", again="#{db.*password}", db=ref("Db")),
        shell("B", after="A"),
    ]
    parameters = [{"id": "*myToken", "type": "String"}, {"id": "*myOther", "type": "String"}]
    given = {"*myToken": "t0ken", "*myOther": "0ther"}
    return world.run({"objects": objects, "parameters": parameters, "values": given})


@pytest.mark.parametrize("object_id", ["Db", "A", at("A"), f"{at('A')}_Attempt=1"])
@pytest.mark.parametrize("evaluate", [True, False])
def test_no_secret_can_be_looked_at(
    world: ServiceInProcess, object_id: str, *, evaluate: bool
) -> None:
    pipeline = with_secrets(world)
    obj = world.describe(pipeline, object_id, evaluate=evaluate)
    assert "s3cret" not in written(obj)
    assert "t0ken" not in written(obj)


def test_no_secret_can_be_asked_for(world: ServiceInProcess) -> None:
    pipeline = with_secrets(world)
    with world.service.objects(pipeline) as objects:
        for object_id in ("A", at("A")):
            assert objects.evaluate(object_id, "#{*myToken}") == "*****"
        assert objects.evaluate("Db", "#{*password}") == "*****"


def test_a_task_names_the_secret_parameters_that_went_into_it(world: ServiceInProcess) -> None:
    with_secrets(world)
    task = world.take()
    assert task.main.get("command") == "login t0ken"
    assert task.main.get("*myToken") == "t0ken"
    assert "0ther" not in written(*task.objects.values())
    world.conclude(task)
    assert "t0ken" not in written(*world.take().objects.values())


def test_a_task_tells_what_was_made_of_its_secrets(world: ServiceInProcess) -> None:
    work = shell("A", command="#{*myYear + 1} #{format(*myDay, 'ddMMyyyy')}")
    world.run(
        {
            "objects": [ON_DEMAND, work],
            "parameters": [{"id": "*myYear", "type": "Integer"}, {"id": "*myDay"}],
            "values": {"*myYear": "20251231", "*myDay": "2026-02-13"},
        }
    )
    task = world.take()
    assert task.main.get("command") == "20251232 13022026"
    assert (task.main.get("*myYear"), task.main.get("*myDay")) == ("20251231", "2026-02-13")
    assert task.main.all(MADE_OF_SECRETS) == ("13022026", "20251232")


# -- tasks ----------------------------------------------------------------------------------


@pytest.fixture
def copy_task(world: ServiceInProcess) -> Task:
    other = definition()
    other[2] = {**other[2], "*password": "another pipelines secret"}
    world.run(other)
    pipeline = world.run(definition())
    group = f"resource:{pipeline}_{at('R')}"
    world.conclude(world.take(group))
    return world.take(group)


def test_a_task_holds_everything_it_needs_evaluated(copy_task: Task) -> None:
    main = copy_task.main
    assert (main.type, main.component_id, copy_task.component_id) == (
        "CopyActivity",
        "Copy",
        "Copy",
    )
    (source,), (target,) = main.related("input"), main.related("output")
    assert (source.id, source.component_id) == (at("In"), "In")
    assert source.get("selectQuery") == f"select * from orders where day = '{T}'"
    assert target.get("directoryPath") == "s3://b/2026-02-13"
    (database,) = source.related("database")
    assert database.id == "Db"
    assert database.required("*password") == "s3cret"


def test_a_task_holds_nothing_else(copy_task: Task) -> None:
    assert set(copy_task.objects) == {
        copy_task.attempt_id,
        at("In"),
        at("Out"),
        at("R"),
        "Db",
    }
    assert "another pipelines secret" not in written(*copy_task.objects.values())


def test_a_precondition_knows_its_node(world: ServiceInProcess) -> None:
    pipeline = world.run(definition())
    task = world.take(f"resource:{pipeline}_{at('R')}")
    assert (task.main.type, task.main.get("note")) == ("Exists", "the copy")
    (node,) = task.main.related("node")
    assert (node.id, node.component_id) == (at("Copy"), "Copy")


def test_a_precondition_of_a_data_node_knows_where_to_look(world: ServiceInProcess) -> None:
    objects = definition()
    objects[0] = {**ON_DEMAND, "workerGroup": []}  # so that only the reader says where
    objects[3] = {**objects[3], "precondition": ref("Q")}
    pipeline = world.run([*objects, check("Q")])
    group = f"resource:{pipeline}_{at('R')}"
    tasks = {task.component_id: task for task in (world.take(group), world.take(group))}
    (node,) = tasks["Q"].main.related("node")
    (database,) = node.related("database")
    assert (node.id, node.get("table"), database.get("username")) == (at("In"), "orders", "u")


def test_a_task_of_a_second_attempt_says_so(world: ServiceInProcess) -> None:
    world.run([ON_DEMAND, shell("A", retryDelay="1 minute")])
    world.conclude(world.take(), "FAILED")
    world.advance(timedelta(minutes=1))
    task = world.take()
    assert task.main.get("@attemptCount") == "2"
    assert task.main.get("@sphere") == "ATTEMPT"
