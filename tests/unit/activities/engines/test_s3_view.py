from __future__ import annotations

from pathlib import Path

import pytest

from taskrunner.activities.engines.s3_view import (
    FolderS3,
    S3View,
    StagedS3,
    named_places,
    site_xml,
)
from taskrunner.errors import TaskError
from taskrunner.testing import ActivityEnvironment


def test_places_are_found_in_texts() -> None:
    texts = [
        "LOCATION 's3://one/a b/'; -- s3n://two/x/*/y.csv",
        "path=s3a://one/c,d and (s3://three) s3://one/p/part-?.csv hdfs://one/z",
    ]
    assert named_places(texts) == {"one": {"a", "c", "p"}, "two": {"x"}, "three": {""}}


def test_hadoop_is_told_of_each_bucket(tmp_path: Path) -> None:
    root = tmp_path / "a b"
    properties = S3View(root=root, buckets=("one", "two")).properties()
    assert properties["fs.viewfs.mounttable.two.linkFallback"] == f"rawfile://{tmp_path}/a%20b/two"
    assert {properties[f"fs.{scheme}.impl"] for scheme in ("s3", "s3n", "s3a")} == {
        "org.apache.hadoop.fs.viewfs.ViewFileSystemOverloadScheme"
    }


def test_a_configuration_file_hides_nothing() -> None:
    text = site_xml({"a": "<&>"}).decode()
    assert "<property><name>a</name><value>&lt;&amp;&gt;</value></property>" in text


def test_a_folder_shows_what_is_there_and_what_is_named(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "file").touch()
    with FolderS3(tmp_path, ["s3://named/x"]) as view:
        assert view == S3View(root=tmp_path, buckets=("named", "there"))
    with FolderS3(tmp_path / "none", []) as view:
        assert view.buckets == ()


def test_what_a_program_makes_goes_back_and_what_it_removes_goes() -> None:
    with ActivityEnvironment() as environment:
        environment.put("s3://b/in/1", "one")
        environment.put("s3://b/in/deep/2", "two")
        environment.put("s3://b/in2/3", "of another folder")
        environment.put("s3://b/single", "file")
        texts = ["s3://b/in/* s3://b/single s3://new/out/", "s3://b/"]
        with StagedS3(environment, "s3", texts) as view:
            assert view.buckets == ("b", "new")
            found = {str(p.relative_to(view.root)) for p in view.root.rglob("*") if p.is_file()}
            assert found == {"b/in/1", "b/in/deep/2", "b/single"}
            (view.root / "b/in/1").unlink()
            (view.root / "b/in/deep/2").write_text("changed")
            (view.root / "new/out").mkdir()
            (view.root / "new/out/part").write_text("made")
        assert environment.objects.stat("s3://b/in/1") is None
        assert environment.read("s3://b/in/deep/2") == b"changed"
        assert environment.read("s3://b/single") == b"file"
        assert environment.read("s3://new/out/part") == b"made"
        assert environment.messages == [
            "s3://b/ is not brought here as a whole: name a folder of it",
            "3 objects, 10 bytes brought from S3",
            "2 objects to S3, 1 removed there",
        ]


def test_a_failure_changes_nothing_on_s3() -> None:
    with ActivityEnvironment() as environment:
        environment.put("s3://b/in/1", "one")

        def fail() -> None:
            with StagedS3(environment, "s3", ["s3://b/in"]) as view:
                (view.root / "b/in/1").unlink()
                (view.root / "b/in/2").write_text("made")
                raise TaskError("no")

        with pytest.raises(TaskError):
            fail()
        assert [info.uri for info in environment.objects.list("s3://b/")] == ["s3://b/in/1"]
