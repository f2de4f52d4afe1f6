"""Fields without effect: told where they are written, once, and only if they do nothing."""

from __future__ import annotations

import json

import pytest

from taskrunner.model.catalog.effects import Way, effect_of
from taskrunner.model.reader import read_document
from taskrunner.model.validate import findings_of_places
from tests.unit.model.validate.definitions import Change, Json, add, changed, put, report_on


def noted(*changes: Change) -> list[tuple[str | None, str | None]]:
    report = report_on(changed(*changes))
    assert report.errors == ()
    return [(found.id, found.field) for found in report.warnings if found.code == "no-effect"]


def emr(**fields: object) -> Change:
    given = {"id": "E", "type": "EmrActivity", "workerGroup": "g", "step": "/x.jar"}
    return add(**{**given, **fields})


def hive_copy(**fields: object) -> Change:
    return add(**{"id": "E", "type": "HiveCopyActivity", "workerGroup": "g", **fields})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([put("Machine", role="arn:aws:iam::1:role/r")], [("Machine", "role")]),
        ([put("Target", maximumRetries="1")], [("Target", "maximumRetries")]),
        ([put("Database", jdbcDriverJarUri="s3://b/x.jar")], [("Database", "jdbcDriverJarUri")]),
        ([put("Database", jdbcDriverClass="com.acme.Driver")], [("Database", "jdbcDriverClass")]),
        ([put("Default", role="DataPipelineRole")], [("Default", "role")]),
        ([put("Default", role=None), put("Alarm", role="Name")], [("Alarm", "role")]),
        ([put("Default", role="#{myRole}", myRole="x")], []),
        ([emr(resizeClusterBeforeRunning="true")], []),
        ([hive_copy(resizeClusterBeforeRunning="true")], [("E", "resizeClusterBeforeRunning")]),
        ([hive_copy(resizeClusterBeforeRunning="False")], []),
        ([hive_copy(resizeClusterMaxInstances="5")], [("E", "resizeClusterMaxInstances")]),
    ],
)
def test_what_does_nothing_is_told(changes: list[Change], expected: list[tuple[str, str]]) -> None:
    assert noted(*changes) == expected


@pytest.mark.parametrize("key", ["maximumRetries", "attemptTimeout", "retryDelay"])
def test_what_is_set_on_default_for_some_is_not_told_for_others(key: str) -> None:
    assert noted(put("Default", **{key: "3" if key == "maximumRetries" else "3 hours"})) == []


def test_what_does_nothing_for_any_heir_is_told_where_it_is_written() -> None:
    base = add(id="Base", jdbcDriverJarUri="s3://b/x.jar")
    heirs = [
        put("Database", parent={"ref": "Base"}),
        add(
            id="Other",
            type="RdsDatabase",
            username="u",
            rdsInstanceId="i",
            parent={"ref": "Base"},
            **{"*password": "#{*mySecret}"},
        ),
    ]
    assert noted(base, *heirs) == [("Base", "jdbcDriverJarUri")]


def test_a_parent_with_a_type_tells_for_its_heirs() -> None:
    heir = add(id="Heir", type="JdbcDatabase", parent={"ref": "Database"})
    found = noted(put("Database", jdbcDriverJarUri="s3://b/x.jar"), heir)
    assert found == [("Database", "jdbcDriverJarUri")]


def test_a_field_of_an_object_without_a_type_is_nobodys() -> None:
    report = report_on(changed(add(id="Base", jdbcDriverJarUri="s3://b/x.jar")))
    assert [found.code for found in report.errors] == ["missing-type"]
    assert "no-effect" not in {found.code for found in report.warnings}


@pytest.mark.parametrize("way", sorted(set(Way) - {Way.COMMAND, Way.GROUP}))
@pytest.mark.parametrize("field", ["initTimeout", "retryDelay", "actionOnResourceFailure"])
def test_what_is_launched_is_watched_whatever_it_is(way: Way, field: str) -> None:
    for kind in ("Ec2Resource", "EmrCluster"):
        effect = effect_of(kind, field)
        assert effect is not None
        assert effect.of(["x"], frozenset({way}))
        assert not effect.of(["x"], frozenset({Way.GROUP}))


def test_the_message_says_why() -> None:
    report = report_on(changed(put("Database", jdbcDriverJarUri="s3://b/x.jar")))
    (found,) = [found for found in report.warnings if found.code == "no-effect"]
    assert found.message == (
        "it has no effect here: databases are reached by this program's own drivers, so no jar is "
        "needed"
    )
    assert found.line is not None


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        (Way.EC2, []),
        (Way.LOCAL, [("Machine", "imageId")]),
        (Way.GROUP, [("Machine", "imageId"), ("Machine", "initTimeout")]),
    ],
)
def test_of_where_a_resource_runs_only_what_is_lost_there_is_told(
    way: Way, expected: list[tuple[str, str]]
) -> None:
    fields: Json = {"imageId": "ami-1", "attemptTimeout": "1 hour", "initTimeout": "1 hour"}
    document = changed(
        put("Machine", **fields), put("Default", maximumRetries="5", resourceRole=None)
    )
    definition = read_document(json.dumps(document)).definition
    found = findings_of_places(definition, {"Machine": frozenset({way})})
    assert [(finding.id, finding.field) for finding in found] == expected
    assert {finding.code for finding in found} <= {"no-effect"}
