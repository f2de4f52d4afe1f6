from __future__ import annotations

import pytest

from taskrunner.data.databases.spec import DatabaseSpec
from taskrunner.data.redshift.home import Home


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (
            "Sales.c1a2b3.eu-west-1.redshift.amazonaws.com",
            Home(cluster="sales", region="eu-west-1"),
        ),
        (
            "etl-wg.123456789012.us-east-2.redshift-serverless.amazonaws.com",
            Home(workgroup="etl-wg", region="us-east-2"),
        ),
        ("x.c1.cn-north-1.redshift.amazonaws.com.cn", Home(cluster="x", region="cn-north-1")),
        ("warehouse.example.com", None),
        ("10.0.0.1", None),
    ],
)
def test_what_an_address_says(host: str, expected: Home | None) -> None:
    assert Home.of(DatabaseSpec(id="Db", scheme="redshift", host=host)) == expected


def test_texts() -> None:
    assert str(Home(cluster="c", region="r")) == "Redshift cluster 'c'"
    assert str(Home(workgroup="w", region="r")) == "Redshift Serverless workgroup 'w'"
