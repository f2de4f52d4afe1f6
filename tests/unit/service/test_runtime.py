"""The table of runtime fields: what DescribeObjects shows, QueryObjects finds by."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest

from taskrunner.model.document import Ref
from taskrunner.service.runtime import RUNTIME_FIELDS, SHOWN, RuntimeField, known_as
from taskrunner.testing import ServiceInProcess
from taskrunner.wire.structures import Operator, Selector
from tests.unit.service.worlds import (
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

ALL_THAT_ENDED_LATE = ["Base", "Copy", "In", "Out", "P", "Short", "TooLong", "Use"]
SPHERES = ("COMPONENT", "INSTANCE", "ATTEMPT")


@pytest.fixture(scope="module")
def world() -> Iterator[ServiceInProcess]:
    with ServiceInProcess(provider=FakeProvider()) as made:
        yield made


@pytest.fixture(scope="module")
def pipeline(world: ServiceInProcess) -> str:
    """A pipeline in which every field of the table is set somewhere."""
    default = scheduled(failureAndRerunMode="cascade", maximumRetries="0")
    pipeline_id = world.put(
        [
            default,
            schedule(period="1 day"),
            ec2("R"),
            data("In", precondition=ref("P")),
            data("Out", directoryPath="s3://b/#{format(@scheduledStartTime, 'YYYY')}"),
            check("P"),
            shell("Base"),
            shell("Copy", parent=ref("Base"), input=ref("In"), output=ref("Out"), runsOn=ref("R")),
            shell("Use", input=ref("Out"), attemptTimeout="2 hours"),
            shell("Keep", runsOn=ref("R")),
            shell("Waits", runsOn=ref("Slow")),
            ec2("Slow"),
            shell("Gone", workerGroup="gone"),
            shell("TooLong", runsOn=ref("Short")),
            ec2("Short", terminateAfter="1 minute"),
        ]
    )
    world.service.activate(pipeline_id)
    world.service.deactivate(pipeline_id)
    world.service.activate(pipeline_id)
    world.settle()
    world.service.set_status(pipeline_id, [f"@Gone_{T}"], "CANCEL")
    world.advance(60)
    world.work_off()
    group = f"resource:{pipeline_id}_@R_{T}"
    (task,) = [t for t in (world.take(group), world.take(group)) if t.component_id == "Copy"]
    told = {"emrStepLog": "s3://logs/s-1/", "hadoopJobLog": "x"}
    told |= {"sourceRows": "3", "targetRows": "2", "sourceChecksum": "a", "targetChecksum": "b"}
    world.service.report_progress(task.task_id, told)
    world.service.set_task_status(task.task_id, "FAILED", "X", "broken", "trace")
    world.settle()
    return pipeline_id


def found(
    world: ServiceInProcess, pipeline: str, sphere: str, *wanted: tuple[str, str, str]
) -> list[str]:
    selectors = [
        Selector(field_name=key, operator=Operator(type=kind, values=tuple(text.split("|"))))
        for key, kind, text in wanted
    ]
    with world.service.objects(pipeline) as objects:
        page = objects.query(sphere, selectors, None, 100)
        ids, more = list(page.ids), page.marker is not None
    assert not more
    return ids


@pytest.mark.parametrize("evaluate", [True, False])
@pytest.mark.parametrize("sphere", SPHERES)
def test_every_field_that_is_shown_is_found_by(
    world: ServiceInProcess, pipeline: str, sphere: str, *, evaluate: bool
) -> None:
    @cache
    def by(key: str, operator: str, text: str) -> list[str]:
        return found(world, pipeline, sphere, (key, operator, text))

    ids = found(world, pipeline, sphere)
    assert ids
    for object_id in ids:
        obj = world.describe(pipeline, object_id, evaluate=evaluate)
        assert obj.fields
        for field in obj.fields:
            text = str(field.value)
            assert object_id in by(field.key, "EQ", text), field
            refers = isinstance(field.value, Ref)
            assert (object_id in by(field.key, "REF_EQ", text)) is refers, field
            assert by(field.key, "EQ", "other") == []
        for key, text in (("id", obj.id), ("@id", obj.id), ("name", obj.name)):
            assert object_id in by(key, "EQ", text)
        assert object_id in by("@pipelineId", "EQ", pipeline)


def having(sphere: str) -> list[RuntimeField]:
    return [item for item in RUNTIME_FIELDS if getattr(item, sphere.lower()) is not None]


@pytest.mark.parametrize("sphere", SPHERES)
def test_the_walk_has_seen_every_field_of_the_table(
    world: ServiceInProcess, pipeline: str, sphere: str
) -> None:
    seen: set[str] = set()
    for object_id in found(world, pipeline, sphere):
        seen |= values(world.describe(pipeline, object_id)).keys()
    # Nothing is wrong with a definition that was activated: test_health has one that was not.
    shown = {item.name for item in having(sphere) if item.shown} - {"@error"}
    assert seen >= shown
    assert set(SHOWN) >= {item.name for item in having(sphere) if item.shown}


@pytest.mark.parametrize(
    ("key", "operator", "text", "components"),
    [
        ("errorId", "EQ", "X", ["Copy"]),
        ("errorMessage", "EQ", "broken", ["Copy"]),
        ("errorStackTrace", "EQ", "trace", ["Copy"]),
        ("emrStepLog", "EQ", "s3://logs/s-1/", ["Copy"]),
        ("type", "EQ", "S3DataNode", ["In", "Out"]),
        ("type", "EQ", "S3DataNode|Ec2Resource", ["In", "Out", "R", "Short", "Slow"]),
        (
            "workerGroup",
            "EQ",
            "wg",
            [
                *("Base", "Copy", "In", "Keep", "Out", "P", "R", "Short", "Slow", "TooLong"),
                *("Use", "Waits"),
            ],
        ),
        ("@waitingOn", "REF_EQ", f"@Slow_{T}", ["Waits"]),
        ("cancellationReason", "EQ", "canceled by SetStatus", ["Gone"]),
        ("@failureReason", "EQ", "terminateAfter (0:01:00) has passed", ["Short"]),
        ("@finishedTime", "EQ", "2026-02-13T02:01:00", ALL_THAT_ENDED_LATE),
        ("currentRetryCount", "GE", "1", ["P"]),
        ("lastRetryTime", "GE", "2026-02-13T02:01:00", ["P"]),
        ("reportProgressTime", "EQ", "2026-02-13T02:01:00", ["Keep"]),
        ("@headAttempt", "REF_EQ", f"@Copy_{T}_Attempt=1", ["Copy"]),
        ("@status", "EQ", "CASCADE_FAILED", ["Out", "Use"]),
        ("@cascadeFailedOn", "REF_EQ", f"@Copy_{T}", ["Out"]),
        ("node", "REF_EQ", f"@In_{T}", ["P"]),
        ("runsOn", "REF_EQ", f"@R_{T}", ["Copy", "Keep"]),
        ("directoryPath", "EQ", "s3://b/2026", ["Out"]),
        ("attemptTimeout", "EQ", "120 minutes", ["Use"]),
        ("attemptTimeout", "GE", "1 day", []),
        ("attemptTimeout", "LE", "1 day", ["Use"]),
        ("nothing", "EQ", "", []),
    ],
)
def test_instances_are_found_by_what_they_are_and_were(
    world: ServiceInProcess,
    pipeline: str,
    key: str,
    operator: str,
    text: str,
    components: list[str],
) -> None:
    ids = found(world, pipeline, "INSTANCE", (key, operator, text))
    assert [object_id[1:].rsplit(f"_{T}", 1)[0] for object_id in ids] == components


def test_a_field_has_one_row_for_each_kind_of_instance() -> None:
    for name in {known.name for known in RUNTIME_FIELDS}:
        kinds = [kind for known in known_as(name) for kind in known.only]
        assert len(kinds) == len(set(kinds)), name


def test_an_expression_sees_what_is_shown(world: ServiceInProcess, pipeline: str) -> None:
    known = {item.name for item in RUNTIME_FIELDS if item.in_expressions}
    checked: set[str] = set()
    for object_id in found(world, pipeline, "INSTANCE"):
        shown = values(world.describe(pipeline, object_id))
        with world.service.objects(pipeline) as objects:
            for key in known & shown.keys() - OF_ATTEMPTS:
                value = objects.evaluate(object_id, f"#{{{key}}}")
                assert value == shown[key].removeprefix(">"), (object_id, key)
                checked.add(key)
    assert checked == {
        "@componentParent",
        "@sphere",
        "@status",
        "@version",
        "@scheduledStartTime",
        "@scheduledEndTime",
        "@actualStartTime",
        "@actualEndTime",
        "@cascadeFailedOn",
        "@attemptCount",
        "@resourceId",
        "errorId",
        "errorMessage",
        "cancellationReason",
        "@failureReason",
    }


#: Known only to alarms, which are told of the newest attempt.
OF_ATTEMPTS = {
    *("@triesLeft", "@headAttempt", "attemptStatus", "emrStepLog", "hostname", "errorStackTrace"),
    "hadoopJobLog",
}
