"""A refusal of the caller is told once, under its cause."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from taskrunner.doctor.case import Result
from taskrunner.doctor.identity import check_credentials, check_identity
from tests.unit.cli.test_doctor import _case, _way


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        ("MissingAuthenticationTokenException", "give the instance a role"),
        ("UnrecognizedClientException", "not known there"),
        ("InvalidSignatureException", "letter by letter"),
        ("ExpiredTokenException", "have them renewed"),
        ("OptInRequired", "taskrunner serve"),
    ],
)
def test_a_caller_who_is_refused_is_told_why(tmp_path: Path, code: str, remedy: str) -> None:
    case = _case(tmp_path)
    way, service = _way(case, lambda _operation, _body: code)
    (finding,) = check_identity(case, way)
    assert (finding.name, finding.result) == ("authentication", Result.FAIL)
    assert code in finding.found
    assert remedy in str(finding.remedy)
    assert len(service.calls) == 1


@pytest.mark.parametrize(
    "answer", ["AccessDeniedException", "InvalidRequestException", {"terminate": False}]
)
def test_what_is_about_one_call_is_left_to_the_check_of_that_call(
    tmp_path: Path, answer: object
) -> None:
    case = _case(tmp_path)
    way, _ = _way(case, lambda _operation, _body: answer)
    assert list(check_identity(case, way)) == []


@pytest.mark.parametrize(
    ("message", "remedy"),
    [
        (
            "Credential should be scoped to 'x', found 'y': this service's region is eu-west-1.",
            "set region to 'eu-west-1', that of the service",
        ),
        ("Credential should be scoped to a valid region, not 'eu-west-9'.", "set region to that"),
    ],
)
def test_a_region_that_is_not_the_services_is_called_that(
    tmp_path: Path, message: str, remedy: str
) -> None:
    case = _case(tmp_path)
    way, service = _way(case, lambda _operation, _body: "InvalidSignatureException")
    answer = service.send

    def send(request: object, *, deadline_s: float) -> object:
        reply = answer(request, deadline_s=deadline_s)  # type: ignore[arg-type]
        body = {**json.loads(reply.body), "message": message}
        return type(reply)(status=reply.status, body=json.dumps(body).encode())

    service.send = send  # type: ignore[method-assign,assignment]
    (finding,) = check_identity(case, way)
    assert finding.name == "authentication"
    assert remedy in str(finding.remedy)


def test_a_credentials_file_that_is_named_must_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = _case(tmp_path)
    way, _ = _way(case, lambda _operation, _body: {})
    named = {"AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "keys"), "AWS_CONFIG_FILE": "/dev/null"}
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)  # the SDK's chain reads the process's own
    (finding,) = check_credentials(replace(case, environ=named), way)
    assert finding.result is Result.FAIL
    assert f"{tmp_path / 'keys'}, which AWS_SHARED_CREDENTIALS_FILE names" in finding.found
    assert "doctor --unit" in str(finding.remedy)
