"""What must not be reported: inheritance, alternatives, words in another case, expressions."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from taskrunner.model.catalog import CATALOG, add_types
from taskrunner.model.document import Definition, Field, PipelineObject, Ref
from taskrunner.model.reader import read_definition
from taskrunner.model.validate import Report, validate
from tests.unit.model.validate.definitions import (
    GOOD,
    NOW,
    Change,
    add,
    changed,
    codes,
    parameter,
    put,
    report_on,
    value,
)


def clean(*changes: Change) -> Report:
    return report_on(changed(*changes))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(put("Default", workerGroup="g", myField="x"), id="default-may-hold-any-field"),
        pytest.param(put("Copy", myNote="x", my_note="y", star_myToken="#{*mySecret}"), id="my"),
        pytest.param(put("Default", scheduleType="CRON", failureAndRerunMode="CASCADE"), id="case"),
        pytest.param(put("Shell", stage="True", maximumRetries=3), id="booleans-and-numbers"),
        pytest.param(put("Machine", terminateAfter="2"), id="terminate-after-in-hours"),
        pytest.param(put("Machine", region="eu-south-2"), id="a-newer-region"),
        pytest.param(put("Shell", star_command="#{myWord}", command=None), id="encrypted-variant"),
        pytest.param(put("Daily", period="15 MINUTES"), id="period-in-capitals"),
        pytest.param(put("Shell", maximumRetries="#{myCount}"), id="parameter-as-number"),
        pytest.param(put("Shell", retryDelay="#{myCount + 1} minutes"), id="expression-as-period"),
        pytest.param(put("Alarm", message="#{node.@scheduledStartTime} #{node.errorMessage}")),
        pytest.param(put("Copy", myPath="#{output.directoryPath} #{input.database.username}")),
        pytest.param(put("Copy", myEnd="#{Daily.period} #{parent.@id} #{id} #{@pipelineId}")),
        pytest.param(put("Default", type="Default"), id="cloudformation-writes-type-default"),
        pytest.param(
            put("Target", directoryPath="s3://b/#{myDay}", myDay="#{day(@scheduledEndTime)}"),
            id="a-date-through-a-field",
        ),
        pytest.param(put("Daily", occurrences="1"), id="once"),
        pytest.param(parameter("myWord", optional="true", default=None), id="optional-parameter"),
        pytest.param(parameter("myWord", myComment="x", watermark="y"), id="attributes-in-use"),
        pytest.param(value("myCount", "4"), id="an-allowed-value"),
    ],
)
def test_this_is_no_mistake(change: Change) -> None:
    report = clean(change)
    assert [str(f) for f in (*report.errors, *report.warnings)] == []


def test_a_parent_satisfies_required_fields_and_gives_the_type() -> None:
    report = clean(
        add(id="Base", workerGroup="g", command="ls #{input.x}", parent={"ref": "Root"}),
        add(id="Root", type="ShellCommandActivity", retryDelay="5 minutes"),
        add(id="Heir", parent={"ref": "Base"}),
        put("Shell", dependsOn={"ref": "Heir"}),
    )
    # Root itself has no command: only a parent without a type is abstract.
    assert {(f.id, f.code) for f in report.errors} >= {("Root", "missing-one-of")}
    assert "Heir" not in {f.id for f in report.errors if f.code != "unknown-name"}


def test_an_object_with_a_parent_gets_default_through_it() -> None:
    report = clean(
        add(id="Base", workerGroup="g"),
        add(id="Heir", type="ShellCommandActivity", command="ls", parent={"ref": "Base"}),
    )
    assert report.valid
    assert not report.warnings


def test_on_demand_needs_no_schedule() -> None:
    on_demand = put("Default", scheduleType="ondemand", schedule=None)

    def without_schedule(document: dict[str, list[dict[str, str]]]) -> None:
        document["objects"] = [o for o in document["objects"] if o["id"] != "Daily"]

    report = clean(on_demand, without_schedule)
    assert (report.errors, report.warnings) == ((), ())


def test_types_of_plugins_are_known_and_their_fields_their_own() -> None:
    document = changed(add(id="P", type="PagerActivity", number="1", input={"ref": "Nobody"}))
    definition = read_definition(json.dumps(document))
    assert "unknown-type" in codes(validate(definition, now=NOW).errors)
    pager = replace(CATALOG["ShellCommandActivity"], name="PagerActivity", one_of=())
    forget = add_types({"PagerActivity": replace(pager, any_field=True)}.get)
    assert codes(validate(definition, now=NOW).errors) == ["dangling-reference"]
    forget()
    forget = add_types({"PagerActivity": pager}.get)
    assert codes(validate(definition, now=NOW).errors) == ["unknown-field", "dangling-reference"]
    forget()
    assert "unknown-type" in codes(validate(definition, now=NOW).errors)


def test_backfill_needs_to_know_the_time() -> None:
    document = changed(put("Daily", startDateTime="2020-01-01T00:00:00"))
    definition = read_definition(json.dumps(document))
    assert "backfill" not in codes(validate(definition).warnings)
    assert "backfill" in codes(validate(definition, now=NOW).warnings)


def test_secrets_are_not_in_messages() -> None:
    report = clean(
        put("Database", star_password="hunter2"),
        parameter("*mySecret", type="Integer", allowedValues=["1"]),
        value("*mySecret", "hunter2"),
    )
    assert {"plain-text-secret"} <= set(codes(report.warnings))
    assert {"wrong-parameter-type", "value-not-allowed"} <= set(codes(report.errors))
    assert "hunter2" not in str(report)


def test_arguments_of_statements_are_in_no_list_of_processes() -> None:
    sql = add(id="Sql", type="SqlActivity", script="x", scriptArgument="#{*mySecret}")
    assert "secret-argument" not in codes(clean(sql).warnings)
    plain = put("Shell", scriptArgument=["#{2*3}", "*.csv #{myWord}"])
    assert "secret-argument" not in codes(clean(plain).warnings)


def test_messages_are_short_however_long_the_value_is() -> None:
    report = clean(put("Daily", period="x" * 5_000))
    assert len(report.errors[0].message) < 600


def test_a_secret_parameter_is_not_looked_into() -> None:
    report = clean(put("Daily", period="#{*mySecret}"))
    assert report.valid


def test_long_paths_through_many_objects_are_followed_within_bounds() -> None:
    many = [
        add(id=f"n{i}", type="CSV", myNext=[{"ref": f"n{j}"} for j in range(30)]) for i in range(30)
    ]
    deep = ".".join(["myNext"] * 20)
    assert clean(*many, put("n0", myText="#{" + deep + "}")).valid
    report = clean(*many, put("n0", myText="#{myNext.myNext.myNxt}"))
    assert codes(report.errors) == ["unknown-name"]


def test_paths_through_many_parameters_are_judged_within_bounds() -> None:
    names = [f"my{i}" for i in range(200)]
    text = "s3://b/" + "".join(f"#{{{name}}}" for name in names)
    given = [value(name, text + name) for name in names]
    report = clean(put("Target", directoryPath=text), *given)
    assert "undated-output" not in codes(report.warnings)


def test_findings_without_a_place_come_last_and_definitions_need_no_places() -> None:
    definition = Definition(
        objects=(
            PipelineObject(id="A", name="A", fields=(Field("type", "CSV"), Field("x", Ref("B")))),
        )
    )
    report = validate(definition)
    assert codes(report.errors) == ["unknown-field", "dangling-reference"]
    assert report.errors[0].line is None


def test_json_of_a_report_has_the_documented_shape() -> None:
    found = clean(put("Daily", period="x")).to_json()
    assert found == {
        "valid": False,
        "errors": [
            {
                "id": "Daily",
                "field": "period",
                "code": "bad-period",
                "message": found["errors"][0]["message"],  # type: ignore[index]
                "line": 17,
                "column": 7,
            }
        ],
        "warnings": [],
    }
    assert report_on(GOOD).to_json() == {"valid": True, "errors": [], "warnings": []}
