"""A loaded definition: what its fields come to."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from taskrunner.model.document import Definition
from taskrunner.model.reader import read_definition
from taskrunner.service.definitions import DefinitionCache, LoadedDefinition, Moment

START = datetime(2026, 2, 13, 2, tzinfo=UTC)


def test_an_optional_parameter_without_a_value_takes_its_field_away() -> None:
    definition = read_definition(
        json.dumps(
            {
                "objects": [
                    {
                        "id": "A",
                        "type": "SnsAlarm",
                        "subject": "#{myWord}",
                        "message": "a#{myWord}b",
                    }
                ],
                "parameters": [{"id": "myWord", "type": "String", "optional": "true"}],
            }
        )
    )
    loaded = LoadedDefinition(definition)
    moment = Moment(start=START, end=START)

    assert loaded.values("A", "subject", moment) == ()
    assert loaded.values("A", "message", moment) == ("ab",)


def test_what_validation_takes_verbatim_is_not_evaluated() -> None:
    # An expression in it is no finding, so it must not fail the run either.
    text = json.dumps({"objects": [{"id": "A", "type": "SnsAlarm", "sphere": "#{gone}"}]})
    moment = Moment(start=START, end=START)

    assert LoadedDefinition(read_definition(text)).values("A", "sphere", moment) == ("#{gone}",)


@pytest.mark.parametrize("given", ["ONDEMAND", "cron"])
def test_a_parameter_may_say_how_the_pipeline_runs(given: str) -> None:
    text = json.dumps(
        {
            "objects": [
                {"id": "Default", "scheduleType": "#{myStyle}", "schedule": {"ref": "Daily"}},
                {
                    "id": "Daily",
                    "type": "Schedule",
                    "period": "#{myPeriod}",
                    "startDateTime": "2026-02-13T02:00:00",
                },
                {"id": "A", "type": "ShellCommandActivity", "command": "true"},
            ],
            "parameters": [{"id": "myStyle", "type": "String"}, {"id": "myPeriod"}],
            "values": {"myStyle": given, "myPeriod": "1 day"},
        }
    )
    loaded = LoadedDefinition(read_definition(text))

    assert loaded.on_demand is (given == "ONDEMAND")
    assert loaded.components.schedule_type("A") == given.lower()
    assert [*loaded.schedules(START)] == ["Default" if loaded.on_demand else "Daily"]


def test_a_period_of_a_parameter_makes_the_pipeline_run_on_demand() -> None:
    text = json.dumps(
        {
            "objects": [
                {"id": "Once", "type": "Schedule", "period": "#{myPeriod}"},
                {"id": "A", "type": "ShellCommandActivity", "schedule": {"ref": "Once"}},
            ],
            "parameters": [{"id": "myPeriod", "type": "String"}],
            "values": {"myPeriod": "ONDEMAND_PERIOD"},
        }
    )

    assert LoadedDefinition(read_definition(text)).on_demand


@pytest.mark.parametrize(
    ("timeout", "first", "second"),
    [
        ("30 minutes", timedelta(minutes=30), timedelta(minutes=30)),
        ("1 month", timedelta(days=28), timedelta(days=31)),
        ("2 YEARS", timedelta(days=730), timedelta(days=731)),
        ("#{format(@scheduledStartTime, 'M')} hours", timedelta(hours=2), timedelta(hours=3)),
    ],
)
def test_a_policy_is_that_of_its_period(timeout: str, first: timedelta, second: timedelta) -> None:
    activity = {"id": "A", "type": "ShellCommandActivity", "attemptTimeout": timeout}
    loaded = LoadedDefinition(read_definition(json.dumps({"objects": [activity]})))
    years = 1 if "YEARS" in timeout else 0
    moments = [datetime(2026, 2, 1, tzinfo=UTC), datetime(2026 + years, 3, 1, tzinfo=UTC)]
    found = [loaded.policy("A", Moment(start=at, end=at)).attempt_timeout for at in moments]

    assert found == [first, second]


def of_objects(count: int) -> Definition:
    objects = [{"id": f"A{n}", "type": "ShellCommandActivity"} for n in range(count)]
    return read_definition(json.dumps({"objects": objects}))


class Stored:
    """Definitions of so many objects, each by its pipeline's id, and what was asked for."""

    def __init__(self, **objects: int) -> None:
        self.objects, self.asked = objects, list[str]()

    def load(self, pipeline_id: str, _version: int) -> Definition:
        self.asked.append(pipeline_id)
        return of_objects(self.objects[pipeline_id])


def test_definitions_are_held_until_their_objects_are_too_many() -> None:
    stored = Stored(small=2, wide=5, other=2)
    cache = DefinitionCache(stored.load, most_objects=9)
    for name in ("small", "wide", "small", "wide"):
        assert len(cache.get(name, 1).objects) == stored.objects[name]
    assert stored.asked == ["small", "wide"]
    cache.get("other", 1)  # in place of the one that was used longest ago
    cache.get("wide", 1)
    assert stored.asked == ["small", "wide", "other"]
    cache.get("small", 1)
    cache.get("wide", 1)
    assert stored.asked == ["small", "wide", "other", "small"]


def test_a_definition_that_is_too_large_for_the_rest_is_held_alone() -> None:
    stored = Stored(small=2, huge=50)
    cache = DefinitionCache(stored.load, most_objects=9)
    for name in ("small", "huge", "huge", "small", "small"):
        cache.get(name, 1)
    assert stored.asked == ["small", "huge", "small"]


def test_what_is_forgotten_leaves_its_room_to_others() -> None:
    stored = Stored(small=2, wide=5, other=2)
    cache = DefinitionCache(stored.load, most_objects=9)
    cache.get("small", 1)
    cache.get("wide", 1)
    cache.forget("small", 1)
    cache.forget("small", 1)
    cache.get("other", 1)
    cache.get("wide", 1)
    cache.get("other", 1)
    assert stored.asked == ["small", "wide", "other"]
    cache.get("small", 1)
    assert stored.asked == ["small", "wide", "other", "small"]
