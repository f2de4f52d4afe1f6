"""Bad rows of a file are put aside, whatever the server calls them; the others are loaded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskrunner.activities.copy import CopyActivity
from taskrunner.data.settings import DataSettings
from taskrunner.errors import TaskError
from taskrunner.model.document import Ref
from taskrunner.testing.activity_environment import ActivityEnvironment, new_object, new_task
from tests.integration.test_databases import rows, run

URI = "s3://bucket/rejected.jsonl"
#: The rows of a file, and a word of the reason where one is bad.
LINES = {
    "1,a,1.50,2026-01-01": None,
    "x,b,1,2026-01-01": "",
    "2,much too long,1,2026-01-01": "",
    "3,c": "has 2 values",
    "4,d,9999,2026-01-01": "",
    "5,e,1,2026-02-31": "",
    "6,f,1.999,2026-01-01": "wanted a value that the column keeps",
    "1,g,1,2026-01-01": "",
    "7,\\N,1,2026-01-01": "",
    "8,h,-1,2026-01-01": "",
    "99999999999,i,1,2026-01-01": "",
    "9,j,1,2026-01-01": None,
}


@pytest.fixture(params=["postgresql", "mariadb"])
def url(request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue(f"{request.param}_database")
    run(
        found,
        "create table t (id integer primary key, name varchar(5) not null, "
        "price decimal(5,2) check (price >= 0), day date)",
    )
    return found


@pytest.fixture
def environment(url: str, tmp_path: Path) -> Iterator[ActivityEnvironment]:
    data = DataSettings(s3_root=tmp_path / "s3", databases={"Db": url})
    with ActivityEnvironment(data=data) as environment:
        yield environment


def copy(environment: ActivityEnvironment) -> None:
    objects = [
        new_object("In", "S3DataNode", {"filePath": "s3://bucket/in"}),
        new_object("Out", "SqlDataNode", {"table": "t", "database": Ref("Db")}),
        new_object("Db", "RdsDatabase", {"rdsInstanceId": "i"}),
    ]
    nodes: dict[str, str | Ref] = {"input": Ref("In"), "output": Ref("Out")}
    fields: dict[str, str | Ref] = {**nodes, "onBadRow": "reject", "rejectUri": URI}
    environment.run(CopyActivity(), new_task("CopyActivity", fields, *objects))


def test_the_others_are_loaded(environment: ActivityEnvironment, url: str) -> None:
    environment.put("s3://bucket/in", "".join(f"{line}\n" for line in LINES))
    copy(environment)
    assert rows(url, "select id, name from t order by id") == [["1", "a"], ["9", "j"]]
    told = [json.loads(line) for line in environment.read(URI).decode().splitlines()]
    found = {entry["row"]: entry["reason"] for entry in told}
    wanted = {n: word for n, word in enumerate(LINES.values(), 1) if word is not None}
    assert found.keys() == wanted.keys()
    assert all(word in found[number] for number, word in wanted.items())


def test_a_column_that_takes_its_own_numbers_alone_takes_those_of_rows(
    environment: ActivityEnvironment, url: str
) -> None:
    """As without onBadRow: GENERATED ALWAYS AS IDENTITY, of which INSERT says that it is so."""
    number = "integer auto_increment primary key"
    if url.startswith("postgresql"):
        number = "integer generated always as identity primary key"
    run(url, "drop table t")
    run(url, f"create table t (id {number}, name varchar(5))")
    environment.put("s3://bucket/in", "7,a\n7,b\n9,c\n")
    copy(environment)
    assert rows(url, "select id, name from t order by id") == [["7", "a"], ["9", "c"]]


def test_what_is_no_rows_fault_fails(environment: ActivityEnvironment, url: str) -> None:
    environment.put("s3://bucket/in", "1,a,1,2026-01-01\n")
    run(url, "alter table t rename to other")
    with pytest.raises(TaskError, match="there is no table 't'"):
        copy(environment)
    assert environment.objects.stat(URI) is None
