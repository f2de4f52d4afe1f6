from __future__ import annotations

from typing import Any

import pytest

from taskrunner.model.edits import forbidden_edits
from taskrunner.testing.service import as_definition

SCHEDULE = {
    "id": "S",
    "type": "Schedule",
    "period": "1 hour",
    "startDateTime": "2026-02-13T02:00:00",
}
SHELL = {
    "id": "A",
    "type": "ShellCommandActivity",
    "command": "true",
    "schedule": {"ref": "S"},
    "output": {"ref": "N"},
    "onFail": [{"ref": "X"}, {"ref": "Y"}],
}
NODE = {"id": "N", "type": "S3DataNode", "filePath": "s3://b/k"}
ACTIONS = [{"id": key, "type": "Terminate"} for key in "XY"]
ACTIVE: list[dict[str, Any]] = [SCHEDULE, SHELL, NODE, *ACTIONS]


def edits(*objects: dict[str, Any]) -> list[str]:
    return [str(e) for e in forbidden_edits(as_definition(ACTIVE), as_definition([*objects]))]


def changed(before: dict[str, Any], **fields: Any) -> list[dict[str, Any]]:
    after = {key: value for key, value in {**before, **fields}.items() if value is not None}
    return [after if obj is before else obj for obj in ACTIVE]


@pytest.mark.parametrize(
    "after",
    [
        ACTIVE,
        ACTIVE[::-1],
        changed(SHELL, command="other", maximumRetries="1"),
        changed(SHELL, onFail=[{"ref": "Y"}, {"ref": "X"}]),
        changed(SCHEDULE, period="1 Hours", endDateTime="2026-03-01T00:00:00"),
        changed(SCHEDULE, occurrences="3"),
        changed(NODE, filePath="s3://other/key"),
        [*ACTIVE, {**SHELL, "id": "B", "output": {"ref": "M"}}, {**NODE, "id": "M"}],
        [*ACTIVE, {**SHELL, "id": "B", "input": {"ref": "N"}, "output": {"ref": "M"}}],
    ],
)
def test_what_may_be_changed_while_a_pipeline_is_active(after: list[dict[str, Any]]) -> None:
    assert edits(*after) == []


@pytest.mark.parametrize(
    ("after", "where", "instead"),
    [
        ([SCHEDULE, NODE, *ACTIONS], "object 'A': it was removed", "keep it, or deactivate"),
        (
            changed(SCHEDULE, period="2 hours"),
            "object 'S', field 'period': the period was changed from 1 hour to 2 hours",
            "deactivate the pipeline, then put this again, or make another pipeline of it",
        ),
        (changed(SHELL, output={"ref": "M"}), "object 'A', field 'output'", "deactivate"),
        (changed(SHELL, output=None), "object 'A', field 'output'", "deactivate"),
        (changed(SHELL, dependsOn={"ref": "B"}), "object 'A', field 'dependsOn'", "deactivate"),
        (changed(SHELL, onFail={"ref": "X"}), "object 'A', field 'onFail'", "deactivate"),
        (
            [*ACTIVE, {**SHELL, "id": "B"}],
            "object 'B', field 'output': a new object writes to 'N'",
            "an output of its own",
        ),
        (
            changed(SCHEDULE, startDateTime="2026-02-14T02:00:00"),
            "object 'S', field 'startDateTime': the start was changed",
            "activate with a startTimestamp instead",
        ),
        (
            changed(SCHEDULE, startDateTime=None, startAt="FIRST_ACTIVATION_DATE_TIME"),
            "object 'S', field 'startDateTime'",
            "startTimestamp",
        ),
    ],
)
def test_the_guides_five_rules_each_with_what_to_do_instead(
    after: list[dict[str, Any]], where: str, instead: str
) -> None:
    found = edits(*after)
    assert found[0].startswith(where)
    assert instead in found[0]


def test_every_edit_is_told() -> None:
    assert len(edits(*changed(SCHEDULE, period="1 day", startDateTime="2026-01-01T00:00:00"))) == 2
