"""Every example, as its README paragraph runs it, to its end."""

from __future__ import annotations

import gzip
import json
import secrets
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pytest

from tests.local_runs import run_here
from tests.spark_host import QUICK_JAVA, needs_spark

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def run(tmp_path: Path, name: str, *options: str, timeout: float = 120) -> dict[str, Any]:
    """Run an example with its S3 at tmp_path/s3; returns what --format json prints."""
    arguments = [
        *(str(EXAMPLES / name / "pipeline.json"), "--format", "json", *options),
        *("--work-dir", str(tmp_path / "work"), "--s3-root", str(tmp_path / "s3")),
    ]
    done = run_here(tmp_path, *arguments, patience_s=timeout)
    assert done.returncode == 0, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    assert result["status"] == "FINISHED"
    unfinished = [i["id"] for i in result["instances"] if i["status"] != "FINISHED"]
    assert unfinished == []
    return result


def instances(result: dict[str, Any], component: str) -> list[dict[str, Any]]:
    return [i for i in result["instances"] if i["component"] == component]


def standard_output(logs: Path, component: str) -> str:
    (path,) = logs.glob(f"*/{component}/*/*/StdOutput.gz")
    return gzip.decompress(path.read_bytes()).decode()


def contents(folder: Path) -> str:
    return "".join(path.read_text() for path in sorted(folder.iterdir()) if path.is_file())


def test_every_example_is_tested() -> None:
    names = {path.parent.name for path in EXAMPLES.glob("*/pipeline.json")}
    plain = {"ec2-worker", "hello", "orders", "parameters", "precondition", "sql-report"}
    assert names == plain | {"dynamodb-replication", "emr-cluster", "hive", "redshift"}


def test_every_example_has_its_paragraph() -> None:
    readme = (EXAMPLES / "README.md").read_text()
    for path in EXAMPLES.glob("*/pipeline.json"):
        assert f"taskrunner run examples/{path.parent.name}/pipeline.json" in readme


@pytest.fixture(scope="module")
def orders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A folder in which the example has run once, and its result."""
    folder = tmp_path_factory.mktemp("orders")
    return folder, run_orders(folder)


def run_orders(folder: Path) -> dict[str, Any]:
    return run(folder, "orders", "--param", f"myDatabaseFile={folder / 'orders.db'}")


def test_orders(orders: tuple[Path, dict[str, Any]]) -> None:
    folder, result = orders
    bucket = folder / "s3" / "orders-example"
    for day in ("2026-01-05", "2026-01-06", "2026-01-07"):
        rows = contents(bucket / "orders" / day).splitlines()
        assert len(rows) == 60
        assert all(row.startswith(day) for row in rows)
        # AWS's dialect: nothing is quoted, a comma in a field is escaped, NULL is \N.
        assert rows[0].endswith(r",as a gift\, please")
        assert rows[1].endswith(r",\N")
    with sqlite3.connect(folder / "orders.db") as connection:
        sums = connection.execute(
            "select day, sum(orders), sum(pieces), sum(sales) from daily_summary group by day"
        ).fetchall()
        expected = connection.execute(
            "select date(placed_at), count(*), sum(quantity), sum(quantity * price)"
            " from orders group by 1"
        ).fetchall()
    connection.close()
    assert sums == expected
    assert len(sums) == 3
    assert sorted(alarm["message"] for alarm in result["alarms"]) == [
        f"The summary for 2026-01-0{day}T00:00:00 is in the database." for day in (5, 6, 7)
    ]


def test_orders_again_gives_the_same(orders: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = orders
    summaries = folder / "s3" / "orders-example" / "summaries"
    first = {path.relative_to(summaries): path.read_bytes() for path in summaries.rglob("*.csv")}
    run_orders(folder)
    second = {path.relative_to(summaries): path.read_bytes() for path in summaries.rglob("*.csv")}
    assert first == second
    assert len(first) == 3


def test_hello(tmp_path: Path) -> None:
    run(tmp_path, "hello")
    output = standard_output(tmp_path / "s3" / "hello-example" / "logs", "Hello")
    assert output.startswith("Hello from Linux")


def test_precondition(tmp_path: Path) -> None:
    result = run(tmp_path, "precondition")
    checks = {i["component"] for i in result["instances"]}
    assert {"MarkedComplete", "NotEmpty", "DiskHasRoom"} <= checks
    output = standard_output(tmp_path / "s3" / "precondition-example" / "logs", "Count")
    assert output.strip() == "2"
    assert "The delivery could not be counted" not in {a["subject"] for a in result["alarms"]}


def check_report(tmp_path: Path) -> None:
    report = tmp_path / "s3" / "sql-report-example" / "reports" / "sales-by-region.tsv"
    rows = [line.split("\t") for line in report.read_text().splitlines()]
    assert [(region, int(count), float(amount)) for region, count, amount in rows] == [
        ("north", 1, 80.0),
        ("south", 1, 300.0),
        ("west; far", 1, 9.75),
    ]


def test_sql_report(tmp_path: Path) -> None:
    run(tmp_path, "sql-report", "--param", f"myDatabaseFile={tmp_path / 'report.db'}")
    check_report(tmp_path)


@pytest.mark.external_service
def test_sql_report_on_postgresql(tmp_path: Path, postgresql_database: str) -> None:
    run(tmp_path, "sql-report", "--database", f"ReportDatabase={postgresql_database}")
    check_report(tmp_path)


@pytest.mark.external_service
def test_sql_report_on_mariadb(tmp_path: Path, mariadb_database: str) -> None:
    run(tmp_path, "sql-report", "--database", f"ReportDatabase={mariadb_database}")
    check_report(tmp_path)


@pytest.mark.external_service
def test_redshift(tmp_path: Path, postgresql_database: str) -> None:
    """A PostgreSQL stands in for the cluster, and the log says so."""
    options = (
        *("--param", f"myDatabaseFile={tmp_path / 'shop.db'}"),
        *("--database", f"Warehouse={postgresql_database}"),
    )
    bucket = tmp_path / "s3" / "redshift-example"
    for _ in range(2):
        run(tmp_path, "redshift", *options)
        for day in ("2026-01-05", "2026-01-06"):
            report = (bucket / "reports" / f"{day}.csv").read_text()
            assert report == "customer,orders,amount\nAda,2,89.75\nGrace,1,120.50\n"
    logs = [gzip.decompress(path.read_bytes()) for path in bucket.rglob("Activity.log.gz")]
    loads = [text for text in logs if b"insertMode OVERWRITE_EXISTING" in text]
    assert len(loads) == 4
    assert all(b"standing in for Redshift" in text for text in loads)
    assert not any(b"only-for-a-real-cluster" in text or b"right-pass" in text for text in logs)


def test_ec2_worker(tmp_path: Path) -> None:
    result = run(tmp_path, "ec2-worker")
    assert len(instances(result, "Worker")) == 1
    bucket = tmp_path / "s3" / "ec2-worker-example"
    numbers = "".join(f"{n}\n" for n in range(1, 101))
    expected = dict.fromkeys(("a.txt", "b.txt", "c.txt"), numbers)
    for folder in ("source", "target"):
        copied = {path.name: path.read_text() for path in (bucket / folder).iterdir()}
        assert copied == expected


@needs_spark
def test_emr_cluster(tmp_path: Path) -> None:
    run(tmp_path, "emr-cluster")
    counts = contents(tmp_path / "s3" / "emr-cluster-example" / "counts").split()
    assert counts == ["3", "a", "2", "is", "3", "rose"]


@needs_spark
@pytest.mark.external_service
def test_hive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgresql_database: str) -> None:
    monkeypatch.setenv("TASKRUNNER_EMR_ENGINE", "local")
    monkeypatch.setenv("TASKRUNNER_PASS_ENV", "JAVA_TOOL_OPTIONS")
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", QUICK_JAVA)
    options = (
        *("--param", f"myDatabaseFile={tmp_path / 'orders.db'}"),
        *("--database", f"Warehouse={postgresql_database}"),
    )
    # Spark takes half a minute of CPU before it begins.
    result = run(tmp_path, "hive", *options, timeout=900)
    assert [len(instances(result, name)) for name in ("Cluster", "SumUp")] == [1, 1]
    (folder,) = (tmp_path / "s3" / "hive-example" / "sums").iterdir()
    assert sorted(contents(folder).splitlines()) == ["north\t2\t30.0", "south\t2\t104.75"]
    (log,) = (tmp_path / "s3/hive-example/logs").glob("*/SumUp/*/*/Activity.log.gz")
    assert b"Applications and jobs: local-" in gzip.decompress(log.read_bytes())
    with psycopg.connect(postgresql_database) as connection:
        loaded = connection.execute("select region, orders, amount from regions order by 1")
        assert loaded.fetchall() == [
            ("north", 2, Decimal("30.00")),
            ("south", 2, Decimal("104.75")),
        ]


def test_dynamodb_replication(
    tmp_path: Path, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", s3_endpoint)
    east, west = (boto3.resource("dynamodb", region_name=r) for r in ("us-east-1", "us-west-2"))
    # All tests of a run share the server.
    names = [f"example-{secrets.token_hex(6)}" for _ in range(2)]
    source, replica = make_table(east, names[0]), make_table(west, names[1])
    values = (f"mySourceTable={names[0]}", f"myTargetTable={names[1]}")
    try:
        with source.batch_writer() as batch:
            for n in range(200):
                batch.put_item({"id": f"user-{n:03}", "n": n, "deleted": n % 10 == 0})
        run(tmp_path, "dynamodb-replication", *(f"--param={value}" for value in values))
        found = {item["id"]: item for item in replica.scan()["Items"]}
        assert len(found) == 180
        assert found["user-001"] == {"id": "user-001", "n": 1, "deleted": False}
        assert "user-010" not in found
    finally:
        for table in (source, replica):
            table.delete()
            table.meta.client.close()
    (folder,) = (tmp_path / "s3" / "dynamodb-replication-example" / names[0]).iterdir()
    files = {path.name for path in folder.iterdir()}
    assert {"manifest", "_SUCCESS"} < files
    assert [name for name in files if name.endswith(".gz")]


def make_table(region: Any, name: str) -> Any:
    return region.create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )


def test_parameters(tmp_path: Path) -> None:
    values = EXAMPLES / "parameters" / "values.json"
    run(tmp_path, "parameters", "--values-file", str(values), "--param", "myGreeting=Salut")
    bucket = tmp_path / "s3" / "parameters-example"
    assert contents(bucket / "greetings") == "Salut, Ada!\nSalut, Grace!\nSalut, Zoë!\n"
    for path in (bucket / "logs").rglob("Activity.log.gz"):
        assert b"correct-horse-battery" not in gzip.decompress(path.read_bytes())
    assert "correct-horse" not in standard_output(bucket / "logs", "UseSecret")


@pytest.mark.parametrize("missing", ["myNames", "*myToken"])
def test_parameters_must_be_given(tmp_path: Path, missing: str) -> None:
    given = {"myNames": "Ada", "*myToken": "t"}
    options = [f"--param={name}={value}" for name, value in given.items() if name != missing]
    done = run_here(
        tmp_path,
        *(str(EXAMPLES / "parameters" / "pipeline.json"), *options),
        *("--work-dir", str(tmp_path / "work"), "--s3-root", str(tmp_path / "s3")),
    )
    assert done.returncode in (1, 2)
    assert missing in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
