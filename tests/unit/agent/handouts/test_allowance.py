from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.agent.handouts.allowance import Allowance, is_under
from taskrunner.errors import ErrorId, PathNotAllowed, PermanentTaskError
from taskrunner.host.local_files import LocalFiles
from tests.unit.agent.fakes import make_task

PLACE = "s3://bucket/logs"


def test_nothing_given_allows_everything() -> None:
    Allowance().check(make_task({"pipelineLogUri": "s3://anywhere/at/all"}))


def test_local_logs_go_only_where_the_operator_says() -> None:
    allowance = Allowance(local_logs=LocalFiles(folders=(Path("/srv"),)), with_user={"group"})
    allowance.check(make_task({"pipelineLogUri": "file:///srv/logs"}))
    allowance.check(make_task({"pipelineLogUri": "s3://anywhere/at/all"}))
    task = make_task({"pipelineLogUri": "/srv/../root/logs"})
    with pytest.raises(PathNotAllowed, match=r"'Work', field 'pipelineLogUri': '/srv/\.\./root"):
        allowance.check(task)
    # With a user it is that user's rights which decide, when the logs are pushed.
    allowance.check(replace(task, worker_group="group"))


def test_a_type_that_is_not_listed_is_refused_for_good() -> None:
    allowance = Allowance(types=("CopyActivity", "SqlActivity"))
    with pytest.raises(PermanentTaskError, match="'Work' is a 'ShellCommandActivity'") as caught:
        allowance.check(make_task())
    assert caught.value.error_id == ErrorId.NOT_ALLOWED
    assert "CopyActivity, SqlActivity" in str(caught.value)
    allowance.check(make_task({"type": "CopyActivity"}))


@pytest.mark.parametrize("kind", ["copyactivity", "CopyActivity ", "", "CopyActivity\n", "Copy"])
def test_types_are_compared_whole(kind: str) -> None:
    with pytest.raises(PermanentTaskError):
        Allowance(types=("CopyActivity",)).check(make_task({"type": kind}))


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        (PLACE, PLACE),
        ("s3://bucket/logs/", PLACE),
        ("s3://bucket/logs/a/b", PLACE),
        ("s3://bucket/logs/a/b", "s3://bucket/logs/"),
        ("s3://bucket/anything", "s3://bucket"),
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/%2e%2e/x", "s3://bucket"),
        ("/var/log/x", "/var/log"),
        ("file:///var/log/x", "/var/log"),
        ("/var/log/x", "file:///var/log/"),
        ("/anything", "/"),
    ],
)
def test_what_lies_under_a_place(uri: str, place: str) -> None:
    assert is_under(uri, place)


@pytest.mark.parametrize(
    "uri",
    [
        "s3://bucket/logs-evil",
        "s3://bucket/log",
        "s3://bucket",
        "s3://bucket-evil/logs",
        "s3://Bucket/logs",
        "s3://bucket/LOGS",
        "s3://bucket/logs/../other",
        "s3://bucket/./logs",
        "s3://bucket/logs/./x",
        "s3://bucket/logs/..",
        "s3://bucket//logs",
        "s3://bucket/logs//x",
        "s3://bucket/logs\0",
        "s3://bucket/logs/\n",
        "s3://bucket/logs/\ud800",
        "s3://user@bucket/logs",
        "s3://evil/bucket/logs",
        "S3://bucket/logs",
        "https://bucket/logs",
        "/bucket/logs",
        "bucket/logs",
        "",
    ],
)
def test_what_does_not(uri: str) -> None:
    assert not is_under(uri, PLACE)


@pytest.mark.parametrize(
    "uri",
    [
        "/var/log-evil",
        "/var/log/../etc",
        "//var/log",
        "/var//log",
        "file:///var/%2e%2e/etc",
        "file:///var/log/%2e%2e/x",
        "file:///var/log%2f..%2fx",
        "file://host/var/log",
        "s3://var/log",
    ],
)
def test_files_outside(uri: str) -> None:
    assert not is_under(uri, "/var/log")


@given(st.lists(st.sampled_from(["logs", "..", ".", "", "x", "logs-evil"]), max_size=6))
def test_whatever_is_under_a_place_starts_with_it(parts: list[str]) -> None:
    uri = "/".join(["s3://bucket", *parts])
    if is_under(uri, PLACE):
        assert uri == PLACE or uri.startswith(f"{PLACE}/")
        assert ".." not in parts


def test_a_log_uri_elsewhere_is_refused_before_anything_runs() -> None:
    allowance = Allowance(log_uris=(PLACE, "/var/log"))
    with pytest.raises(PermanentTaskError, match="allow_log_uris has s3://bucket/logs, /var") as e:
        allowance.check(make_task({"pipelineLogUri": "s3://other/logs"}))
    assert e.value.error_id == ErrorId.NOT_ALLOWED
    allowance.check(make_task({"pipelineLogUri": "s3://bucket/logs/df-1"}))
    allowance.check(make_task())


def test_a_long_name_does_not_flood_the_verdict() -> None:
    with pytest.raises(PermanentTaskError) as caught:
        Allowance(types=("X",)).check(make_task({"type": "y" * 100_000}))
    assert len(str(caught.value)) < 500
