from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.agent.ipc.names import AttemptFiles, token_of
from taskrunner.model.log_names import safe_name
from tests.unit.agent.fakes import ATTEMPT_ID, INSTANCE, make_task


@given(st.text())
def test_a_safe_name_is_one_component_that_any_file_system_takes(text: str) -> None:
    name = safe_name(text)
    assert name not in {"", ".", ".."}
    assert "/" not in name
    assert "\0" not in name
    assert len(name.encode()) <= 255


@given(st.text(), st.text())
def test_different_ids_have_different_names(one: str, other: str) -> None:
    assert one == other or safe_name(one) != safe_name(other)


def test_ids_as_aws_makes_them_stay_as_they_are() -> None:
    assert safe_name(ATTEMPT_ID) == ATTEMPT_ID


def test_logs_are_in_the_tree_of_awss_task_runner(tmp_path: Path) -> None:
    task = make_task({"pipelineLogUri": "s3://bucket/logs/"})
    files = AttemptFiles.of(task, output=tmp_path, default_log_uri="s3://other")
    tree = f"df-1/Work/{INSTANCE}/{ATTEMPT_ID}"
    assert files.log_dir == tmp_path / "logs" / tree
    assert files.log_uri == f"s3://bucket/logs/{tree}"
    assert files.scratch == tmp_path / "tmp" / f"df-1-{token_of('task-1')}"


@pytest.mark.parametrize("default", [None, "s3://mine"])
def test_without_a_log_uri_of_the_pipeline_the_agents_own_holds(
    tmp_path: Path, default: str | None
) -> None:
    files = AttemptFiles.of(make_task(), output=tmp_path, default_log_uri=default)
    assert (files.log_uri is None) == (default is None)
    assert default is None or str(files.log_uri).startswith("s3://mine/df-1/")


def test_only_logs_that_go_where_the_task_says_have_its_users_rights(tmp_path: Path) -> None:
    for fields, owner in (({"pipelineLogUri": "/srv/logs"}, "dptask"), ({}, None)):
        files = AttemptFiles.of(
            make_task(fields), output=tmp_path, default_log_uri="/var/logs", user="dptask"
        )
        assert (files.user, files.logs_as) == ("dptask", owner)


def test_logs_that_may_not_go_where_the_task_wants_them_go_nowhere(tmp_path: Path) -> None:
    task = make_task({"pipelineLogUri": "s3://theirs/logs"})
    files = AttemptFiles.of(
        task, output=tmp_path, default_log_uri="s3://mine", takes_logs_at=lambda _uri: False
    )
    assert files.log_uri is None


def test_empty_logs_are_not_uploaded(tmp_path: Path) -> None:
    files = AttemptFiles(log_dir=tmp_path, scratch=tmp_path, log_uri="s3://b/x")
    (tmp_path / "StdOutput").write_text("text")
    (tmp_path / "StdError").write_text("")
    assert files.uploads() == [(tmp_path / "StdOutput", "s3://b/x/StdOutput.gz")]
