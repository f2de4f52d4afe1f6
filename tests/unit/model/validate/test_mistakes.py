"""Every kind of mistake, put into a good definition one at a time."""

from __future__ import annotations

import json
from typing import NamedTuple

import pytest

from taskrunner.model.validate import CODES, Severity
from tests.unit.model.validate.definitions import (
    GOOD,
    Change,
    add,
    changed,
    parameter,
    put,
    report_on,
    value,
)


class Case(NamedTuple):
    """A change, and the finding that it must give: where, and words of its message."""

    code: str
    change: Change
    id: str | None
    field: str | None
    words: tuple[str, ...] = ()


ON_DEMAND = put("Default", scheduleType="ondemand", schedule=None)
BIG = "x" * 11_000


def _on_demand(*changes: Change) -> Change:
    def change(document: dict[str, object]) -> None:
        for each in (ON_DEMAND, *changes):
            each(document)

    return change


def both(*changes: Change) -> Change:
    def change(document: dict[str, object]) -> None:
        for each in changes:
            each(document)

    return change


CASES = [
    # shape
    Case("bad-shape", lambda d: d["objects"].append(7), None, None, ("a number", "an object")),
    Case("bad-shape", lambda d: d.update(parameters="x"), None, None, ("a string", "a list")),
    Case("bad-shape", lambda d: d.update(values=["x"]), None, None, ("a list", "an object")),
    Case("bad-value-shape", put("Shell", stage={"a": 1}), "Shell", "stage", ("'a'", "ref")),
    Case("bad-value-shape", put("Shell", stage=[["true"]]), "Shell", "stage", ("a list",)),
    Case("null-value", put("Shell", stage=[None]), "Shell", "stage", ("null",)),
    Case("missing-id", lambda d: d["objects"].append({"type": "CSV"}), None, None, ("'CSV'",)),
    Case("missing-id", lambda d: d["parameters"].append({"type": "String"}), None, None),
    Case("unknown-part", lambda d: d.update(paramters=[]), None, None, ("'paramters'",)),
    # objects
    Case("empty-id", add(id="", type="CSV"), "", "id", ("empty",)),
    Case("reserved-id", add(id="@x", type="CSV"), "@x", "id", ("@",)),
    Case("duplicate-id", add(id="Copy", type="CSV"), "Copy", "id", ("'Copy'", "line")),
    Case("missing-type", add(id="Lonely", command="ls"), "Lonely", "type", ("no type",)),
    Case("bad-type", put("Copy", type=["CopyActivity", "CSV"]), "Copy", "type", ("one name",)),
    Case("bad-type", put("Copy", type={"ref": "Shell"}), "Copy", "type"),
    Case("unknown-type", put("Copy", type="CopyActivty"), "Copy", "type", ("'CopyActivity'?",)),
    Case("unknown-type", put("Copy", type="EMRActivity"), "Copy", "type", ("'EmrActivity'?",)),
    Case("bad-character", put("Shell", command="a\u0001"), "Shell", "command", ("U+0001",)),
    # fields
    Case("unknown-field", put("Shell", comand="x"), "Shell", "comand", ("did you mean 'command'",)),
    Case(
        "unknown-field", put("Default", wokerGroup="x"), "Default", "wokerGroup", ("workerGroup",)
    ),
    Case("unknown-field", put("Database", password="x"), "Database", "password", ("'*password'",)),
    Case("runtime-field", put("Shell", at_status="X"), "Shell", "@status", ("only the service",)),
    Case("runtime-field", put("Shell", at_mine="X"), "Shell", "@mine", ("only the service",)),
    Case("runtime-field", put("Shell", errorId="X"), "Shell", "errorId", ("only the service",)),
    Case("forbidden-field", put("Machine", workerGroup="g"), "Machine", "workerGroup"),
    Case("forbidden-field", put("Machine", runsOn={"ref": "Machine"}), "Machine", "runsOn"),
    Case("empty-value", put("Source", selectQuery=""), "Source", "selectQuery", ("empty",)),
    Case("several-values", put("Shell", command=["a", "b"]), "Shell", "command", ("2", "one")),
    Case("several-values", put("Daily", period=["1 day", "2 days"]), "Daily", "period"),
    Case("reference-wanted", put("Copy", input="Source"), "Copy", "input", ('{"ref": "Source"}',)),
    Case("reference-wanted", put("Copy", input="#{myWord}"), "Copy", "input", ("#{myWord}",)),
    Case("value-wanted", put("Source", table={"ref": "Target"}), "Source", "table", ("text",)),
    Case("missing-field", put("Alarm", topicArn=None), "Alarm", "topicArn", ("needs topicArn",)),
    Case("missing-field", put("Daily", period=None), "Daily", "period", ("needs period",)),
    Case("missing-field", put("Source", table=None), "Source", "table", ("SqlDataNode",)),
    Case("missing-one-of", put("Shell", command=None), "Shell", "command", ("or scriptUri",)),
    Case("missing-one-of", put("Target", directoryPath=None), "Target", "directoryPath"),
    Case("conflicting-fields", put("Shell", scriptUri="s3://b/s"), "Shell", "scriptUri", ("one",)),
    # references
    Case(
        "dangling-reference", put("Copy", input={"ref": "Sourc"}), "Copy", "input", ("'Source'?",)
    ),
    Case("dangling-reference", put("Copy", parent={"ref": "Nobody"}), "Copy", "parent"),
    Case("dangling-reference", put("Copy", myRef={"ref": "Nobody"}), "Copy", "myRef", ("Nobody",)),
    Case(
        "wrong-reference-kind",
        put("Copy", runsOn={"ref": "Daily"}),
        "Copy",
        "runsOn",
        ("a Schedule", "Ec2Resource, EmrCluster"),
    ),
    Case("wrong-reference-kind", put("Copy", input={"ref": "Alarm"}), "Copy", "input"),
    Case("wrong-reference-kind", put("Copy", onFail={"ref": "Source"}), "Copy", "onFail"),
    Case("wrong-reference-kind", put("Default", schedule={"ref": "Copy"}), "Default", "schedule"),
    Case("wrong-reference-kind", put("Copy", dependsOn={"ref": "Daily"}), "Copy", "dependsOn"),
    Case(
        "wrong-reference-kind",  # through what is inherited
        both(
            put("Default", runsOn={"ref": "Machine"}),
            add(id="Hive", type="HiveActivity", hiveScript="x"),
        ),
        "Hive",
        "runsOn",
        ("EmrCluster",),
    ),
    Case(
        "parent-cycle",
        both(put("Copy", parent={"ref": "Shell"}), put("Shell", parent={"ref": "Copy"})),
        "Copy",
        "parent",
        ("Copy -> Shell -> Copy",),
    ),
    Case("parent-cycle", put("Copy", parent={"ref": "Copy"}), "Copy", "parent", ("Copy -> Copy",)),
    Case(
        "parent-chain",
        lambda d: d["objects"].extend(
            {"id": f"p{i}", "type": "CSV", "parent": {"ref": f"p{i - 1}" if i else "Default"}}
            for i in range(40)
        ),
        "p32",
        "parent",
        ("32",),
    ),
    Case(
        "dependency-cycle",
        put("Copy", dependsOn={"ref": "Shell"}),
        "Copy",
        "dependsOn",
        ("Copy -> Shell -> Copy",),
    ),
    Case(
        "dependency-cycle",  # the shell command writes what the copy, which it waits for, reads
        both(put("Shell", output={"ref": "Source"})),
        "Shell",
        "dependsOn",
        ("Source -> Shell -> Copy -> Source",),
    ),
    Case("dependency-cycle", put("Shell", dependsOn={"ref": "Shell"}), "Shell", "dependsOn"),
    # values
    Case("bad-period", put("Daily", period="15 Period"), "Daily", "period", ("'15 Period'",)),
    Case("bad-period", put("Shell", retryDelay="soon"), "Shell", "retryDelay", ("'soon'",)),
    Case("bad-period", put("Shell", attemptTimeout="0 hours"), "Shell", "attemptTimeout"),
    Case(
        "bad-datetime",
        put("Daily", startDateTime="2026-02-30T00:00:00"),
        "Daily",
        "startDateTime",
        ("2026-02-30",),
    ),
    Case("bad-datetime", put("Daily", endDateTime="tomorrow"), "Daily", "endDateTime"),
    Case(
        "bad-integer", put("Shell", maximumRetries="many"), "Shell", "maximumRetries", ("'many'",)
    ),
    Case("bad-integer", put("Shell", maximumRetries=1.5), "Shell", "maximumRetries", ("'1.5'",)),
    Case("bad-integer", put("Daily", occurrences="0"), "Daily", "occurrences", ("1 or more",)),
    Case(
        "bad-number",
        add(id="T", type="DynamoDBDataNode", tableName="t", readThroughputPercent="half"),
        "T",
        "readThroughputPercent",
        ("'half'",),
    ),
    Case(
        "bad-number",
        add(id="T", type="DynamoDBDataNode", tableName="t", writeThroughputPercent="0"),
        "T",
        "writeThroughputPercent",
        ("'0'", "from 0.1 to 1.0"),
    ),
    Case("bad-boolean", put("Shell", stage="yes"), "Shell", "stage", ("'yes'", "true or false")),
    Case("bad-enum", put("Default", scheduleType="corn"), "Default", "scheduleType", ("'cron'?",)),
    Case("bad-enum", put("Shell", failureAndRerunMode="all"), "Shell", "failureAndRerunMode"),
    Case("bad-enum", put("Target", compression="bzip"), "Target", "compression", ("none, gzip",)),
    # expressions
    Case("expression-syntax", put("Shell", command="#{day("), "Shell", "command", ("at column",)),
    Case("expression-syntax", put("Shell", command="x #{}"), "Shell", "command"),
    Case(
        "unknown-function",
        put("Shell", command="#{formt(@scheduledStartTime, 'dd')}"),
        "Shell",
        "command",
        ("'format'?", "at column 3"),
    ),
    Case("argument-count", put("Shell", command="#{day()}"), "Shell", "command", ("1 argument",)),
    Case("unknown-name", put("Shell", command="#{input.x}"), "Shell", "command", ("'input'",)),
    Case(
        "unknown-name",
        put("Copy", myPath="#{output.directoryPth}"),
        "Copy",
        "myPath",
        ("'Target' has no field", "'directoryPath'?"),
    ),
    Case("unknown-parameter", put("Shell", command="#{myWrd}"), "Shell", "command", ("'myWord'?",)),
    Case(
        "unknown-parameter", put("Default", pipelineLogUri="#{myLogs}"), "Default", "pipelineLogUri"
    ),
    Case(
        "unknown-runtime-field",
        put("Shell", command="#{@scheduledStartTme}"),
        "Shell",
        "command",
        ("'@scheduledStartTime'?",),
    ),
    Case("misplaced-node", put("Target", myName="#{node.name}"), "Target", "myName", ("action",)),
    # parameters
    Case(
        "parameter-name", lambda d: d["parameters"].append({"id": "x", "default": "1"}), "x", "id"
    ),
    Case("duplicate-parameter", lambda d: d["parameters"].append({"id": "myWord"}), "myWord", "id"),
    Case(
        "unknown-parameter-type", parameter("myWord", type="Text"), "myWord", "type", ("Integer",)
    ),
    Case("bad-parameter-flag", parameter("myWord", optional="si"), "myWord", "optional", ("'si'",)),
    Case("parameter-without-value", parameter("myWord", default=None), "myWord", None),
    Case("wrong-parameter-type", value("myCount", "three"), "myCount", None, ("'three'", "whole")),
    Case(
        "wrong-parameter-type",
        both(parameter("myCount", type="Double", default="x", allowedValues=None)),
        "myCount",
        None,
        ("'x'", "number"),
    ),
    Case("value-not-allowed", value("myCount", "5"), "myCount", None, ("'5'", "3, 4")),
    Case("parameter-not-array", value("myWord", "a", "b"), "myWord", None, ("isArray",)),
    Case("expression-syntax", parameter("myWord", default="#{"), "myWord", "default"),
    # schedules
    Case("missing-schedule", put("Default", schedule=None), "Copy", "schedule", ("ondemand",)),
    Case("missing-start", put("Daily", startDateTime=None), "Daily", "startAt", ("startAt",)),
    Case(
        "occurrences-and-end",
        put("Daily", occurrences="2", endDateTime="2026-03-01T00:00:00"),
        "Daily",
        "occurrences",
        ("endDateTime",),
    ),
    Case(
        "end-before-start",
        put("Daily", endDateTime="2026-02-13T02:00:00"),
        "Daily",
        "endDateTime",
        ("2026-02-13T02:00:00",),
    ),
    Case("ondemand-not-on-default", put("Copy", scheduleType="ondemand"), "Copy", "scheduleType"),
    Case("ondemand-mixed", _on_demand(put("Copy", scheduleType="cron")), "Copy", "scheduleType"),
    Case("ondemand-value", put("Daily", period="ONDEMAND_PERIOD"), "Daily", "period"),
    Case(
        "ondemand-value",
        put("Daily", startAt="ONDEMAND_ACTIVATION_TIME", startDateTime=None),
        "Daily",
        "startAt",
    ),
    # rules
    Case(
        "late-action-without-timeout",
        put("Copy", onLateAction={"ref": "Alarm"}),
        "Copy",
        "onLateAction",
        ("lateAfterTimeout",),
    ),
    Case(
        "copy-direction",
        add(
            id="H",
            type="HiveCopyActivity",
            input={"ref": "Target"},
            output={"ref": "Source"},
            workerGroup="g",
        ),
        "H",
        "output",
        ("DynamoDBDataNode",),
    ),
    # warnings
    Case(
        "no-effect",
        add(
            id="H",
            type="HiveCopyActivity",
            workerGroup="g",
            resizeClusterMaxInstances="4",
        ),
        "H",
        "resizeClusterMaxInstances",
        ("copied without the cluster",),
    ),
    Case("undocumented-field", put("Machine", logUri="s3://b/"), "Machine", "logUri"),
    Case("missing-role", put("Default", role=None), "Alarm", "role", ("AWS",)),
    Case("no-runner", put("Shell", workerGroup=None), "Shell", "runsOn", ("workerGroup",)),
    Case("worker-group-ignored", put("Copy", workerGroup="g"), "Copy", "workerGroup"),
    Case(
        "start-given-twice",
        put("Daily", startAt="FIRST_ACTIVATION_DATE_TIME"),
        "Daily",
        "startAt",
        ("startDateTime wins",),
    ),
    Case("backfill", put("Daily", startDateTime="2026-02-11T02:00:00"), "Daily", "startDateTime"),
    Case(
        "cascade-backfill",
        both(
            put("Daily", startDateTime="2026-02-11T02:00:00"),
            put("Default", failureAndRerunMode="CASCADE"),
        ),
        "Default",
        "failureAndRerunMode",
    ),
    Case("undated-output", put("Target", directoryPath="s3://b/x"), "Target", "directoryPath"),
    Case("mixed-schedule-types", put("Copy", scheduleType="timeseries"), "Copy", "scheduleType"),
    Case("plain-text-secret", put("Database", star_password="x"), "Database", "*password"),
    Case(
        "deprecated-type", put("Source", type="MySqlDataNode"), "Source", "type", ("SqlDataNode",)
    ),
    Case("unknown-region", put("Machine", region="Frankfurt"), "Machine", "region", ("us-east-1",)),
    Case(
        "plain-text-secret",
        put("Database", connectionString="jdbc:mysql://h/db?user=u&password=x"),
        "Database",
        "connectionString",
    ),
    Case("plain-text-secret", parameter("*mySecret", default="x"), "*mySecret", "default"),
    Case(
        "secret-argument",
        put("Shell", scriptArgument=["plain", "--key=#{*mySecret}"]),
        "Shell",
        "scriptArgument",
        ("ps", "command"),
    ),
    Case(
        "secret-argument",
        put("Shell", scriptArgument="#{myKey}", myKey="#{Database.*password}"),
        "Shell",
        "scriptArgument",
    ),
    Case(
        "masked-secret",
        put("Database", star_password="*****"),
        "Database",
        "*password",
        ("GetPipelineDefinition", "#{*myPassword}"),
    ),
    Case(
        "masked-secret",
        parameter("*mySecret", default="*****"),
        "*mySecret",
        "default",
        ("--param '*mySecret=VALUE'",),
    ),
    Case(
        "masked-secret",
        lambda d: d.update(
            parameters=[*d["parameters"], {"id": "*mySecret", "type": "Integer"}],
            values={**d.get("values", {}), "*mySecret": "*****"},
        ),
        "*mySecret",
        None,
        ("--param '*mySecret=VALUE'",),
    ),
    Case(
        "no-activity",
        lambda d: d.update(objects=[{"id": "C", "type": "CSV"}], parameters=[]),
        None,
        None,
    ),
    Case("unusual-dependency", put("Shell", dependsOn={"ref": "Target"}), "Shell", "dependsOn"),
    Case("repeated-single", put("Machine", subnetId=["a", "b"]), "Machine", "subnetId"),
    Case("no-own-schedule", put("Default", schedule=None), "Target", "schedule"),
    Case("nothing-to-copy", put("Copy", output=None), "Copy", "output"),
    Case("no-database", put("Source", database=None), "Source", "database"),
    Case(
        "bad-step",
        add(
            id="E",
            type="EmrActivity",
            workerGroup="g",
            step=["command-runner.jar,true", "step 1"],
        ),
        "E",
        "step",
        ("'step 1'", "wanted JAR,ARGUMENT"),
    ),
    Case(
        "bad-variable",
        add(
            id="H",
            type="HiveActivity",
            workerGroup="g",
            hiveScript="x",
            scriptVariable=["A=1", "B"],
        ),
        "H",
        "scriptVariable",
        ("'B'", "wanted NAME=value"),
    ),
    Case(
        "no-effect",
        add(
            id="E",
            type="HiveCopyActivity",
            workerGroup="g",
            resizeClusterBeforeRunning="true",
        ),
        "E",
        "resizeClusterBeforeRunning",
        ("without the cluster",),
    ),
    Case(
        "script-argument-with-uri",
        put("Shell", command=None, scriptUri="s3://b/s", scriptArgument="x"),
        "Shell",
        "scriptArgument",
    ),
    Case(
        "local-path-on-resource",
        put("Shell", workerGroup=None, runsOn={"ref": "Machine"}, stdout="/tmp/out"),
        "Shell",
        "stdout",
        ("'/tmp/out'",),
    ),
    Case("not-s3-path", put("Default", pipelineLogUri="logs"), "Default", "pipelineLogUri"),
    Case("undeclared-parameter", value("myWodr", "x"), "myWodr", None, ("'myWord'?",)),
    Case("parameter-attribute", parameter("myWord", Type="x"), "myWord", "Type", ("'type'?",)),
    Case(
        "late-ignored",
        _on_demand(put("Copy", lateAfterTimeout="1 hour")),
        "Copy",
        "lateAfterTimeout",
    ),
    Case("schedule-ignored", ON_DEMAND, "Daily", "type"),
    # limits
    Case(
        "limit-objects",
        lambda d: d["objects"].extend({"id": f"c{i}", "type": "CSV"} for i in range(100)),
        None,
        None,
        ("109", "100"),
    ),
    Case("limit-fields", put("Shell", **{f"my{i}": "x" for i in range(50)}), "Shell", None),
    Case("limit-name-bytes", put("Shell", **{"my" + "ü" * 150: "x"}), "Shell", "my" + "ü" * 150),
    Case("limit-field-bytes", put("Shell", command=BIG), "Shell", "command", ("11000", "10240")),
    Case("limit-object-bytes", put("Shell", command=BIG, myText=BIG), "Shell", None),
    Case(
        "limit-parameters",
        lambda d: d["parameters"].extend({"id": f"my{i}", "default": "x"} for i in range(50)),
        None,
        None,
    ),
    Case("limit-values-bytes", value("myWord", "x" * 16_000), None, None),
    Case("limit-period", put("Daily", period="1 minute"), "Daily", "period", ("15 minutes",)),
    Case("limit-period", put("Daily", period="4 years"), "Daily", "period", ("3 years",)),
    Case("limit-retries", put("Shell", maximumRetries="6"), "Shell", "maximumRetries"),
    Case("limit-retry-delay", put("Shell", retryDelay="1 minute"), "Shell", "retryDelay"),
    Case(
        "limit-active-instances",
        put("Shell", maxActiveInstances="6"),
        "Shell",
        "maxActiveInstances",
    ),
    Case(
        "limit-active-instances",
        put("Default", maxActiveInstances="6"),
        "Default",
        "maxActiveInstances",
    ),
    Case("bad-integer", put("Default", maxActiveInstances="0"), "Default", "maxActiveInstances"),
    Case(
        "limit-steps",
        add(id="E", type="EmrActivity", workerGroup="g", step=["x"] * 256),
        "E",
        "step",
    ),
    Case(
        "limit-throughput",
        add(id="T", type="DynamoDBDataNode", tableName="t", writeThroughputPercent="1.5"),
        "T",
        "writeThroughputPercent",
    ),
    Case("limit-bid-price", put("Machine", spotBidPrice="20"), "Machine", "spotBidPrice"),
]

#: Tried where a whole file is needed: in the tests of the reader and of the command.
ELSEWHERE = {
    "not-json",
    "not-yaml",
    "not-utf8",
    "other-form",
    "no-definition",
    "repeated-key",
    "unresolved-value",
    "resource-nowhere",
    "cannot-run",
    "bad-connection",
}


def test_the_good_definition_has_no_finding() -> None:
    report = report_on(GOOD)
    assert [str(f) for f in (*report.errors, *report.warnings)] == []
    assert report.valid


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code}-{case.id}-{case.field}")
def test_a_mistake_is_told_with_its_place(case: Case) -> None:
    report = report_on(changed(case.change))
    severity = CODES[case.code].severity
    findings = report.errors if severity is Severity.ERROR else report.warnings
    matching = [f for f in findings if (f.code, f.id, f.field) == (case.code, case.id, case.field)]
    assert matching, [(f.code, f.id, f.field, f.message) for f in findings]
    for words in case.words:
        assert words in matching[0].message
    if case.id is not None:
        assert matching[0].line is not None
        assert matching[0].column is not None


@pytest.mark.parametrize(
    "case", [c for c in CASES if CODES[c.code].severity is Severity.LIMIT], ids=lambda c: c.code
)
def test_a_limit_is_an_error_when_aws_limits_are_asked_for(case: Case) -> None:
    document = changed(case.change)
    assert case.code not in {f.code for f in report_on(document).errors}
    assert case.code in {f.code for f in report_on(document, aws_limits=True).errors}


def test_every_code_is_tried() -> None:
    assert {case.code for case in CASES} | ELSEWHERE == set(CODES)


def test_mistakes_of_several_people_are_all_told_in_the_order_of_the_text() -> None:
    document = changed(
        put("Daily", period="15 Period"),
        put("Copy", input={"ref": "Nobody"}),
        put("Shell", comand="x", maximumRetries="many"),
    )
    report = report_on(document)
    found = [(f.id, f.field, f.code) for f in report.errors]
    assert found == [
        ("Daily", "period", "bad-period"),
        ("Copy", "input", "dangling-reference"),
        ("Shell", "comand", "unknown-field"),
        ("Shell", "maximumRetries", "bad-integer"),
    ]
    lines = json.dumps(document, indent=2).splitlines()
    for finding in report.errors:
        assert finding.line is not None
        assert f'"{finding.field}"' in lines[finding.line - 1]
        assert lines[finding.line - 1].index('"') + 1 == finding.column
