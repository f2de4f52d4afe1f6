"""Pages of QueryObjects, and what nobody may find by."""

from __future__ import annotations

import pytest

from taskrunner.errors import InvalidRequest
from taskrunner.service.callers import ANONYMOUS
from taskrunner.service.store.tables import attempts, instances
from taskrunner.testing import ServiceInProcess
from taskrunner.testing.service import as_definition
from taskrunner.wire.structures import Operator, Selector
from tests.unit.service.worlds import ON_DEMAND, FakeProvider, T, shell

SPHERES = ("COMPONENT", "INSTANCE", "ATTEMPT")


@pytest.fixture
def world(kept: ServiceInProcess) -> ServiceInProcess:
    return kept.reset(provider=FakeProvider())


def status(*wanted: str) -> Selector:
    return Selector(field_name="@status", operator=Operator(type="EQ", values=wanted))


def page(
    world: ServiceInProcess,
    pipeline: str,
    sphere: str,
    *selectors: Selector,
    marker: str | None = None,
    limit: int = 2,
) -> tuple[list[str], str | None]:
    with world.service.objects(pipeline) as objects:
        found = objects.query(sphere, selectors, marker, limit)
    return list(found.ids), found.marker


def pages(
    world: ServiceInProcess, pipeline: str, sphere: str, *selectors: Selector
) -> list[list[str]]:
    found, marker = page(world, pipeline, sphere, *selectors)
    read = [found]
    while marker:
        found, marker = page(world, pipeline, sphere, *selectors, marker=marker)
        read.append(found)
    return read


@pytest.mark.parametrize("sphere", SPHERES)
def test_pages_hold_everything_once(world: ServiceInProcess, sphere: str) -> None:
    pipeline = world.run([ON_DEMAND, *(shell(name) for name in "ABCD")])
    world.work_off()
    read = pages(world, pipeline, sphere)
    suffix = {"COMPONENT": "", "INSTANCE": f"_{T}", "ATTEMPT": f"_{T}_Attempt=1"}[sphere]
    at = "" if sphere == "COMPONENT" else "@"
    names = ["Default", *"ABCD"] if sphere == "COMPONENT" else list("ABCD")
    assert [len(ids) for ids in read] == [2, 2, 1] if sphere == "COMPONENT" else [2, 2]
    assert [key for ids in read for key in ids] == [f"{at}{name}{suffix}" for name in names]


def test_a_page_goes_on_after_its_marker_whatever_became_of_that(world: ServiceInProcess) -> None:
    pipeline = world.run([ON_DEMAND, *(shell(name) for name in "ABCD")])
    waiting = status("WAITING_FOR_RUNNER")
    first, marker = page(world, pipeline, "INSTANCE", waiting)
    assert first == [f"@A_{T}", f"@B_{T}"]
    world.work_off()
    assert page(world, pipeline, "INSTANCE", waiting, marker=marker) == ([], None)
    finished, _ = page(world, pipeline, "INSTANCE", status("FINISHED"), marker=marker)
    assert finished == [f"@C_{T}", f"@D_{T}"]


@pytest.mark.parametrize("sphere", SPHERES)
def test_a_page_goes_on_when_what_its_marker_told_is_gone(
    world: ServiceInProcess, sphere: str
) -> None:
    pipeline = world.run([ON_DEMAND, *(shell(name) for name in "ABCD")])
    world.work_off()
    first, marker = page(world, pipeline, sphere)
    with world.service.store.write() as conn:
        ids = [f"@{name}_{T}" for name in "AB"]
        conn.execute(attempts.delete().where(attempts.c.instance_id.in_(ids)))
        conn.execute(instances.delete().where(instances.c.instance_id.in_(ids)))
    world.service.put_definition(pipeline, as_definition([ON_DEMAND, shell("C"), shell("D")]))
    if sphere == "COMPONENT":
        world.service.activate(pipeline)
        assert first == ["Default", "A"]
    rest, _ = page(world, pipeline, sphere, marker=marker)
    assert [key.lstrip("@")[0] for key in rest] == ["C", "D"]


@pytest.mark.parametrize("sphere", SPHERES)
def test_a_marker_that_no_query_gave_is_refused(world: ServiceInProcess, sphere: str) -> None:
    pipeline = world.run([ON_DEMAND, shell("A")])
    with pytest.raises(InvalidRequest, match="marker"):
        page(world, pipeline, sphere, marker="nowhere")
    assert page(world, pipeline, sphere, marker="") == page(world, pipeline, sphere)


@pytest.mark.parametrize("sphere", SPHERES)
def test_a_pipeline_without_a_definition_has_nothing(world: ServiceInProcess, sphere: str) -> None:
    pipeline = world.service.create_pipeline(ANONYMOUS, "p", "1")
    assert page(world, pipeline, sphere, status("PENDING")) == ([], None)


@pytest.mark.parametrize("sphere", SPHERES)
def test_no_secret_can_be_guessed(world: ServiceInProcess, sphere: str) -> None:
    secret = shell("A", command="login #{*myToken}", **{"*key": "s3cret"})
    pipeline = world.run(
        {
            "objects": [ON_DEMAND, secret],
            "parameters": [{"id": "*myToken", "type": "String"}],
            "values": {"*myToken": "t0ken"},
        }
    )
    world.take()
    for key, text in (("*key", "s3cret"), ("command", "login t0ken")):
        asked = Selector(field_name=key, operator=Operator(type="EQ", values=(text,)))
        assert page(world, pipeline, sphere, asked) == ([], None)
        asked = Selector(field_name=key, operator=Operator(type="GE", values=(text,)))
        shown, _ = page(world, pipeline, sphere, asked)
        assert shown == [], "a range would tell a secret bit by bit"
