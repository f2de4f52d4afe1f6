from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, NoCredentialsError

from taskrunner.activities.engines.emr_client import (
    TRIES,
    Cluster,
    EmrClient,
    NewStep,
    StepState,
    cluster_of,
)
from taskrunner.data.settings import DataSettings
from taskrunner.errors import ErrorId, TaskError
from tests.unit.activities.engines.fake_emr import FakeEmr
from tests.unit.agent.fakes import FakeClock

_STEP = NewStep(name="unique", jar="/x.jar", main_class="C", arguments=("a",))
_ADDED = {"StepIds": ["s-1"]}


def _error(code: str, status: int = 400) -> ClientError:
    told: Any = {"Error": {"Code": code, "Message": "so it is"}}
    told["ResponseMetadata"] = {"HTTPStatusCode": status}
    return ClientError(told, "AddJobFlowSteps")


_UNREACHABLE = ConnectTimeoutError(endpoint_url="http://emr")


def _client(api: FakeEmr) -> tuple[EmrClient, FakeClock]:
    clock = FakeClock()
    return EmrClient(api, "j-1", clock), clock


def test_a_step_is_added_as_it_is_written() -> None:
    api = FakeEmr(add_job_flow_steps=[_ADDED])
    client, _ = _client(api)
    assert client.add(_STEP) == "s-1"
    jar = {"Jar": "/x.jar", "MainClass": "C", "Args": ["a"]}
    wanted = {"Name": "unique", "ActionOnFailure": "CONTINUE", "HadoopJarStep": jar}
    assert api.calls == [("add_job_flow_steps", {"JobFlowId": "j-1", "Steps": [wanted]})]


def test_a_throttled_call_is_made_again_later_and_later() -> None:
    api = FakeEmr(add_job_flow_steps=[*[_error("ThrottlingException")] * 7, _ADDED])
    client, clock = _client(api)
    assert client.add(_STEP) == "s-1"
    assert clock.waits == [1, 2, 4, 8, 16, 30, 30]
    assert set(api.names) == {"add_job_flow_steps"}


@pytest.mark.parametrize("error", [_error("InternalFailure", 500), _UNREACHABLE])
def test_a_step_whose_answer_was_lost_is_looked_for_before_it_is_added_again(
    error: Exception,
) -> None:
    pages = [
        {"Steps": [{"Id": "s-8", "Name": "other"}], "Marker": "more"},
        {"Steps": [{"Id": "s-9", "Name": "unique"}]},
    ]
    api = FakeEmr(add_job_flow_steps=[error, _ADDED], list_steps=pages)
    client, _ = _client(api)
    assert client.add(_STEP) == "s-9"
    assert api.names == ["add_job_flow_steps", "list_steps", "list_steps"]
    assert api.calls[2][1] == {"ClusterId": "j-1", "Marker": "more"}


def test_a_step_that_was_not_added_is_added() -> None:
    api = FakeEmr(add_job_flow_steps=[_UNREACHABLE, _ADDED], list_steps=[{"Steps": []}])
    client, _ = _client(api)
    assert client.add(_STEP) == "s-1"
    assert api.names == ["add_job_flow_steps", "list_steps", "add_job_flow_steps"]


def test_a_call_is_given_up_in_the_end() -> None:
    api = FakeEmr(describe_cluster=[_UNREACHABLE])
    client, _ = _client(api)
    with pytest.raises(TaskError, match="EMR does not answer: Connect timeout") as caught:
        client.cluster()
    assert caught.value.error_id == ErrorId.CONNECTION_FAILED
    assert len(api.calls) == TRIES


def test_a_running_step_is_asked_after_until_there_is_an_answer() -> None:
    answer = {"Step": {"Id": "s-1", "Name": "n", "Status": {"State": "RUNNING"}}}
    api = FakeEmr(describe_step=[*[_UNREACHABLE] * 3 * TRIES, answer])
    client, _ = _client(api)
    assert client.state("s-1") == StepState(id="s-1", step_name="n", name="RUNNING")


@pytest.mark.parametrize(
    ("error", "error_id", "message"),
    [
        (_error("AccessDeniedException"), ErrorId.ACCESS_DENIED, "EMR refused: so it is (Access"),
        (_error("InvalidRequestException"), ErrorId.RESOURCE_FAILED, "EMR refused: so it is (Inv"),
        (NoCredentialsError(), ErrorId.ACCESS_DENIED, "cannot reach EMR: Unable to locate cred"),
    ],
)
def test_what_would_not_help_is_not_tried_again(
    error: Exception, error_id: str, message: str
) -> None:
    api = FakeEmr(describe_cluster=[error])
    client, clock = _client(api)
    with pytest.raises(TaskError) as caught:
        client.cluster()
    assert caught.value.error_id == error_id
    assert str(caught.value).startswith(message)
    assert clock.waits == []


def test_what_failed_is_read_with_its_reason() -> None:
    details = {"Reason": "Main Class not found.", "LogFile": "s3://l/stderr.gz"}
    status = {"State": "FAILED", "FailureDetails": details}
    state = StepState.of({"Id": "s-1", "Name": "n", "Status": status})
    assert (state.reason, state.log_file) == ("Main Class not found.", "s3://l/stderr.gz")
    assert state.is_over


@pytest.mark.parametrize(
    ("log_uri", "log"),
    [(None, None), ("s3n://logs/emr/", "s3://logs/emr/j-1/steps/s-1/")],
)
def test_where_the_logs_of_a_step_are(log_uri: str | None, log: str | None) -> None:
    assert Cluster(id="j-1", state="WAITING", log_uri=log_uri).log_of("s-1") == log


def test_a_cluster_that_has_ended_takes_no_steps() -> None:
    Cluster(id="j-1", state="STARTING").check_alive()
    with pytest.raises(TaskError) as caught:
        Cluster(id="j-1", state="TERMINATED_WITH_ERRORS", reason="no capacity").check_alive()
    assert str(caught.value) == (
        "the EMR cluster j-1 is TERMINATED_WITH_ERRORS (no capacity): it takes no steps"
    )
    assert caught.value.error_id == ErrorId.RESOURCE_FAILED


@pytest.mark.parametrize(
    ("content", "cluster"),
    [
        (None, None),
        (b"not json", None),
        (b"[1]", None),
        (json.dumps({"jobFlowId": "j-OFTHISHOST"}).encode(), "j-OFTHISHOST"),
    ],
)
def test_a_master_node_knows_its_cluster(
    tmp_path: Path, content: bytes | None, cluster: str | None
) -> None:
    info = tmp_path / "job-flow.json"
    if content is not None:
        info.write_bytes(content)
    assert cluster_of(DataSettings(), info) == cluster
    assert cluster_of(DataSettings(emr_cluster="j-NAMED"), info) == "j-NAMED"


def test_without_a_region_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    with pytest.raises(TaskError, match="no AWS region is given"):
        EmrClient.connect("j-1", region=None)
