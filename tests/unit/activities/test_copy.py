from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from taskrunner.activities.copy import CopyActivity, file_name
from taskrunner.data.settings import DataSettings
from taskrunner.errors import PermanentTaskError
from taskrunner.host.local_files import LocalFiles
from taskrunner.model.document import Ref, Value
from taskrunner.testing.activity_environment import ActivityEnvironment, new_object, new_task


def test_names_are_deterministic_and_fit_everywhere() -> None:
    assert file_name("@Copy_2026-02-13T02:00:00") == "Copy_2026-02-13T02-00-00"
    assert file_name("@Copy 1/é_2026-02-13T02:00:00") == "Copy%201%2F%C3%A9_2026-02-13T02-00-00"


def test_a_table_is_copied_and_told(tmp_path: Path) -> None:
    path = tmp_path / "db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript("create table t (a integer, b text); insert into t values (1, '')")
    database = new_object("Db", "JdbcDatabase", {"connectionString": f"jdbc:sqlite:{path}"})
    source = new_object("In", "SqlDataNode", {"table": "t", "database": Ref("Db")})
    target = new_object("Out", "S3DataNode", {"directoryPath": "s3://bucket/out"})
    fields = {"input": Ref("In"), "output": Ref("Out")}
    task = new_task("CopyActivity", fields, source, target, database, component_id="Copy")
    data = DataSettings(s3_root=tmp_path / "s3", local=LocalFiles(folders=(tmp_path,)))
    with ActivityEnvironment(data=data) as environment:
        environment.run(CopyActivity(), task)
    written = tmp_path / "s3/bucket/out/Copy_2026-01-01T00-00-00.csv"
    assert written.read_bytes() == b"1,\n"
    crc = f"crc32:{zlib.crc32(written.read_bytes()):08x}"
    assert environment.messages == [
        "Copying from In to Out",
        f"Both sides: sourceRows 1, targetRows 1, sourceChecksum {crc}",
        "Copied 1 files, 1 rows, 3 bytes",
    ]


@pytest.mark.parametrize("missing", ["input", "output"])
def test_input_and_output_must_be_one_each(missing: str) -> None:
    fields = {"input": Ref("A"), "output": Ref("A")}
    del fields[missing]
    node = new_object("A", "S3DataNode", {"filePath": "s3://bucket/a"})
    with (
        ActivityEnvironment() as environment,
        pytest.raises(PermanentTaskError, match=f"0 data nodes in its field '{missing}'"),
    ):
        environment.run(CopyActivity(), new_task("CopyActivity", fields, node))


@pytest.mark.parametrize("text", ["false", "perhaps"])
def test_only_true_and_false_say_whether_to_go_on(text: str) -> None:
    nodes = [new_object(name, "S3DataNode", {"filePath": f"s3://b/{name}"}) for name in "AB"]
    fields: dict[str, Value | Sequence[Value]] = {
        "input": Ref("A"),
        "output": Ref("B"),
        "resume": text,
    }
    with ActivityEnvironment() as environment:
        environment.put("s3://b/A", "1\n")
        if text == "false":
            environment.run(CopyActivity(), new_task("CopyActivity", fields, *nodes))
            assert environment.read("s3://b/B") == b"1\n"
            return
        with pytest.raises(PermanentTaskError, match="'resume': found 'perhaps', wanted true or"):
            environment.run(CopyActivity(), new_task("CopyActivity", fields, *nodes))


@pytest.mark.parametrize("text", ["0", "33", "two", "-1", "1.5"])
def test_a_number_of_connections_that_is_none_is_refused(text: str) -> None:
    nodes = [new_object(name, "S3DataNode", {"filePath": f"s3://b/{name}"}) for name in "AB"]
    fields: dict[str, Value | Sequence[Value]] = {
        "input": Ref("A"),
        "output": Ref("B"),
        "partitions": text,
    }
    with (
        ActivityEnvironment() as environment,
        pytest.raises(PermanentTaskError, match=f"found '{text}', wanted a whole number from 1"),
    ):
        environment.run(CopyActivity(), new_task("CopyActivity", fields, *nodes))


def test_a_table_is_read_by_so_many_connections() -> None:
    """Files are read by none; what comes of it, and of what moment, tests/integration shows."""
    nodes = [new_object(name, "S3DataNode", {"filePath": f"s3://b/{name}"}) for name in "AB"]
    fields: dict[str, Value | Sequence[Value]] = {
        "input": Ref("A"),
        "output": Ref("B"),
        "partitions": "2",
    }
    with ActivityEnvironment() as environment:
        environment.put("s3://b/A", "1\n")
        with pytest.raises(PermanentTaskError, match="partitions: found a copy of 'A' to 'B'"):
            environment.run(CopyActivity(), new_task("CopyActivity", fields, *nodes))
        fields["partitions"] = "1"
        environment.run(CopyActivity(), new_task("CopyActivity", fields, *nodes))
        assert environment.read("s3://b/B") == b"1\n"
