"""What `taskrunner doctor` says of a service and a host, answer by answer."""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from taskrunner.cli.agent import data_settings
from taskrunner.config.load import load
from taskrunner.doctor.case import Case, Finding, Result
from taskrunner.doctor.groups import check_groups
from taskrunner.doctor.host import (
    _check_task_user,
    check_disk,
    check_drivers,
    check_local_files,
    check_user,
)
from taskrunner.doctor.identity import check_identity
from taskrunner.doctor.permissions import check_permissions
from taskrunner.doctor.resource_limits import check_limits
from taskrunner.doctor.running import check_agent
from taskrunner.doctor.service import Way, _clocks, check_proxy, check_region
from taskrunner.doctor.storage import check_log_uri
from taskrunner.testing.clock import FakeClock
from taskrunner.wire.client import Client
from taskrunner.wire.endpoint import Endpoint
from taskrunner.wire.http import HttpReply, HttpRequest, TransportError

LOOPBACK = Endpoint(scheme="http", host="127.0.0.1", port=8080)
Answer = Callable[[str, dict[str, Any]], Any]


def _case(tmp_path: Path, **flags: object) -> Case:
    given = {"worker_group": ("wg",), "work_dir": str(tmp_path), **flags}
    nothing = tmp_path / "nothing.toml"
    nothing.touch()
    loaded = load(given, {}, file=str(nothing))
    return Case(
        settings=loaded.settings,
        data=data_settings(loaded.settings),
        origins=loaded.origins,
        environ={},
        clock=FakeClock(),
        hostname="host",
    )


class Service:
    """Answers each call by a function: a reply, an error's code, or a connection that is held."""

    def __init__(self, clock: FakeClock, answer: Answer) -> None:
        self._clock = clock
        self._answer = answer
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def send(self, request: HttpRequest, *, deadline_s: float) -> HttpReply:
        operation = request.headers["x-amz-target"].rpartition(".")[2]
        body = json.loads(request.body)
        self.calls.append((operation, body))
        answer = self._answer(operation, body)
        if answer is None:
            self._clock.advance(deadline_s)
            raise TransportError("no whole answer")
        if isinstance(answer, str):
            error = {"__type": answer, "message": "because"}
            return HttpReply(status=400, body=json.dumps(error).encode())
        return HttpReply(status=200, body=json.dumps(answer).encode())


def _way(case: Case, answer: Answer) -> tuple[Way, Service]:
    assert isinstance(case.clock, FakeClock)
    service = Service(case.clock, answer)
    client = Client(LOOPBACK, service, signer=None, clock=case.clock)
    return Way(LOOPBACK, "us-east-1", client), service


def _results(findings: list[Finding]) -> dict[str, Result]:
    return {finding.name: finding.result for finding in findings}


WELL: Mapping[str, Any] = {
    "ReportTaskRunnerHeartbeat": {"terminate": False},
    "ReportTaskProgress": "TaskNotFoundException",
    "SetTaskStatus": "TaskNotFoundException",
    "PollForTask": None,
}


def test_allowed_calls_pass_and_nothing_real_is_touched(tmp_path: Path) -> None:
    case = _case(tmp_path)
    way, service = _way(case, lambda operation, _: WELL[operation])
    findings = list(check_permissions(case, way))
    assert _results(findings) == dict.fromkeys(WELL, Result.PASS)
    asked = dict(service.calls)
    nobody = asked["PollForTask"]["workerGroup"]
    assert nobody.startswith("taskrunner-doctor-")
    assert asked["ReportTaskProgress"]["taskId"] == asked["SetTaskStatus"]["taskId"] == nobody


def test_without_a_worker_group_the_calls_are_tried_all_the_same(tmp_path: Path) -> None:
    case = _case(tmp_path)
    case = replace(case, settings=replace(case.settings, worker_group=()))
    way, service = _way(case, lambda operation, _: WELL[operation])
    assert _results(list(check_permissions(case, way))) == dict.fromkeys(WELL, Result.PASS)
    assert list(check_identity(case, way)) == []
    beats = [body for operation, body in service.calls if operation == "ReportTaskRunnerHeartbeat"]
    assert beats == [{"taskrunnerId": "doctor-host", "hostname": "host"}] * 2


@pytest.mark.parametrize("refused", list(WELL))
def test_a_call_that_is_forbidden_fails_by_name(tmp_path: Path, refused: str) -> None:
    case = _case(tmp_path)
    answers = {**WELL, refused: "AccessDeniedException"}
    way, _ = _way(case, lambda operation, _: answers[operation])
    findings = {finding.name: finding for finding in check_permissions(case, way)}
    assert [name for name, f in findings.items() if f.result is Result.FAIL] == [refused]
    assert f"allow datapipeline:{refused}" in str(findings[refused].remedy)
    assert "AccessDeniedException" in findings[refused].found


def test_real_groups_are_polled_only_when_asked_for(tmp_path: Path) -> None:
    task = {"taskObject": {"taskId": "t", "pipelineId": "p", "attemptId": "@a", "objects": {}}}
    case = replace(_case(tmp_path, worker_group=("a", "b")), poll=True)
    polls: dict[str, Any] = {"a": {}, "b": task}
    way, _ = _way(
        case,
        lambda operation, body: (
            polls.get(body["workerGroup"]) if operation == "PollForTask" else WELL[operation]
        ),
    )
    findings = {finding.name: finding for finding in check_permissions(case, way)}
    assert findings["PollForTask a"].result is Result.PASS
    assert findings["PollForTask b"].result is Result.WARN
    assert "@a was offered and not acknowledged" in findings["PollForTask b"].found


def _definitions(operation: str, body: dict[str, Any]) -> Any:
    if operation == "ListPipelines":
        first = {"pipelineIdList": [{"id": "1", "name": "one"}], "marker": "m"}
        last = {"pipelineIdList": [{"id": "2", "name": "two"}], "hasMoreResults": False}
        return last if body.get("marker") else {**first, "hasMoreResults": True}
    group = {"1": "prod", "2": "#{myGroup}"}[body["pipelineId"]]
    return {
        "pipelineObjects": [
            {"id": "A", "name": "A", "fields": [{"key": "workerGroup", "stringValue": group}]}
        ],
        "parameterValues": [{"id": "myGroup", "stringValue": "batch"}],
    }


def test_worker_groups_are_looked_up_in_the_definitions(tmp_path: Path) -> None:
    case = _case(tmp_path, worker_group=("prod", "batch", "Prod", "other"))
    way, _ = _way(case, _definitions)
    findings = {f.name.split()[-1]: f for f in check_groups(case, way)}
    assert [findings[group].result for group in ("prod", "batch", "Prod", "other")] == [
        Result.PASS,
        Result.PASS,
        Result.FAIL,
        Result.WARN,
    ]
    assert findings["batch"].found == "named by two"
    assert "set worker_group to 'prod'" in str(findings["Prod"].remedy)
    assert "named are: batch, prod" in findings["other"].found


@pytest.mark.parametrize(
    ("served", "named", "result", "found"),
    [
        ("prod", {"prod": "a", "Prod": "b"}, Result.WARN, "named by a; but b names 'Prod'"),
        ("etl_eu", {"etl_eu": "a", "ETL-EU": "b"}, Result.WARN, "but b names 'ETL-EU'"),
        ("prod", {"prod": "a", "prod-eu": "b"}, Result.WARN, "but b names 'prod-eu'"),
        ("prod-eu", {"prod-eu": "a", "prod": "b"}, Result.WARN, "but b names 'prod'"),
        ("prod", {"prod": "a", "batch": "b"}, Result.PASS, "named by a"),
        ("etl-eu", {"etl_eu": "b"}, Result.FAIL, "no pipeline names it, but b names 'etl_eu'"),
        ("prod", {"production": "b"}, Result.WARN, "no pipeline names it, but b names 'production"),
    ],
)
def test_a_name_that_is_nearly_the_groups_is_told_whoever_else_has_it_right(
    tmp_path: Path, served: str, named: dict[str, str], result: Result, found: str
) -> None:
    def answer(operation: str, body: dict[str, Any]) -> Any:
        if operation == "ListPipelines":
            return {"pipelineIdList": [{"id": group, "name": of} for group, of in named.items()]}
        fields = [{"key": "workerGroup", "stringValue": body["pipelineId"]}]
        return {"pipelineObjects": [{"id": "o", "name": "o", "fields": fields}]}

    case = _case(tmp_path, worker_group=(served,))
    way, _ = _way(case, answer)
    (finding,) = check_groups(case, way)
    assert finding.result is result
    assert found in finding.found
    if served in named:
        both = _case(tmp_path, worker_group=tuple(named))
        results = [finding.result for finding in check_groups(both, _way(both, answer)[0])]
        assert results == [Result.PASS, Result.PASS], "what the agent serves too is no mistake"


@pytest.mark.parametrize(
    ("group", "queried", "result", "found"),
    [
        ("hadoop", {"ids": ["@R_1"]}, Result.PASS, "by a rule of the service it has the work of"),
        ("hadoop", {"ids": []}, Result.WARN, "named are: prod"),
        ("hadoop", "AccessDeniedException", Result.WARN, "named are: prod"),
        ("prod", "AccessDeniedException", Result.PASS, "named by two"),
    ],
)
def test_a_worker_group_may_have_its_work_by_a_rule_of_the_service(
    tmp_path: Path, group: str, queried: Any, result: Result, found: str
) -> None:
    fields = {
        "1": [{"key": "runsOn", "refValue": "R"}],
        "2": [{"key": "workerGroup", "stringValue": "prod"}],
    }

    def answer(operation: str, body: dict[str, Any]) -> Any:
        if operation == "ListPipelines":
            return {"pipelineIdList": [{"id": "1", "name": "one"}, {"id": "2", "name": "two"}]}
        if operation == "QueryObjects":
            return queried
        own = fields[body["pipelineId"]]
        return {"pipelineObjects": [{"id": "A", "name": "A", "fields": own}]}

    case = _case(tmp_path, worker_group=(group,))
    way, service = _way(case, answer)
    (finding,) = check_groups(case, way)
    assert finding.result is result
    assert found in finding.found
    asked = [body for operation, body in service.calls if operation == "QueryObjects"]
    # Only of a pipeline with resources, and only where no definition names the group.
    assert [body["pipelineId"] for body in asked] == (["1"] if group == "hadoop" else [])
    for body in asked:
        (selector,) = body["query"]["selectors"]
        assert selector["operator"] == {"type": "EQ", "values": ["group:hadoop"]}


def test_a_worker_group_that_may_not_be_looked_up_is_unknown(tmp_path: Path) -> None:
    case = _case(tmp_path)
    way, _ = _way(case, lambda _operation, _body: "AccessDeniedException")
    (finding,) = check_groups(case, way)
    assert finding.result is Result.WARN
    assert "is not known" in finding.found


@pytest.mark.parametrize(
    ("skew_s", "result", "found"),
    [
        (0, Result.PASS, "0 s"),
        (-29, Result.PASS, "29 s behind"),
        (31, Result.WARN, "31 s ahead of"),
        (600, Result.FAIL, "600 s ahead of"),
        (-600, Result.FAIL, "600 s behind"),
    ],
)
def test_a_clock_that_is_off_is_found_by_the_services(
    tmp_path: Path, skew_s: int, result: Result, found: str
) -> None:
    case = _case(tmp_path)
    theirs = case.clock.now() - timedelta(seconds=skew_s)
    finding = _clocks(case, HttpReply(status=400, headers={"date": format_datetime(theirs)}))
    assert finding.result is result
    assert found in finding.found
    assert _clocks(case, HttpReply(status=400)).result is Result.WARN


def test_the_region_must_be_the_endpoints(tmp_path: Path) -> None:
    host = "datapipeline.eu-west-1.amazonaws.com"
    case = _case(tmp_path, region="us-east-1", endpoint=f"https://{host}")
    way, _ = _way(case, lambda *_: {})
    aws = replace(way, endpoint=Endpoint(scheme="https", host=host, port=443))
    (finding,) = check_region(case, aws)
    assert finding.result is Result.FAIL
    assert "set region to 'eu-west-1'" in str(finding.remedy)
    assert next(check_region(case, replace(aws, region="eu-west-1"))).result is Result.PASS
    assert next(check_region(_case(tmp_path), way)).result is Result.WARN


def test_a_proxys_password_is_not_shown(tmp_path: Path) -> None:
    case = replace(
        _case(tmp_path),
        environ={"HTTPS_PROXY": "http://user:hush@127.0.0.1:1", "NO_PROXY": "x"},
    )
    way, _ = _way(case, lambda *_: {})
    remote = replace(way, endpoint=Endpoint(scheme="https", host="service.example", port=443))
    (finding,) = check_proxy(case, remote)
    assert finding.result is Result.FAIL
    assert "refused" in finding.found
    assert "hush" not in finding.found + str(finding.remedy)
    (unused,) = check_proxy(case, way)
    assert unused.result is Result.PASS
    assert "hush" not in unused.found


def test_nor_that_of_a_proxy_without_a_scheme_or_with_an_odd_password(tmp_path: Path) -> None:
    for given in ("user:hush@127.0.0.1:1", "http://user:x@hush@127.0.0.1:1"):
        case = replace(_case(tmp_path), environ={"HTTPS_PROXY": given})
        way, _ = _way(case, lambda *_: {})
        (finding,) = check_proxy(case, way)
        assert f"HTTPS_PROXY={given.partition('user')[0]}user:********@127.0.0.1:1" in finding.found


def test_logs_are_written_and_deleted_for_a_trial(tmp_path: Path) -> None:
    root = tmp_path / "s3"
    (root / "bucket").mkdir(parents=True)
    case = _case(tmp_path, log_uri="s3://bucket/logs", s3_root=str(root))
    (finding,) = check_log_uri(case)
    assert finding.result is Result.PASS, finding
    assert [path for path in root.rglob("*") if path.is_file()] == []
    (tmp_path / "file").touch()
    (finding,) = check_log_uri(_case(tmp_path, log_uri=str(tmp_path / "file" / "logs")))
    assert finding.result is Result.FAIL
    assert str(tmp_path / "file") in finding.found
    assert next(check_log_uri(_case(tmp_path))).result is Result.PASS


def test_disk_and_drivers(tmp_path: Path) -> None:
    assert next(check_disk(_case(tmp_path))).result is Result.PASS
    (full,) = check_disk(_case(tmp_path, min_free_disk="1000000TB"))
    assert full.result is Result.FAIL
    assert "less than min_free_disk" in full.found
    (drivers,) = check_drivers(_case(tmp_path))
    assert drivers.result is Result.PASS
    assert "ShellCommandActivity" in drivers.found
    assert "postgresql" in drivers.found


def test_without_an_agent_that_is_said(tmp_path: Path) -> None:
    case = _case(tmp_path)
    finding = next(check_agent(case))
    assert finding.result is Result.WARN
    assert str(tmp_path) in finding.found
    assert next(check_user(case)).name == "user"


def test_limits_that_are_set_are_looked_at_where_the_agent_is(tmp_path: Path) -> None:
    (finding,) = check_limits(_case(tmp_path))
    assert (finding.result, "none are set" in finding.found) == (Result.PASS, True)
    wanted = _case(tmp_path, task_memory="1 GB", task_cpus="2", task_time="60")
    findings = list(check_limits(wanted))
    # As a test runs, in a group of its own or not: each is held, or it is said that it is not.
    assert {finding.name for finding in findings} == {"limits"}
    texts = " ".join(finding.found for finding in findings)
    assert all(name in texts for name in ("task_memory", "task_cpus"))


def test_users_for_tasks_must_be_there_and_be_others(tmp_path: Path) -> None:
    own = pwd.getpwuid(os.geteuid()).pw_name
    case = _case(tmp_path, run_as_user=("g=no-such-user", f"h={own}"))
    findings = {finding.name: finding for finding in check_user(case)}
    assert findings["run_as_user no-such-user"].result is Result.FAIL
    assert "useradd" in str(findings["run_as_user no-such-user"].remedy)
    assert "the agent's own user" in findings[f"run_as_user {own}"].found


def test_a_program_that_tasks_users_cannot_read_is_warned_of() -> None:
    other = next(entry for entry in pwd.getpwall() if entry.pw_uid not in {0, os.geteuid()})
    all_may = os.getpid() if os.geteuid() == 0 else 1
    finding = _check_task_user(
        other.pw_name, os.geteuid(), all_may, lambda user: f"/opt/x is closed to {user.name}"
    )
    assert finding.result is Result.WARN
    if os.geteuid() == 0:
        assert finding.found == f"/opt/x is closed to {other.pw_name}, and tasks may need it"
        assert "a venv in /opt/taskrunner" in str(finding.remedy)


def test_local_files_of_definitions_are_told(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for folder in (data, tmp_path / "work"):
        folder.mkdir()
    case = _case(tmp_path / "work", local_paths=(str(data), "/no/such"))
    missing, all_of_it = check_local_files(case)
    assert (missing.result, missing.found) == (Result.WARN, "/no/such is not there")
    assert all_of_it.result is Result.PASS
    assert all_of_it.found == f"definitions may name local files below {data}, /no/such"
    (nothing,) = check_local_files(_case(tmp_path / "work"))
    assert nothing.found == "definitions may name local files below no folder"


@pytest.mark.parametrize("path", ["/", "{}", "{}/journal"])
def test_the_agents_own_files_among_the_local_paths_are_warned_of(
    tmp_path: Path, path: str
) -> None:
    case = _case(tmp_path, local_paths=(path.format(tmp_path),))
    warning, _ = check_local_files(case)
    assert warning.result is Result.WARN
    assert "holds files of the agent" in warning.found


def test_local_paths_that_no_group_asks_for_are_warned_of(tmp_path: Path) -> None:
    users = {"wg": "somebody"}
    (warning,) = check_local_files(_case(tmp_path, run_as_user=users, local_paths=("/srv",)))
    assert "every worker group has a run_as_user" in warning.found
    assert list(check_local_files(_case(tmp_path, run_as_user={"": "somebody"}))) == []


def test_the_operators_own_log_uri_needs_no_permission(tmp_path: Path) -> None:
    (finding,) = check_log_uri(_case(tmp_path, log_uri=f"{tmp_path}/logs"))
    assert finding.result is Result.PASS


def test_a_type_that_is_allowed_and_not_there_is_warned_of(tmp_path: Path) -> None:
    case = _case(tmp_path, allow_types=("CopyActivity", "copyactivity"))
    found = [finding for finding in check_drivers(case) if finding.name == "allow_types"]
    (warning,) = found
    assert warning.result is Result.WARN
    assert warning.found == "copyactivity is allowed, and is not installed here"
