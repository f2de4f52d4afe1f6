"""CopyActivity's bad rows and its pace, over SQLite and a folder in place of S3."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from taskrunner.activities.copy import CopyActivity
from taskrunner.data.settings import DataSettings
from taskrunner.errors import PermanentTaskError, TaskError
from taskrunner.host.local_files import LocalFiles
from taskrunner.model.document import Ref
from taskrunner.testing import FakeClock
from taskrunner.testing.activity_environment import ActivityEnvironment, new_object, new_task

REJECT = {"onBadRow": "reject", "rejectUri": "s3://bucket/rejected.jsonl"}


class Scene:
    """A table t (id unique, b), and files in a bucket."""

    def __init__(self, folder: Path, environment: ActivityEnvironment) -> None:
        self.environment = environment
        self._path = folder / "db"
        self.clock = FakeClock()
        self.run_sql("create table t (id integer primary key, b text not null)")

    def run_sql(self, sql: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self._path)) as connection, connection:
            return connection.execute(sql).fetchall()

    def copy(
        self, kind: str = "CSV", *, target: str = "", attempt: str = "1", **fields: str
    ) -> None:
        own: dict[str, str | Ref] = {
            key: fields.pop(key) for key in ("dialect", "inputRegEx") if key in fields
        }
        objects = [
            new_object("In", "S3DataNode", {"filePath": "s3://bucket/in", "dataFormat": Ref("F")}),
            new_object("F", kind, own),
            new_object("Table", "SqlDataNode", {"table": "t", "database": Ref("Db")}),
            new_object("File", "S3DataNode", {"filePath": target, "dataFormat": Ref("Csv")}),
            new_object("Csv", "CSV"),
            new_object("Db", "JdbcDatabase", {"connectionString": f"jdbc:sqlite:{self._path}"}),
        ]
        nodes = {"input": Ref("In"), "output": Ref("File" if target else "Table")}
        run = {"@runStartTime": "2026-01-01T00:00:00"}
        task = new_task("CopyActivity", {**nodes, **run, **fields}, *objects, attempt=int(attempt))
        self.environment.run(CopyActivity(self.clock), task)

    def rejected(self) -> list[dict[str, Any]]:
        data = self.environment.read("s3://bucket/rejected.jsonl").decode()
        return [json.loads(line) for line in data.splitlines()]

    def has_rejects(self) -> bool:
        return self.environment.objects.stat("s3://bucket/rejected.jsonl") is not None


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    data = DataSettings(s3_root=tmp_path / "s3", local=LocalFiles(folders=(tmp_path,)))
    with ActivityEnvironment(data=data) as environment:
        yield Scene(tmp_path, environment)


def test_bad_rows_are_put_aside(scene: Scene) -> None:
    scene.environment.put("s3://bucket/in", b"1,a\n2,b,c\n3,\xff\n1,twice\n4,\\N\n5,e\n")
    with pytest.raises(TaskError, match="row 3 is not UTF-8 text"):
        scene.copy()
    scene.copy(**REJECT)
    assert scene.run_sql("select * from t") == [(1, "a"), (5, "e")]
    found = [(r["source"], r["row"], r.get("text"), r.get("values")) for r in scene.rejected()]
    assert found == [
        ("s3://bucket/in", 2, "2,b,c", None),
        ("s3://bucket/in", 3, "3,\\xff", None),
        ("s3://bucket/in", 4, None, ["1", "twice"]),
        ("s3://bucket/in", 5, None, ["4", None]),
    ]
    reasons = [r["reason"] for r in scene.rejected()]
    assert "row 2 has 3 values, wanted 2" in reasons[0]
    assert "not UTF-8" in reasons[1]
    assert "UNIQUE" in reasons[2]
    assert "NOT NULL" in reasons[3]
    assert scene.environment.messages[-2:] == [
        "Copied 2 rows",
        "Rejected 4 rows: see s3://bucket/rejected.jsonl",
    ]
    last = scene.environment.progress_reports[-1]
    assert str(last.pop("targetChecksum")).startswith("crc32:")
    sides = {"sourceRows": 6, "targetRows": 2}
    assert last == {"rows": 2, "bytes": 0, "files": 0, "rejected": 4, **sides}


def test_the_first_row_says_nothing_of_how_wide_rows_are(scene: Scene) -> None:
    scene.environment.put("s3://bucket/in", "x\n1,a\n2,b\n")
    scene.copy(**REJECT)
    assert scene.run_sql("select * from t") == [(1, "a"), (2, "b")]
    assert [r["row"] for r in scene.rejected()] == [1]


@pytest.mark.parametrize(
    ("kind", "fields", "data", "rows"),
    [
        ("CSV", {"dialect": "rfc4180"}, '1,"a\nb"\n2,"b"c\n3,c\n', [(2, 3, '2,"b"c')]),
        ("JsonLines", {}, '{"id":1,"b":"a"}\n[2]\n{"id":3,"b":"c"}\n', [(2, None, "[2]")]),
        ("RegEx", {"inputRegEx": "(.),(.+)"}, "1,a\n2\n3,c\n", [(2, None, "2")]),
    ],
)
def test_formats_go_on_behind_a_bad_row(
    scene: Scene, kind: str, fields: dict[str, str], data: str, rows: list[object]
) -> None:
    scene.environment.put("s3://bucket/in", data)
    scene.copy(kind, **fields, **REJECT)
    assert [row[0] for row in scene.run_sql("select id from t")] == [1, 3]
    assert [(r["row"], r.get("line"), r["text"]) for r in scene.rejected()] == rows


def test_a_file_is_copied_without_its_bad_rows(scene: Scene) -> None:
    scene.environment.put("s3://bucket/in", '{"id":1,"b":"a"}\nx\n{"id":2,"b":"b"}\n')
    scene.copy("JsonLines", target="s3://bucket/out", **REJECT)
    assert scene.environment.read("s3://bucket/out") == b"1,a\n2,b\n"
    assert [r["text"] for r in scene.rejected()] == ["x"]


def test_files_of_the_same_format_are_looked_at_too(scene: Scene) -> None:
    scene.environment.put("s3://bucket/in", "1,a\nx,y,z\n2,b\n")
    scene.copy(target="s3://bucket/out", **REJECT)
    assert scene.environment.read("s3://bucket/out") == b"1,a\n2,b\n"
    assert [r["text"] for r in scene.rejected()] == ["x,y,z"]


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        ({"maxRejectedRows": "1"}, r"more than 1 rows are bad \(maxRejectedRows\); the last one: "),
        ({"maxRejectedRows": "0"}, "more than 0 rows are bad"),
        ({"maxRejectedPercent": "49.9"}, "2 of 4 rows are bad, 50 percent, wanted at most 49.9"),
    ],
)
def test_too_many_bad_rows_fail_the_activity(
    scene: Scene, budget: dict[str, str], words: str
) -> None:
    """Nothing is loaded then, and the file shows what was bad."""
    scene.environment.put("s3://bucket/in", "1,a\nx\n2,b\ny\n")
    with pytest.raises(TaskError, match=words):
        scene.copy(**REJECT, **budget)
    assert scene.run_sql("select * from t") == []
    assert [r["text"] for r in scene.rejected()] == ["x", "y"][: len(scene.rejected())]
    assert scene.rejected()
    scene.copy(**REJECT, maxRejectedRows="2", maxRejectedPercent="50", attempt="2")
    assert scene.run_sql("select * from t") == [(1, "a"), (2, "b")]


def test_too_many_bad_rows_leave_the_file_that_was_there(scene: Scene) -> None:
    """That they are too many is known behind the last row: before the new file appears."""
    scene.environment.put("s3://bucket/out", "before\n")
    scene.environment.put("s3://bucket/in", "1,a\nx\n2,b\ny\n")
    with pytest.raises(TaskError, match="2 of 4 rows are bad"):
        scene.copy(target="s3://bucket/out", **REJECT, maxRejectedPercent="49.9")
    assert scene.environment.read("s3://bucket/out") == b"before\n"
    assert [r["text"] for r in scene.rejected()] == ["x", "y"]


def test_an_attempts_bad_rows_are_in_the_place_of_those_before(scene: Scene) -> None:
    scene.environment.put("s3://bucket/in", "x\n1,a\n")
    with pytest.raises(TaskError, match="more than 0"):
        scene.copy(**REJECT, maxRejectedRows="0")
    assert len(scene.rejected()) == 1
    scene.environment.put("s3://bucket/in", "1,a\n")
    scene.copy(**REJECT, attempt="2")
    assert scene.rejected() == []
    # It has been loaded: another attempt changes nothing, the file included.
    scene.environment.put("s3://bucket/in", "1,a\ny\n")
    scene.copy(**REJECT, attempt="3")
    assert scene.rejected() == []


def test_without_bad_rows_there_is_no_file(scene: Scene) -> None:
    scene.environment.put("s3://bucket/in", "1,a\n")
    scene.copy(**REJECT)
    assert not scene.has_rejects()


def test_a_load_that_fails_otherwise_leaves_no_file(scene: Scene) -> None:
    scene.run_sql("drop table t")
    scene.environment.put("s3://bucket/in", "x\n1,a\n")
    with pytest.raises(TaskError, match="there is no table 't'"):
        scene.copy(**REJECT)
    assert not scene.has_rejects()


def test_many_rows_are_tried_together(scene: Scene) -> None:
    lines = [f"{n},b\n" for n in range(2500)]
    lines[700] = lines[1900] = "5,twice\n"
    scene.environment.put("s3://bucket/in", "".join(lines))
    scene.copy(**REJECT)
    assert scene.run_sql("select count(*) from t") == [(2498,)]
    assert [r["row"] for r in scene.rejected()] == [701, 1901]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"onBadRow": "ignore"}, "'onBadRow': found 'ignore', wanted fail or reject"),
        ({"maxRejectedRows": "1"}, "'maxRejectedRows': it needs onBadRow reject"),
        ({"rejectUri": "s3://b/k"}, "'rejectUri': it needs onBadRow reject"),
        ({"onBadRow": "reject"}, "'rejectUri': wanted where bad rows go, since there is no pipe"),
        ({**REJECT, "maxRejectedRows": "-1"}, "'maxRejectedRows': found '-1', which is no such"),
        ({**REJECT, "maxRejectedPercent": "101"}, "'maxRejectedPercent': found '101'"),
        ({**REJECT, "rejectUri": "s3://b/d/"}, "found the folder 's3://b/d/', wanted a file"),
        ({"maxRowsPerSecond": "0"}, "'maxRowsPerSecond': found '0'"),
        ({"maxBytesPerSecond": "fast"}, "'maxBytesPerSecond': found 'fast'"),
    ],
)
def test_what_is_of_no_use_is_refused(scene: Scene, fields: dict[str, str], words: str) -> None:
    scene.environment.put("s3://bucket/in", "1,a\n")
    with pytest.raises(PermanentTaskError, match=words):
        scene.copy(**fields)


@pytest.mark.parametrize("target", ["", "s3://bucket/out"])
def test_a_copy_is_held_to_its_pace(scene: Scene, target: str) -> None:
    scene.environment.put("s3://bucket/in", "".join(f"{n},b\n" for n in range(3000)))
    begun = scene.clock.monotonic()
    scene.copy("TSV" if target else "CSV", target=target, maxRowsPerSecond="100")
    assert 20 <= scene.clock.monotonic() - begun <= 30
    scene.run_sql("delete from t")
    begun = scene.clock.monotonic()
    scene.copy("TSV" if target else "CSV", target=target, maxBytesPerSecond="1000", attempt="9")
    assert scene.clock.monotonic() - begun == (0 if not target else pytest.approx(23, abs=3))
