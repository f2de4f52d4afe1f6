from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from taskrunner.cli.operators.why import Reached, answer, render
from taskrunner.errors import CallRefused, NotAuthorized, ServiceFault, UsageError
from taskrunner.service.callers import ANONYMOUS
from taskrunner.service.handlers import HANDLERS
from taskrunner.testing import ServiceInProcess
from taskrunner.wire.api import operation_of
from taskrunner.wire.http import HttpReply, HttpRequest
from taskrunner.wire.inputs import ListPipelinesInput
from tests.contract.v1 import V1
from tests.unit.service.worlds import ON_DEMAND, T, shell
from tests.unit.wire.fakes import client_answering

A = f"@A_{T}"


@pytest.fixture
def world() -> Iterator[ServiceInProcess]:
    with ServiceInProcess() as found:
        yield found


def service_of(world: ServiceInProcess, *, v1: bool, may_list: bool = True) -> Reached:
    """A service that is reached without a network; with `v1` it is one of ours."""
    ours = V1(world)

    def http(request: HttpRequest) -> HttpReply:
        if not v1:
            return HttpReply(status=404, body=b"<UnknownOperationException/>")
        headers = ours.signed(request.method, request.path, request.query, b"", "viewer")
        found = ours.send(request.method, request.path, request.query, b"", headers)
        return HttpReply(status=found.status, body=found.body)

    def call(request: Any) -> Any:
        if isinstance(request, ListPipelinesInput) and not may_list:
            raise NotAuthorized("no", code="AccessDeniedException")
        try:
            return HANDLERS[operation_of(request)](world.service, ANONYMOUS, request)
        except ServiceFault as fault:
            raise CallRefused(str(fault), code=fault.code) from fault

    return Reached(client=client_answering(http)[0], call=call, region="eu-west-1")


@pytest.mark.parametrize(
    ("v1", "code"), [(True, "NO_RUNNER"), (False, "RUNNERS_NOT_KNOWN")], ids=["ours", "AWS's"]
)
def test_any_service_is_asked(world: ServiceInProcess, v1: bool, code: str) -> None:
    pipeline = world.run([ON_DEMAND, shell("A"), shell("B", after="A")])
    found, exit_code = answer(service_of(world, v1=v1), pipeline, f"@B_{T}")

    assert exit_code == 0
    (waiting,) = found["waiting"]
    assert waiting["causes"][0]["because"][0]["code"] == code
    assert json.dumps(found)
    whole, _ = answer(service_of(world, v1=v1), pipeline, None)
    assert [item["component_id"] for item in whole["waiting"]] in (["A", "B"], ["B", "A"])


@pytest.mark.parametrize("v1", [True, False], ids=["ours", "AWS's"])
def test_an_object_that_is_not_there_is_wrong_usage(world: ServiceInProcess, v1: bool) -> None:
    pipeline = world.run([ON_DEMAND, shell("A")])
    with pytest.raises(UsageError, match="Z"):
        answer(service_of(world, v1=v1), pipeline, "@Z")


@pytest.mark.parametrize("v1", [True, False], ids=["ours", "AWS's"])
def test_400_pipeline_not_found(world: ServiceInProcess, v1: bool) -> None:
    """The guide: region, account and id must be those of the pipeline."""
    pipeline = world.run([ON_DEMAND, shell("A")])
    found, exit_code = answer(service_of(world, v1=v1), "df-NOWHERE", None)
    (cause,) = found["pipeline"]
    assert (exit_code, cause["code"]) == (1, "PIPELINE_NOT_FOUND")
    assert "127.0.0.1:8484 (region eu-west-1)" in cause["says"]
    assert cause["command"] == "taskrunner pipelines list --region eu-west-1"

    for near in ("test", pipeline.lower()):
        (cause,) = answer(service_of(world, v1=v1), near, None)[0]["pipeline"]
        assert (cause["code"], cause["command"]) == (
            "PIPELINE_NOT_FOUND",
            f"taskrunner why {pipeline}",
        )
    (cause,) = answer(service_of(world, v1=v1, may_list=False), "test", None)[0]["pipeline"]
    assert cause["code"] == "PIPELINE_NOT_FOUND"


@pytest.mark.parametrize("v1", [True, False], ids=["ours", "AWS's"])
def test_one_that_was_deleted(world: ServiceInProcess, v1: bool) -> None:
    pipeline = world.run([ON_DEMAND, shell("A")])
    world.service.delete_pipeline(pipeline)
    found, exit_code = answer(service_of(world, v1=v1), pipeline, None)
    assert (exit_code, found["pipeline"][0]["code"]) == (1, "PIPELINE_DELETED")


def test_who_has_the_same_root_stands_together(world: ServiceInProcess) -> None:
    objects = [ON_DEMAND, shell("A"), shell("B", after="A"), shell("C", after="B")]
    pipeline = world.run(objects)
    lines = list(render(answer(service_of(world, v1=True), pipeline, None)[0]))
    assert lines == [
        f"Pipeline {pipeline} is SCHEDULED",
        "",
        "No runner asks for the work of the worker group 'wg'. [NO_RUNNER]",
        "  -> on a host that is to do the work: taskrunner --worker-group wg",
        f"    {A}: WAITING_FOR_RUNNER",
        f"    @B_{T}: WAITING_ON_DEPENDENCIES",
        f"      it waits for {A} (dependsOn), which is WAITING_FOR_RUNNER",
        f"    @C_{T}: WAITING_ON_DEPENDENCIES",
        f"      it waits for @B_{T} (dependsOn), which is WAITING_ON_DEPENDENCIES",
        f"      it waits for {A} (dependsOn), which is WAITING_FOR_RUNNER",
    ]


def test_others_are_counted_and_more_causes_are_told() -> None:
    causes = [
        {"code": "X", "says": "one\x1b[31m", "command": "mend it", "object_id": "a"},
        {"code": "Y", "says": "two", "command": "c", "object_id": "b"},
    ]
    item = {"instance_id": "@A", "status": "S", "count": 9, "more": True, "causes": causes}
    lines = list(render({"pipeline_id": "df-1", "waiting": [item]}))
    assert lines == [
        "Pipeline df-1",
        "",
        r"One\x1b[31m. [X]",
        "  -> mend it",
        "    @A and 8 or more others: S",
        "      also: two",
    ]


def test_where_nothing_is_wrong_that_is_said() -> None:
    lines = list(render({"pipeline_id": "df-1", "state": "SCHEDULED"}))
    assert lines[-1] == "Nothing of it waits, and nothing that ended last has failed."
