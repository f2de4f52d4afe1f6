from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials, RefreshableCredentials
from botocore.exceptions import ClientError, CredentialRetrievalError
from botocore.session import Session
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.errors import ConfigError, ServiceUnreachable
from taskrunner.wire.http import HttpRequest
from taskrunner.wire.keys import ChainKeys, FixedKeys, Keys, find_keys
from taskrunner.wire.signing import SigV4Signer, find_signer
from taskrunner.wire.sigv4 import Verifier
from tests.unit.wire.fakes import LOOPBACK, FixedClock

MOMENT = datetime(2026, 2, 13, 2, 0, tzinfo=UTC)
STAMP = "20260213T020000Z"
KEYS = Keys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
HEADERS = {
    "host": "datapipeline.eu-west-1.amazonaws.com",
    "content-type": "application/x-amz-json-1.1",
    "x-amz-target": "DataPipeline.PollForTask",
    "user-agent": "taskrunner",
}
INVOCATION = "amz-sdk-invocation-id"
IN_ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "AKIDENV", "AWS_SECRET_ACCESS_KEY": "secret"}


def signer(keys: Keys = KEYS) -> SigV4Signer:
    return SigV4Signer(FixedKeys(keys), "eu-west-1", FixedClock(MOMENT))


def by_botocore(keys: Keys, request: HttpRequest) -> str:
    """The Authorization header that botocore writes at the same moment."""
    headers = {**request.headers, "X-Amz-Date": STAMP}
    if keys.token is not None:
        headers["X-Amz-Security-Token"] = keys.token
    theirs = AWSRequest(
        method=request.method,
        url=f"https://{request.headers['host']}{request.path}",
        headers=headers,
        data=request.body,
    )
    theirs.context["timestamp"] = STAMP
    credentials = Credentials(keys.access_key, keys.secret_key, keys.token)
    auth: Any = SigV4Auth(credentials, "datapipeline", "eu-west-1")
    text = auth.string_to_sign(theirs, auth.canonical_request(theirs))
    auth._inject_signature_to_request(theirs, auth.signature(text, theirs))
    return str(theirs.headers["Authorization"])


@given(
    body=st.binary(max_size=200),
    token=st.none() | st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126)),
)
def test_it_signs_as_botocore_does(body: bytes, token: str | None) -> None:
    keys = Keys(KEYS.access_key, KEYS.secret_key, token)
    request = HttpRequest(headers=HEADERS, body=body)

    ours = signer(keys).sign(request)

    sent = HttpRequest(headers={**HEADERS, INVOCATION: ours[INVOCATION]}, body=body)
    assert ours["authorization"] == by_botocore(keys, sent)
    assert ours["x-amz-date"] == STAMP
    assert ours.get("x-amz-security-token") == token
    assert HEADERS.items() <= ours.items()


def test_equal_calls_of_one_second_have_signatures_of_their_own() -> None:
    """Otherwise the second would be taken for a copy of the first."""
    request = HttpRequest(headers=HEADERS, body=b"{}")

    first, second = signer().sign(request), signer().sign(request)

    assert first["x-amz-date"] == second["x-amz-date"]
    assert first["authorization"] != second["authorization"]


def test_what_it_signs_the_service_takes() -> None:
    request = HttpRequest(headers=HEADERS, body=b"{}")
    headers = signer().sign(request)
    sent = HttpRequest(headers=headers, body=b"{}")
    secrets = {KEYS.access_key: KEYS.secret_key}
    verifier = Verifier(secrets.get, region="eu-west-1", clock=FixedClock(MOMENT))

    assert verifier.verify(sent) == KEYS.access_key


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"AWS_SESSION_TOKEN": "new"},
        {"AWS_SECURITY_TOKEN": "old"},
        {"AWS_SESSION_TOKEN": "new", "AWS_SECURITY_TOKEN": "old"},
        {"AWS_SESSION_TOKEN": ""},
        {"AWS_SESSION_TOKEN": "new", "AWS_SECURITY_TOKEN": ""},
    ],
)
def test_keys_in_the_environment_are_those_that_botocore_finds(
    monkeypatch: pytest.MonkeyPatch, more: dict[str, str]
) -> None:
    environ = {**IN_ENVIRONMENT, **more}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    found = find_keys(loopback=True, environ=environ)

    assert isinstance(found, FixedKeys)
    theirs = Session().get_credentials()
    assert theirs is not None
    assert found.current() == Keys(theirs.access_key, theirs.secret_key, theirs.token)
    assert found.found_by == theirs.method


def test_keys_that_expire_are_left_to_botocore(monkeypatch: pytest.MonkeyPatch) -> None:
    environ = {**IN_ENVIRONMENT, "AWS_CREDENTIAL_EXPIRATION": "2999-01-01T00:00:00Z"}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    found = find_keys(loopback=True, environ=environ)

    assert isinstance(found, ChainKeys)
    assert found.current() == Keys("AKIDENV", "secret")


def test_a_key_without_its_secret_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    with pytest.raises(ConfigError, match="AWS_SECRET_ACCESS_KEY"):
        find_keys(loopback=True, environ={"AWS_ACCESS_KEY_ID": "AKIDENV"})


@pytest.mark.parametrize("named", ["argument", "AWS_PROFILE", "AWS_DEFAULT_PROFILE"])
def test_a_profile_that_is_not_there_is_told_though_there_are_keys(
    monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    environ = dict(IN_ENVIRONMENT)
    if named != "argument":
        environ[named] = "absent"
        monkeypatch.setenv(named, "absent")

    with pytest.raises(ConfigError, match="absent"):
        find_keys(loopback=True, environ=environ, profile="absent" if named == "argument" else None)


def refused(code: str, status: int) -> ClientError:
    """What STS answers, as botocore raises it."""
    said: Any = {
        "Error": {"Code": code, "Message": "STS says no"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(said, "AssumeRole")


class Source:
    """Keys that are to be renewed at once, and what the renewal meets."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.now = MOMENT
        self.found = RefreshableCredentials(
            "AKIDFIRST",
            "secret",
            "token",
            MOMENT + timedelta(seconds=300),
            self.renew,
            "assume-role",
            time_fetcher=lambda: self.now,
        )

    def renew(self) -> dict[str, str]:
        if self.failure is not None:
            raise self.failure
        expiry = (self.now + timedelta(seconds=300)).isoformat()
        return {
            "access_key": "AKIDNEXT",
            "secret_key": "secret",
            "token": "token",
            "expiry_time": expiry,
        }


FAILURES = [
    CredentialRetrievalError(provider="custom-process", error_msg="exit code 1"),
    refused("ServiceUnavailable", 503),
    refused("Throttling", 400),
    refused("AccessDenied", 403),
    ValueError("Expecting value: line 1 column 1 (char 0)"),
    KeyError("Expiration"),
    FileNotFoundError(2, "No such file or directory"),
]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_keys_that_cannot_be_renewed_are_used_until_they_are_over(failure: Exception) -> None:
    source = Source()
    keys = ChainKeys(source.found)
    first = keys.current()
    source.failure = failure
    source.now += timedelta(seconds=200)

    assert keys.current() == first

    source.now += timedelta(seconds=101)
    with pytest.raises(ServiceUnreachable, match="could not be renewed"):
        keys.current()

    source.failure = None  # whatever it was is over: so is the outage
    assert keys.current().access_key == "AKIDNEXT"


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_keys_that_never_were_there_are_asked_for_again(failure: Exception) -> None:
    source = Source()
    source.failure = failure
    keys = ChainKeys(source.found)

    with pytest.raises(ServiceUnreachable, match="could not be renewed"):
        keys.current()

    source.failure = None
    assert keys.current().access_key == "AKIDNEXT"


def test_a_program_that_prints_no_keys_is_told_at_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text("[profile vault]\ncredential_process = echo the vault is sealed\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))

    with pytest.raises(ConfigError, match="cannot be used: JSONDecodeError"):
        find_keys(loopback=True, environ={}, profile="vault")


def test_the_signer_says_whose_keys_it_has_and_no_secret() -> None:
    found = find_signer(LOOPBACK, region="eu-west-1", clock=FixedClock(), environ=IN_ENVIRONMENT)

    assert found is not None
    assert found.describe() == "access key AKID...DENV, found by env"
    assert "secret" not in repr(found.source)
