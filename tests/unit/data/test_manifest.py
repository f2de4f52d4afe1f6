"""Files that a manifest lists, as an input of copies and of staging."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from taskrunner.activities.copy import CopyActivity
from taskrunner.errors import ErrorId, TaskError
from taskrunner.model.document import PipelineObject, Ref
from taskrunner.testing import ActivityEnvironment, new_object, new_task

M = "s3://b/lists/today"


@pytest.fixture
def environment() -> Iterator[ActivityEnvironment]:
    with ActivityEnvironment() as found:
        found.put("s3://b/in/1.csv", "1,one\n")
        found.put("s3://c/else/2.csv", "2,two\n")
        found.put("s3://b/in/ignored.csv", "3,three\n")
        yield found


def manifest(*urls: str, **more: Any) -> str:
    return json.dumps({"entries": [{"url": url, "mandatory": True, **more} for url in urls]})


def copy(environment: ActivityEnvironment, source: PipelineObject, target: PipelineObject) -> None:
    fields = {"input": Ref(source.id), "output": Ref(target.id)}
    environment.run(CopyActivity(), new_task("CopyActivity", fields, source, target))


def listed(**fields: str | Ref) -> PipelineObject:
    return new_object("In", "S3DataNode", {"manifestFilePath": M, **fields})


OUT = new_object("Out", "S3DataNode", {"directoryPath": "s3://b/out"})


def test_the_listed_files_are_copied_and_no_others(environment: ActivityEnvironment) -> None:
    environment.put(M, manifest("s3://c/else/2.csv", "s3://b/in/1.csv"))
    copy(environment, listed(), OUT)
    assert environment.read("s3://b/out/1.csv") == b"1,one\n"
    assert environment.read("s3://b/out/2.csv") == b"2,two\n"
    with pytest.raises(TaskError):
        environment.read("s3://b/out/ignored.csv")


def test_in_one_file_their_rows_stand_in_the_order_of_the_list(
    environment: ActivityEnvironment,
) -> None:
    environment.put(M, manifest("s3://c/else/2.csv", "s3://b/in/1.csv"))
    copy(environment, listed(), new_object("Out", "S3DataNode", {"filePath": "s3://b/all.csv"}))
    assert environment.read("s3://b/all.csv") == b"2,two\n1,one\n"


def test_files_of_one_name_in_two_folders_are_read_all_the_same(
    environment: ActivityEnvironment,
) -> None:
    environment.put("s3://c/1.csv", "4,four\n")
    environment.put(M, manifest("s3://b/in/1.csv", "s3://c/1.csv"))
    copy(environment, listed(), new_object("Out", "S3DataNode", {"filePath": "s3://b/all.csv"}))
    assert environment.read("s3://b/all.csv") == b"1,one\n4,four\n"


def test_what_is_not_mandatory_may_be_missing(environment: ActivityEnvironment) -> None:
    urls = ("s3://b/in/1.csv", "s3://b/in/none.csv")
    environment.put(M, manifest(*urls, mandatory=False))
    copy(environment, listed(), OUT)
    assert environment.read("s3://b/out/1.csv") == b"1,one\n"
    environment.put(M, manifest(*urls))
    with pytest.raises(TaskError, match=r"the file s3://b/in/none\.csv is mandatory"):
        copy(environment, listed(), OUT)
    environment.put(M, manifest("s3://b/in/none.csv", mandatory=False))
    with pytest.raises(TaskError, match="no file that it lists is there"):
        copy(environment, listed(), OUT)


def test_beside_a_path_only_redshift_reads_it(environment: ActivityEnvironment) -> None:
    copy(environment, listed(filePath="s3://b/in/ignored.csv"), OUT)
    assert environment.read("s3://b/out/ignored.csv") == b"3,three\n"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("[]", 'wanted {"entries": [{"url"'),
        ("{", "it is not JSON"),
        ('{"entries": []}', "wanted {"),
        ('{"entries": [{"url": 1}]}', "entry 1: wanted {"),
        ('{"entries": [{"url": "s3://b/x", "mandatory": "true"}]}', "entry 1: wanted {"),
        ('{"entries": [{"url": "/etc/passwd"}]}', "entry 1: found '/etc/passwd', wanted an object"),
        ('{"entries": [{"url": "s3://b/x/"}]}', "found 's3://b/x/', wanted an object of S3"),
        (
            manifest("s3://b/in/1.csv", "s3://b/in/2.csv", "s3://b/in/1.csv"),
            "entries 1 and 3 are both s3://b/in/1.csv: its rows would be there twice",
        ),
        (manifest("s3://b/in/1.csv", "s3://c/1.csv"), "would be one file '1.csv' in a folder"),
    ],
)
def test_a_manifest_that_is_none_is_refused(
    environment: ActivityEnvironment, content: str, problem: str
) -> None:
    environment.put("s3://c/1.csv", "x")
    environment.put(M, content)
    with pytest.raises(TaskError) as caught:
        copy(environment, listed(), OUT)
    assert M in str(caught.value)
    assert problem in str(caught.value)
    assert caught.value.error_id == ErrorId.INVALID_FIELD


def test_nothing_is_written_by_a_manifest_or_over_what_it_lists(
    environment: ActivityEnvironment,
) -> None:
    target = new_object("Out", "S3DataNode", {"manifestFilePath": M})
    source = new_object("In", "S3DataNode", {"filePath": "s3://b/in/1.csv"})
    with pytest.raises(TaskError, match="S3DataNode 'Out' has only a manifestFilePath"):
        copy(environment, source, target)
    environment.put(M, manifest("s3://b/in/1.csv"))
    target = new_object("Out", "S3DataNode", {"directoryPath": "s3://b/in"})
    with pytest.raises(TaskError, match=r"'Out' would write over s3://b/in/1\.csv"):
        copy(environment, listed(), target)
