"""Where exports lie."""

from __future__ import annotations

import pytest

from taskrunner.data.dynamodb.export_files import folder_of
from taskrunner.errors import PermanentTaskError


@pytest.mark.parametrize(
    ("uri", "folder"),
    [
        ("s3://b/x", "s3://b/x/"),
        ("s3://b/x/", "s3://b/x/"),
        ("s3://b", "s3://b/"),
        ("s3n://b/x", "s3://b/x/"),
        ("s3a://b//x///2026-02-16//", "s3://b/x/2026-02-16/"),
        (" s3://b/x ", "s3://b/x/"),
        ("/tmp//x", "/tmp/x/"),
        ("file:///tmp/x", "file:///tmp/x/"),
    ],
)
def test_folders_are_named_as_in_hadoop(uri: str, folder: str) -> None:
    assert folder_of(uri) == folder


@pytest.mark.parametrize("uri", ["hdfs://host/x", "x", ""])
def test_what_is_no_place_for_an_export(uri: str) -> None:
    with pytest.raises(PermanentTaskError, match=r"wanted s3://bucket/key"):
        folder_of(uri)
