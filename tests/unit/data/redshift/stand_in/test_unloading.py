from __future__ import annotations

import bz2

import pytest

from taskrunner.data.databases.base import Result
from taskrunner.data.redshift.stand_in.statements import read_unload
from taskrunner.data.redshift.stand_in.unloading import Unloading
from taskrunner.errors import TaskError
from taskrunner.testing.activity_environment import ActivityEnvironment

ROWS: list[list[str | None]] = [["1", 'a|"b"'], ["2", None]]


def unload(environment: ActivityEnvironment, options: str) -> int:
    statement = read_unload(f"unload ('select 1') to 's3://b/p/' {options}")
    result = Result(columns=("n", "t"), batches=iter([ROWS]))
    return Unloading(objects=environment.objects, unload=statement).run(result)


@pytest.mark.parametrize(
    ("options", "name", "expected"),
    [
        ("", "0000_part_00", b'1|a|"b"\n2|\n'),
        ("PARALLEL OFF ESCAPE NULL AS 'x'", "000", b'1|a\\|"b"\n2|x\n'),
        ("ADDQUOTES ESCAPE", "0000_part_00", b'"1"|"a\\|\\"b\\""\n"2"|\n'),
        ("CSV HEADER", "0000_part_00", b'n,t\n1,"a|""b"""\n2,\n'),
        ("DELIMITER ';' EXTENSION 'txt'", "0000_part_00.txt", b'1;a|"b"\n2;\n'),
    ],
)
def test_dialects(options: str, name: str, expected: bytes) -> None:
    with ActivityEnvironment() as environment:
        assert unload(environment, options) == 2
        assert environment.read(f"s3://b/p/{name}") == expected


def test_compression() -> None:
    with ActivityEnvironment() as environment:
        unload(environment, "BZIP2")
        assert bz2.decompress(environment.read("s3://b/p/0000_part_00.bz2")).startswith(b"1|")


def test_what_is_there_is_not_replaced_unless_that_is_said() -> None:
    with ActivityEnvironment() as environment:
        environment.put("s3://b/p/0000_part_00", "old")
        environment.put("s3://b/p/other", "old")
        with pytest.raises(TaskError, match="unload destination on S3 is not empty"):
            unload(environment, "")
        unload(environment, "ALLOWOVERWRITE")
        assert environment.read("s3://b/p/other") == b"old"
        unload(environment, "CLEANPATH")
        assert [info.uri for info in environment.objects.list("s3://b/p/")] == [
            "s3://b/p/0000_part_00"
        ]


def test_a_delimiter_is_one_character() -> None:
    with ActivityEnvironment() as environment, pytest.raises(TaskError, match="DELIMITER is '::'"):
        unload(environment, "DELIMITER '::'")
