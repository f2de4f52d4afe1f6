from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from taskrunner.data.databases.properties import Options
from taskrunner.data.databases.spec import DatabaseSpec
from taskrunner.data.redshift.credentials import temporary_login, wants_temporary
from taskrunner.errors import PermanentTaskError

CLUSTER = DatabaseSpec(
    id="Db",
    scheme="redshift",
    host="sales.c1.eu-west-1.redshift.amazonaws.com",
    database="dev",
    username="etl",
)
WORKGROUP = replace(CLUSTER, host="wg.123456789012.us-east-2.redshift-serverless.amazonaws.com")


class Aws:
    """Answers as AWS, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    def __call__(
        self, service: str, region: str | None, call: Callable[[Any], Any], what: str
    ) -> Any:
        self.asked += [service, region, what]
        return call(self)

    def get_cluster_credentials(self, **wanted: object) -> dict[str, str]:
        self.asked.append(wanted)
        return {"DbUser": "IAM:etl", "DbPassword": "temporary-1"}

    def get_credentials(self, **wanted: object) -> dict[str, str]:
        self.asked.append(wanted)
        return {"dbUser": "IAMR:role", "dbPassword": "temporary-2"}


def with_properties(spec: DatabaseSpec, **properties: str) -> DatabaseSpec:
    return replace(spec, options=Options(other=properties))


def test_when_they_are_wanted() -> None:
    assert wants_temporary(CLUSTER)
    assert not wants_temporary(replace(CLUSTER, password="given"))
    assert wants_temporary(with_properties(replace(CLUSTER, password="given"), iam="true"))


def test_of_a_cluster() -> None:
    aws = Aws()
    spec = with_properties(CLUSTER, dbgroups="load,read", autocreate="true")
    found = temporary_login(spec, ask=aws)
    assert (found.username, found.password) == ("IAM:etl", "temporary-1")
    assert aws.asked == [
        "redshift",
        "eu-west-1",
        "temporary credentials for the Redshift cluster 'sales'",
        {
            "ClusterIdentifier": "sales",
            "DbUser": "etl",
            "AutoCreate": True,
            "DurationSeconds": 3600,
            "DbName": "dev",
            "DbGroups": ["load", "read"],
        },
    ]
    assert "temporary-1" not in repr(found)


def test_of_a_workgroup() -> None:
    aws = Aws()
    found = temporary_login(WORKGROUP, ask=aws)
    assert (found.username, found.password) == ("IAMR:role", "temporary-2")
    assert aws.asked[0] == "redshift-serverless"
    assert aws.asked[3] == {"workgroupName": "wg", "durationSeconds": 3600, "dbName": "dev"}


def test_another_user_may_be_named() -> None:
    aws = Aws()
    temporary_login(with_properties(CLUSTER, dbuser="loader"), ask=aws)
    assert "loader" in str(aws.asked[3])


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (replace(CLUSTER, host="db.example"), "set .password, or the clusterId"),
        (replace(CLUSTER, username=None), "set username, or the property DbUser"),
    ],
)
def test_where_they_cannot_be_had(spec: DatabaseSpec, expected: str) -> None:
    with pytest.raises(PermanentTaskError, match=expected):
        temporary_login(spec, ask=Aws())
