"""Pages of QueryObjects against what the selectors say of each object by itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.errors import InvalidRequest
from taskrunner.model.document import Ref
from taskrunner.model.rows import InstanceRow
from taskrunner.service.objects import Objects
from taskrunner.service.query import RowQuery
from taskrunner.service.row_conditions import RowConditions
from taskrunner.service.runtime import SHOWN
from taskrunner.service.runtime_values import Subject
from taskrunner.service.selectors import OPERATORS, Condition
from taskrunner.service.store.pages import ATTEMPTS, INSTANCES
from taskrunner.service.store.tables import instances
from taskrunner.service.views import as_text, object_id, values
from taskrunner.testing import ServiceInProcess
from taskrunner.testing.service import as_definition
from taskrunner.wire.structures import Operator, Selector
from tests.statements import asked, plans
from tests.unit.service.worlds import (
    FakeProvider,
    check,
    data,
    ec2,
    ref,
    schedule,
    scheduled,
    shell,
)

#: What no object has, and what has another form of what some have.
NOISE = {"", "zzz", "1.0", "2", "120 minutes", "2026-02-13", "2026-02-13T01:00", "FAILED", "A"}
OWN = ("type", "command", "maximumRetries", "dependsOn", "runsOn", "workerGroup", "attemptTimeout")
FIELDS = (*SHOWN, "id", "@id", "name", "@pipelineId", *OWN, "nothing", "@nothing")


@pytest.fixture(scope="module")
def filled() -> Iterator[tuple[ServiceInProcess, str]]:
    """A pipeline of two versions, with instances in many states."""
    with ServiceInProcess(provider=FakeProvider()) as world:
        begin = (world.now - timedelta(hours=5)).strftime("%Y-%m-%dT%H:%M:%S")
        shared = [
            scheduled(maximumRetries="1", retryDelay="1 minute"),
            schedule(startDateTime=begin),
            ec2("R"),
            check("P"),
            data("D", precondition=ref("P")),
        ]
        pipeline = world.run(
            [
                *shared,
                shell("A", input=ref("D"), command="echo #{@scheduledStartTime}"),
                shell("B", after="A", attemptTimeout="2 hours"),
                shell("C", runsOn=ref("R"), errorId="own"),
            ]
        )
        for _ in range(4):
            world.conclude(world.take())
        world.conclude(world.take(), "FAILED", "SomeError", "it broke")
        world.advance(timedelta(minutes=7))
        world.conclude(world.take(), "FAILED", "OtherError")
        world.service.set_status(pipeline, ["B"], "PAUSE")
        world.settle()
        longer = [shell("A", input=ref("D")), shell("B", after="A"), shell("C", runsOn=ref("R"))]
        world.service.put_definition(pipeline, as_definition([*shared, *longer]))
        world.service.activate(pipeline)
        world.advance(timedelta(hours=2))
        world.take()
        yield world, pipeline


def everything(objects: Objects, sphere: str) -> Sequence[Subject]:
    """Every object of a sphere, in the order of pages."""
    conn, pipeline_id = objects.conn, objects.pipeline.pipeline_id
    if sphere == "INSTANCE":
        rows = INSTANCES.next_rows(conn, pipeline_id, [[]], after=None, up_to=None, limit=1000)
        return objects.as_instances(rows)
    tried = ATTEMPTS.next_rows(conn, pipeline_id, [[]], after=None, up_to=None, limit=1000)
    return objects.as_attempts(tried)


def met(subjects: Iterable[Subject], conditions: Sequence[Condition]) -> list[str]:
    return [
        object_id(subject)
        for subject in subjects
        if all(condition.met_by(subject) for condition in conditions)
    ]


def read(objects: Objects, sphere: str, selectors: Sequence[Selector], limit: int) -> list[str]:
    """All pages, one after the other."""
    found, marker = list[str](), None
    while True:
        page = objects.query(sphere, selectors, marker, limit)
        assert len(page.ids) <= limit
        found += page.ids
        marker = page.marker
        if marker is None:
            return found


@pytest.mark.parametrize("sphere", ["INSTANCE", "ATTEMPT"])
@given(st.data())
def test_pages_hold_what_meets_the_selectors_one_by_one(
    filled: tuple[ServiceInProcess, str], sphere: str, choice: st.DataObject
) -> None:
    world, pipeline = filled
    with world.service.objects(pipeline) as objects:
        subjects = everything(objects, sphere)
        selectors = [drawn(choice, subjects) for _ in range(choice.draw(st.integers(1, 3)))]
        conditions = [Condition.of(selector) for selector in selectors]
        limit = choice.draw(st.sampled_from([1, 3, 100]))
        try:
            wanted = met(subjects, conditions)
        except InvalidRequest:
            return  # some object cannot be compared so; whether it is reached is not promised
        assert read(objects, sphere, selectors, limit) == wanted


def drawn(choice: st.DataObject, subjects: Sequence[Subject]) -> Selector:
    """A selector by values that some object has, or none."""
    field = choice.draw(st.sampled_from(FIELDS))
    there = {
        value.id if isinstance(value, Ref) else as_text(value)
        for subject in subjects
        for value in values(subject, field)
    }
    operator = choice.draw(st.sampled_from(OPERATORS))
    count = 2 if operator == "BETWEEN" else choice.draw(st.integers(1, 3))
    texts = st.lists(st.sampled_from(sorted(there | NOISE)), min_size=count, max_size=count)
    return Selector(
        field_name=field, operator=Operator(type=operator, values=tuple(choice.draw(texts)))
    )


def equal(field: str, *wanted: str) -> Selector:
    return Selector(field_name=field, operator=Operator(type="EQ", values=wanted))


@pytest.mark.parametrize(
    "selectors",
    [
        [],
        [equal("@status", "FAILED", "FINISHED")],
        [equal("@componentParent", "A")],
        [equal("@componentParent", "A"), equal("@status", "FINISHED")],
        [equal("id", "@A_2026-02-13T02:00:00")],
        [
            Selector(
                field_name="@scheduledStartTime",
                operator=Operator(type="GE", values=("2026-02-13T00:00:00",)),
            )
        ],
    ],
)
def test_what_is_often_asked_is_found_by_an_index(
    filled: tuple[ServiceInProcess, str], selectors: list[Selector]
) -> None:
    world, pipeline = filled
    with asked(world.service.store) as found, world.service.objects(pipeline) as objects:
        objects.query("INSTANCE", selectors, None, 2)
        engine = objects.conn.engine
    known = {s: plan for s, plan in plans(engine, found).items() if "LIMIT" in s}
    assert known
    assert not [plan for plan in known.values() if "TEMP B-TREE FOR ORDER BY" in plan]


def test_a_page_looks_at_so_many_objects_and_no_more(filled: tuple[ServiceInProcess, str]) -> None:
    world, pipeline = filled
    looked_at: list[str] = []

    def subjects(rows: Sequence[InstanceRow]) -> Sequence[Subject]:
        found = objects.as_instances(rows)
        looked_at.extend(row.instance_id for row in rows)
        return found

    with world.service.objects(pipeline) as objects:
        rows = RowConditions(instances, {1: world.service.loaded(pipeline, 1)})
        query = RowQuery(objects.conn, pipeline, INSTANCES, rows, subjects, looked_at=10)
        never = [Condition("command", "GE", ("zzz",))]
        page = query.page(never, None, 3)
        assert page.ids == []
        assert page.marker is not None
        assert 10 <= len(looked_at) <= 14
        first = list(looked_at)
        page = query.page(never, page.marker, 3)
        assert looked_at[: len(first)] == first
        assert len(set(looked_at)) == len(looked_at)
