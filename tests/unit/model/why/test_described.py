from __future__ import annotations

from datetime import UTC, datetime

from taskrunner.model.document import Field, PipelineObject, Ref
from taskrunner.model.instances import DependencyKind
from taskrunner.model.states import AttemptStatus, InstanceStatus
from taskrunner.model.why.described import dependencies, known_of, status_of

#: As the real service was seen to show instances.
A: dict[str, str | Ref] = {
    "type": "ShellCommandActivity",
    "@componentParent": Ref("A"),
    "@sphere": "INSTANCE",
    "@status": "WAITING_FOR_RUNNER",
    "@scheduledStartTime": "2022-06-29T06:27:53",
    "@scheduledEndTime": "2022-06-30T06:27:53",
    "@headAttempt": Ref("@A_2022-06-29T06:27:53_Attempt=2"),
    "@attemptCount": "2",
    "dependsOn": Ref("@B_2022-06-29T06:27:53"),
    "runsOn": Ref("@R_2022-06-29T06:27:53"),
}


def obj(object_id: str, fields: dict[str, str | Ref]) -> PipelineObject:
    return PipelineObject(
        id=object_id, name=object_id, fields=tuple(Field(k, v) for k, v in fields.items())
    )


def test_an_activity_with_what_it_waits_for() -> None:
    head = obj("@A_Attempt=2", {"@status": "WAITING_FOR_RUNNER"})
    before = obj("@A_Attempt=1", {"@status": "FAILED", "errorMessage": "boom", "hostname": "h"})
    statuses = {"@B_2022-06-29T06:27:53": InstanceStatus.FINISHED}
    known = known_of("df-1", obj("@A", A), [before, head], statuses)

    assert known is not None
    assert known.row.component_id == "A"
    assert known.row.scheduled_start == datetime(2022, 6, 29, 6, 27, 53, tzinfo=UTC)
    assert known.row.worker_group == "resource:df-1_@R_2022-06-29T06:27:53"
    assert [d.kind for d in known.unmet] == [DependencyKind.RESOURCE]
    assert [(a.number, a.status, a.error_message) for a in known.attempts] == [
        (1, AttemptStatus.FAILED, "boom"),
        (2, AttemptStatus.WAITING_FOR_RUNNER, None),
    ]


def test_other_spellings_and_unknown_statuses() -> None:
    assert status_of(obj("@A", {"@status": "cancelled"})) is InstanceStatus.CANCELED
    assert status_of(obj("@A", {"@status": "TIMEOUT"})) is InstanceStatus.TIMEDOUT
    assert status_of(obj("@A", {"@status": "VALIDATING"})) is None
    assert known_of("df-1", obj("@A", {"@status": "VALIDATING"}), [], {}) is None


def test_references_to_components_are_no_instances_that_are_waited_for() -> None:
    fields: dict[str, str | Ref] = {**A, "dependsOn": Ref("B"), "runsOn": Ref("R")}
    assert list(dependencies(obj("@A", fields))) == []


def test_nonsense_in_fields_is_as_if_it_were_not_there() -> None:
    fields: dict[str, str | Ref] = {
        **A,
        "@scheduledStartTime": "soon",
        "@attemptCount": "many",
        "currentRetryCount": "x",
    }
    known = known_of("df-1", obj("@A", fields), [obj("odd", {"@status": "?"})], {})
    assert known is not None
    assert (known.row.attempt_count, known.looks) == (0, None)
    assert known.attempts[0].number == 1
