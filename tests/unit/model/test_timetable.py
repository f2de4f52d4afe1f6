from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice

import pytest

from taskrunner.errors import DefinitionError
from taskrunner.model.document import Field, PipelineObject, Ref, Value
from taskrunner.model.timetable import timetable

ACTIVATED = datetime(2026, 3, 1, 12, tzinfo=UTC)


def obj(object_id: str, **fields: Value) -> PipelineObject:
    given = tuple(Field(key, value) for key, value in fields.items())
    return PipelineObject(id=object_id, name=object_id, fields=given)


def lines(*objects: PipelineObject, count: int = 3, **parameters: str) -> list[str]:
    entries = timetable(
        {o.id: o for o in objects},
        {key: (value,) for key, value in parameters.items()},
        activated_at=ACTIVATED,
    )
    return [
        f"{e.schedule_id} {e.occurrence.start:%d %H} {e.runs_at:%d %H}"
        for e in islice(entries, count)
    ]


HOURLY = obj("H", type="Schedule", period="6 hours", startDateTime="2026-01-01T00:00:00")
DAILY = obj("D", type="Schedule", period="1 day", startDateTime="2026-01-01T12:00:00")


def test_schedules_are_merged_in_the_order_in_which_they_run() -> None:
    work = [
        obj("A", type="ShellCommandActivity", schedule=Ref("H"), scheduleType="cron"),
        obj("B", type="ShellCommandActivity", schedule=Ref("D"), scheduleType="timeseries"),
    ]

    assert lines(HOURLY, DAILY, *work, count=8) == [
        "H 01 00 01 00",
        "H 01 06 01 06",
        "H 01 12 01 12",
        "H 01 18 01 18",
        "H 02 00 02 00",
        "H 02 06 02 06",
        "D 01 12 02 12",
        "H 02 12 02 12",
    ]


def test_activities_decide_the_style_and_resources_do_not() -> None:
    work = [
        obj("A", type="ShellCommandActivity", schedule=Ref("D"), scheduleType="timeseries"),
        obj("R", type="Ec2Resource", schedule=Ref("D"), scheduleType="cron"),
        obj("N", type="S3DataNode", schedule=Ref("D"), scheduleType="cron"),
    ]

    assert lines(DAILY, *work, count=2) == ["D 01 12 02 12", "D 02 12 03 12"]


def test_data_nodes_decide_where_there_is_no_activity() -> None:
    node = obj("N", type="S3DataNode", schedule=Ref("D"), scheduleType="cron")

    assert lines(DAILY, node, count=1) == ["D 01 12 01 12"]


@pytest.mark.parametrize(
    "objects",
    [
        [obj("Default", scheduleType="ONDEMAND")],
        [obj("S", type="Schedule", period="ONDEMAND_PERIOD", startAt="ONDEMAND_ACTIVATION_TIME")],
    ],
)
def test_on_demand_is_one_entry_of_default(objects: list[PipelineObject]) -> None:
    assert lines(*objects) == ["Default 01 12 01 12"]


def test_parameters_are_filled_in() -> None:
    schedule = obj(
        "S", type="Schedule", period="#{myPeriod}", startDateTime="#{makeDate(2026,1,5)}"
    )

    assert lines(schedule, count=2, myPeriod="2 days") == ["S 05 00 07 00", "S 07 00 09 00"]


def test_fields_that_need_a_run_are_left_alone() -> None:
    activity = obj(
        "A", type="ShellCommandActivity", schedule=Ref("D"), command="#{@actualStartTime}"
    )

    assert lines(DAILY, activity, count=1) == ["D 01 12 02 12"]


def test_a_definition_without_schedule_is_refused() -> None:
    with pytest.raises(DefinitionError, match="no Schedule object"):
        lines(obj("A", type="ShellCommandActivity"))
