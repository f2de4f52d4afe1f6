from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from taskrunner.model.document import Field, PipelineObject, Ref
from taskrunner.model.instances import (
    Category,
    Components,
    Dependency,
    DependencyKind,
    InstanceSpec,
    attempt_id,
    expand,
    instance_id,
    resource_worker_group,
)
from taskrunner.model.period import Period
from taskrunner.model.schedule import ON_DEMAND_ID, Occurrence, Schedule
from taskrunner.model.selection import overlapping

START = datetime(2026, 2, 13, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
DAILY = Schedule(id="Daily", start=START, period=Period.parse("1 day"))
HOURLY = Schedule(id="Hourly", start=START, period=Period.parse("1 hour"))
K = DependencyKind
CATEGORIES = {
    "ShellCommandActivity": "activity",
    "S3DataNode": "datanode",
    "Exists": "precondition",
    "Ec2Resource": "resource",
    "HttpProxy": "resource",
    "Schedule": "schedule",
    "SnsAlarm": "action",
}


def obj(object_id: str, object_type: str | None, **fields: Any) -> PipelineObject:
    """An object; a value of `>X` is a reference to X, lists give several values."""
    pairs = [
        Field(key, Ref(value[1:]) if value.startswith(">") else value)
        for key, given in {"type": object_type or [], **fields}.items()
        for value in (given if isinstance(given, list) else [given])
    ]
    return PipelineObject(id=object_id, name=f"the {object_id}", fields=tuple(pairs))


def activity(object_id: str, **fields: Any) -> PipelineObject:
    return obj(
        object_id,
        "ShellCommandActivity",
        **{"schedule": ">Daily", "scheduleType": "cron", "workerGroup": "wg", **fields},
    )


def node(object_id: str, **fields: Any) -> PipelineObject:
    return obj(object_id, "S3DataNode", **{"schedule": ">Daily", "scheduleType": "cron", **fields})


def components(*objects: PipelineObject) -> Components:
    return Components.of({o.id: o for o in objects}, CATEGORIES.get)


class World:
    """Surroundings in which fields are taken as they stand."""

    def __init__(self, of: Components, selected: Sequence[Occurrence] | None = None) -> None:
        self.of = of
        self.selected = selected

    def overlapping(self, schedule_id: str, start: datetime, end: datetime) -> list[Occurrence]:
        schedule = {"Daily": DAILY, "Hourly": HOURLY}[schedule_id]
        found = overlapping(schedule, start, end)
        return [o for o in found if self.selected is None or o in self.selected]

    def text(self, component_id: str, field: str, occurrence: Occurrence) -> str | None:
        return self.of.objects[component_id].string(field)


def made(
    *objects: PipelineObject, by: Schedule = DAILY, index: int = 0, on_demand: bool = False
) -> Mapping[str, InstanceSpec]:
    of = components(*objects)
    occurrence = by.occurrence(index)
    assert occurrence is not None
    schedule_id = ON_DEMAND_ID if on_demand else by.id
    specs = expand("df-1", of, schedule_id, occurrence, World(of))
    assert len({s.instance_id for s in specs}) == len(specs)
    return {s.instance_id.removeprefix("@").removesuffix("_2026-02-13T00:00:00"): s for s in specs}


def waits(spec: InstanceSpec) -> set[tuple[str, str]]:
    return {
        (d.instance_id.removeprefix("@").removesuffix("_2026-02-13T00:00:00"), str(d.kind))
        for d in spec.dependencies
    }


def test_ids_are_the_services_own() -> None:
    assert instance_id("Copy", START) == "@Copy_2026-02-13T00:00:00"
    assert attempt_id("@Copy_2026-02-13T00:00:00", 2) == "@Copy_2026-02-13T00:00:00_Attempt=2"
    assert resource_worker_group("df-0123", "@EC2Resource_2022-06-29T06:27:53") == (
        "resource:df-0123_@EC2Resource_2022-06-29T06:27:53"
    )


def test_only_what_has_a_life_becomes_an_instance() -> None:
    found = made(
        activity("A"),
        obj("Daily", "Schedule"),
        obj("Alarm", "SnsAlarm", schedule=">Daily"),
        obj("Proxy", "HttpProxy", schedule=">Daily"),
        obj("Default", None, schedule=">Daily"),
        activity("Other", schedule=">Hourly"),
        activity("Never", schedule=[]),
    )
    assert list(found) == ["A"]


def test_an_instance_has_its_period_and_names() -> None:
    spec = made(activity("A"))["A"]
    assert spec == InstanceSpec(
        instance_id="@A_2026-02-13T00:00:00",
        component_id="A",
        name="the A",
        type="ShellCommandActivity",
        category=Category.ACTIVITY,
        start=START,
        end=START + DAY,
        not_before=START,
        worker_group="wg",
    )


@pytest.mark.parametrize(("style", "at"), [("cron", START), ("timeseries", START + DAY)])
def test_cron_runs_at_the_start_and_timeseries_at_the_end_but_resources_at_the_start(
    style: str, at: datetime
) -> None:
    found = made(
        activity("A", scheduleType=style, runsOn=">R"),
        node("N", scheduleType=style),
        obj("R", "Ec2Resource", schedule=">Daily", scheduleType=style),
    )
    assert (found["A"].not_before, found["N"].not_before) == (at, at)
    assert found["R"].not_before == START


def test_activities_wait_for_inputs_and_data_nodes_for_their_producers() -> None:
    found = made(
        activity("Make", output=">N"),
        node("N"),
        activity("Use", input=">N", dependsOn=[">Make", ">Other"], output=">Out"),
        activity("Other"),
        node("Out"),
    )
    assert waits(found["Make"]) == set()
    assert waits(found["N"]) == {("Make", "producer")}
    assert waits(found["Use"]) == {
        ("N", "input"),
        ("Make", "dependsOn"),
        ("Other", "dependsOn"),
    }
    assert waits(found["Out"]) == {("Use", "producer")}


def test_who_reads_what_it_writes_does_not_wait_for_itself() -> None:
    found = made(activity("Append", input=">N", output=">N"), node("N"))
    assert waits(found["N"]) == set()
    assert waits(found["Append"]) == {("N", "input")}


def test_a_reference_that_stands_twice_is_one_dependency() -> None:
    found = made(activity("A"), activity("B", dependsOn=[">A", ">A"]))
    assert len(found["B"].dependencies) == 1


def test_references_to_what_has_no_life_are_no_dependencies() -> None:
    found = made(activity("A", dependsOn=[">Alarm", ">Nowhere"]), obj("Alarm", "SnsAlarm"))
    assert found["A"].dependencies == ()


def test_an_activity_runs_in_the_group_of_its_resource() -> None:
    found = made(
        activity("A", runsOn=">R", workerGroup=[]),
        obj("R", "Ec2Resource", schedule=">Daily"),
    )
    group = "resource:df-1_@R_2026-02-13T00:00:00"
    assert found["A"].worker_group == found["R"].worker_group == group
    assert waits(found["A"]) == {("R", "runsOn")}
    assert found["R"].dependencies == ()


def test_without_a_group_or_a_resource_there_is_none() -> None:
    assert made(activity("A", workerGroup=[]))["A"].worker_group is None
    assert made(activity("A", runsOn=">Gone"))["A"].worker_group is None


# -- preconditions --------------------------------------------------------------------------


def test_a_precondition_comes_with_what_it_guards() -> None:
    found = made(activity("A", precondition=">P", scheduleType="timeseries"), obj("P", "Exists"))
    check = found["P"]
    assert (check.category, check.node_id) == (Category.PRECONDITION, found["A"].instance_id)
    assert (check.worker_group, check.not_before) == ("wg", START + DAY)
    assert check.dependencies == ()
    assert waits(found["A"]) == {("P", "precondition")}


def test_the_resource_is_launched_for_the_precondition_too() -> None:
    found = made(
        activity("A", precondition=">P", runsOn=">R"),
        obj("P", "Exists"),
        obj("R", "Ec2Resource", schedule=">Daily"),
    )
    assert waits(found["P"]) == {("R", "runsOn")}
    assert found["P"].worker_group == found["R"].worker_group


def test_a_precondition_of_several_has_an_instance_for_each() -> None:
    found = made(
        activity("A", precondition=">P"), activity("B", precondition=">P"), obj("P", "Exists")
    )
    assert set(found) == {"A", "B", "P_A", "P_B"}
    assert (found["P_A"].node_id, found["P_B"].node_id) == (
        found["A"].instance_id,
        found["B"].instance_id,
    )
    assert waits(found["A"]) == {("P_A", "precondition")}


def test_the_precondition_of_a_data_node_is_looked_at_once_the_data_is_written() -> None:
    found = made(activity("Make", output=">N"), node("N", precondition=">P"), obj("P", "Exists"))
    assert waits(found["P"]) == {("Make", "producer")}
    assert waits(found["N"]) == {("Make", "producer"), ("P", "precondition")}


def test_the_precondition_of_a_data_node_runs_where_its_users_run() -> None:
    read = made(activity("Use", input=">N"), node("N", precondition=">P"), obj("P", "Exists"))
    assert read["P"].worker_group == "wg"
    group = "resource:df-1_@R_2026-02-13T00:00:00"
    written = made(
        activity("Make", output=">N", runsOn=">R"),
        node("N", precondition=">P"),
        obj("P", "Exists"),
        obj("R", "Ec2Resource", schedule=">Daily"),
    )
    assert written["P"].worker_group == group
    assert waits(written["P"]) == {("Make", "producer"), ("R", "runsOn")}
    alone = made(node("N", precondition=">P"), obj("P", "Exists"))
    assert alone["P"].worker_group is None


def test_what_only_looks_like_a_precondition_is_none() -> None:
    found = made(activity("A", precondition=[">B", ">Gone"]), activity("B"))
    assert set(found) == {"A", "B"}
    assert found["A"].dependencies == ()


# -- schedules side by side -----------------------------------------------------------------


def test_a_daily_activity_waits_for_every_hour_of_its_day() -> None:
    spec = made(activity("Sum", input=">Hours"), node("Hours", schedule=">Hourly"))["Sum"]
    hours = [instance_id("Hours", START + n * HOUR) for n in range(24)]
    assert [d.instance_id for d in spec.dependencies] == hours


def test_an_hourly_activity_waits_for_its_day() -> None:
    found = made(
        activity("A", schedule=">Hourly", dependsOn=">Day"), activity("Day"), by=HOURLY, index=5
    )
    (spec,) = found.values()
    assert spec.dependencies == (Dependency(instance_id("Day", START), K.DEPENDS_ON),)


def test_an_activity_runs_on_one_of_several_periods_of_its_resource() -> None:
    spec = made(activity("A", runsOn=">R"), obj("R", "Ec2Resource", schedule=">Hourly"))["A"]
    assert spec.dependencies == (Dependency(instance_id("R", START), K.RESOURCE),)
    assert spec.worker_group == resource_worker_group("df-1", instance_id("R", START))


def test_an_hourly_activity_runs_on_the_resource_of_its_day() -> None:
    found = made(
        activity("A", schedule=">Hourly", runsOn=">R"),
        obj("R", "Ec2Resource", schedule=">Daily"),
        by=HOURLY,
        index=30,
    )
    (spec,) = found.values()
    assert spec.dependencies == (Dependency(instance_id("R", START + DAY), K.RESOURCE),)


def test_periods_that_are_not_to_run_are_not_waited_for() -> None:
    of = components(activity("Sum", input=">Hours"), node("Hours", schedule=">Hourly"))
    day, third = DAILY.occurrence(0), HOURLY.occurrence(3)
    assert day is not None
    assert third is not None
    (spec,) = expand("df-1", of, "Daily", day, World(of, selected=[third]))
    assert [d.instance_id for d in spec.dependencies] == [instance_id("Hours", third.start)]


def test_on_demand_everything_is_in_the_one_period() -> None:
    on_demand = {"schedule": [], "scheduleType": "ondemand"}
    found = made(
        activity("A", output=">N", **on_demand),
        node("N", **on_demand),
        activity("B", input=">N", schedule=">Daily", scheduleType="ondemand"),
        by=Schedule.on_demand(START),
        on_demand=True,
    )
    assert set(found) == {"A", "N", "B"}
    assert all(spec.not_before == spec.start == spec.end == START for spec in found.values())
    assert waits(found["B"]) == {("N", "input")}


def test_one_component_on_demand_makes_the_pipeline_so() -> None:
    assert components(activity("A"), activity("B", scheduleType="onDemand")).on_demand
    assert not components(activity("A"), obj("Default", None, scheduleType="ondemand")).on_demand


def test_who_runs_on_a_resource_is_known() -> None:
    of = components(
        activity("A", runsOn=">R"), activity("B"), node("N", runsOn=">R"), obj("R", "Ec2Resource")
    )
    assert of.used_by("R") == ("A",)
