"""A definition without a mistake, and ways to put one in."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from taskrunner.model.reader import read_document
from taskrunner.model.validate import Report, validate_document

Json = dict[str, Any]
Change = Callable[[Json], object]

NOW = datetime(2026, 2, 13, 12, tzinfo=UTC)

GOOD: Json = {
    "objects": [
        {
            "id": "Default",
            "name": "Default",
            "schedule": {"ref": "Daily"},
            "scheduleType": "cron",
            "role": "arn:aws:iam::123456789012:role/DataPipelineRole",
            "resourceRole": "DataPipelineResourceRole",
            "pipelineLogUri": "s3://logs/",
        },
        {
            "id": "Daily",
            "type": "Schedule",
            "period": "1 day",
            "startDateTime": "2026-02-13T02:00:00",
        },
        {
            "id": "Source",
            "type": "SqlDataNode",
            "table": "orders",
            "database": {"ref": "Database"},
            "selectQuery": "select * from orders",
        },
        {
            "id": "Database",
            "type": "JdbcDatabase",
            "connectionString": "jdbc:mysql://host/db",
            "jdbcDriverClass": "com.mysql.jdbc.Driver",
            "username": "reader",
            "*password": "#{*mySecret}",
        },
        {
            "id": "Target",
            "type": "S3DataNode",
            "directoryPath": "s3://b/#{format(@scheduledStartTime, 'YYYY-MM-dd')}/",
        },
        {
            "id": "Copy",
            "type": "CopyActivity",
            "input": {"ref": "Source"},
            "output": {"ref": "Target"},
            "runsOn": {"ref": "Machine"},
            "onFail": {"ref": "Alarm"},
        },
        {"id": "Machine", "type": "Ec2Resource", "terminateAfter": "2 Hours"},
        {
            "id": "Shell",
            "type": "ShellCommandActivity",
            "command": "echo #{myWord}",
            "workerGroup": "group",
            "dependsOn": {"ref": "Copy"},
        },
        {
            "id": "Alarm",
            "type": "SnsAlarm",
            "topicArn": "arn:aws:sns:us-east-1:123456789012:t",
            "subject": "failed",
            "message": "#{node.name} failed",
        },
    ],
    "parameters": [
        {"id": "myWord", "type": "String", "default": "hello"},
        {"id": "myCount", "type": "Integer", "default": "3", "allowedValues": ["3", "4"]},
        {"id": "*mySecret", "type": "String"},
    ],
    "values": {"*mySecret": "from the test"},
}


def changed(*changes: Change) -> Json:
    """The good definition with changes made to a copy of it."""
    document = copy.deepcopy(GOOD)
    for change in changes:
        change(document)
    return document


def put(object_id: str, **fields: object) -> Change:
    """Set fields of an object; None takes one away. `star_x` stands for `*x`."""

    def change(document: Json) -> None:
        [found] = [o for o in document["objects"] if o["id"] == object_id]
        _update(found, fields)

    return change


def parameter(parameter_id: str, **attributes: object) -> Change:
    """Set attributes of a parameter."""

    def change(document: Json) -> None:
        [found] = [p for p in document["parameters"] if p["id"] == parameter_id]
        _update(found, attributes)

    return change


def _update(found: Json, fields: dict[str, object]) -> None:
    for key, value in fields.items():
        name = key.replace("star_", "*").replace("at_", "@")
        if value is None:
            found.pop(name)
        else:
            found[name] = value


def add(**fields: object) -> Change:
    """Add an object."""
    return lambda document: document["objects"].append(dict(fields))


def value(parameter_id: str, *texts: str) -> Change:
    """Give a parameter values; none takes those away that it has."""

    def change(document: Json) -> None:
        if texts:
            document["values"][parameter_id] = texts[0] if len(texts) == 1 else list(texts)
        else:
            document["values"].pop(parameter_id)

    return change


def report_on(document: Json | str, *, aws_limits: bool = False) -> Report:
    """Validate a document as the command does."""
    text = document if isinstance(document, str) else json.dumps(document, indent=2)
    return validate_document(read_document(text), aws_limits=aws_limits, now=NOW)


def codes(findings: Sequence[object]) -> list[str]:
    """The codes of findings, in order."""
    return [getattr(finding, "code") for finding in findings]  # noqa: B009
