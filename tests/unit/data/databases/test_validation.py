from __future__ import annotations

import pytest

from taskrunner.data.databases.validation import check_connections
from taskrunner.model.document import Definition
from taskrunner.model.validate.context import Context, Findings
from taskrunner.testing.activity_environment import new_object


def warned(type_name: str, **fields: str | list[str]) -> list[tuple[str | None, str]]:
    definition = Definition(objects=(new_object("Db", type_name, fields),))
    findings = Findings(aws_limits=False)
    check_connections(Context(definition, findings=findings, now=None))
    report = findings.report()
    assert not report.errors
    assert {finding.code for finding in report.warnings} <= {"bad-connection"}
    return [(finding.field, finding.message) for finding in report.warnings]


@pytest.mark.parametrize(
    ("type_name", "fields"),
    [
        ("JdbcDatabase", {"connectionString": "jdbc:mysql://h/d?useSSL=false"}),
        ("RdsDatabase", {"jdbcProperties": ["allowMultiQueries=true", "tcpKeepAlive=true"]}),
        ("RdsDatabase", {"jdbcProperties": "zeroDateTimeBehavior=round"}),
        ("RdsDatabase", {"jdbcProperties": "currentSchema=a"}),
        ("RedshiftDatabase", {"jdbcProperties": "iam=true"}),
        # What a plugin or a parameter says is not known here.
        ("JdbcDatabase", {"connectionString": "jdbc:lake://h/d?tier=1", "jdbcProperties": "a=b"}),
        ("JdbcDatabase", {"connectionString": "jdbc:mysql://#{myHost}/d?nonsense=1"}),
        ("RdsDatabase", {"jdbcProperties": "#{myProperties}"}),
        ("S3DataNode", {"filePath": "s3://b/k"}),
    ],
)
def test_what_a_run_would_take(type_name: str, fields: dict[str, str | list[str]]) -> None:
    assert warned(type_name, **fields) == []


@pytest.mark.parametrize(
    ("type_name", "fields", "field", "words"),
    [
        ("JdbcDatabase", {"connectionString": "jdbc:mysql://h/d?autoDeserialize=true"},
         "connectionString", "'autoDeserialize' is not allowed"),
        ("JdbcDatabase", {"connectionString": "jdbc:mysql://h/d?serverTimezone=Asia/Tokyo"},
         "connectionString", "sessions are in UTC"),
        ("JdbcDatabase", {"connectionString": "jdbc:postgresql://h:x/d"},
         "connectionString", "the port in its address is no number"),
        ("JdbcDatabase",
         {"connectionString": "jdbc:mysql://h/d", "jdbcProperties": "currentSchema=a"},
         "jdbcProperties", "'currentSchema' is not allowed"),
        ("RdsDatabase", {"jdbcProperties": ["useSSL=false", "nonsense=1"]},
         "jdbcProperties", "'nonsense' is not allowed"),
        ("RedshiftDatabase", {"jdbcProperties": "useSSL=false"}, "jdbcProperties", "not allowed"),
        ("MySqlDataNode", {"connectionString": "jdbc:mysql://h/d?x=y"}, "connectionString", "'x'"),
    ],
)  # fmt: skip
def test_what_a_run_would_refuse(
    type_name: str, fields: dict[str, str | list[str]], field: str, words: str
) -> None:
    [(found, message)] = warned(type_name, **fields)
    assert found == field
    assert words in message
