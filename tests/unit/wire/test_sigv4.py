from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.clock import SystemClock
from taskrunner.errors import ServiceFault
from taskrunner.wire.faults import BadSignature, IncompleteSignature, MissingAuthentication
from taskrunner.wire.http import HttpRequest
from taskrunner.wire.sigv4 import Verifier, signature
from tests.unit.wire.fakes import FixedClock

KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
HEADERS = {
    "Host": "127.0.0.1:8484",
    "Content-Type": "application/x-amz-json-1.1",
    "X-Amz-Target": "DataPipeline.ListPipelines",
}


def signed(
    *,
    key: str = KEY,
    secret: str = SECRET,
    region: str = "us-east-1",
    service: str = "datapipeline",
    body: bytes = b'{"marker":"\xc3\xa9"}',
    headers: dict[str, str] | None = None,
    path: str = "/",
) -> HttpRequest:
    """A request signed by botocore, at the present time."""
    request = AWSRequest(
        method="POST",
        url=f"http://127.0.0.1:8484{path}",
        headers=HEADERS if headers is None else headers,
        data=body,
    )
    SigV4Auth(Credentials(key, secret), service, region).add_auth(request)
    lowered = {name.lower(): value for name, value in request.headers.items()}
    plain, _, query = path.partition("?")
    return HttpRequest(method="POST", path=plain, query=query, headers=lowered, body=body)


def verifier(*, ahead: timedelta = timedelta(0)) -> Verifier:
    clock = FixedClock(SystemClock().now() + ahead)
    return Verifier({KEY: SECRET}.get, region="us-east-1", clock=clock)


def test_what_botocore_signed_is_from_the_holder_of_the_key() -> None:
    assert verifier().verify(signed()) == KEY


@pytest.mark.parametrize("path", ["/?b=2&a=1", "/?a=b%20c&a=-", "/?x", "/some%20path/"])
def test_paths_and_queries_are_signed_too(path: str) -> None:
    assert verifier().verify(signed(path=path)) == KEY


def test_blanks_in_header_values_do_not_matter() -> None:
    request = signed(headers={**HEADERS, "X-Amz-Note": "  a   b "})

    assert verifier().verify(request) == KEY


@pytest.mark.parametrize("minutes", [-4.9, 4.9])
def test_clocks_may_differ_by_less_than_five_minutes(minutes: float) -> None:
    assert verifier(ahead=timedelta(minutes=minutes)).verify(signed()) == KEY


@pytest.mark.parametrize("minutes", [-5.2, 5.2, 60 * 24])
def test_a_signature_of_another_time_is_refused(minutes: float) -> None:
    with pytest.raises(BadSignature, match="clock"):
        verifier(ahead=timedelta(minutes=minutes)).verify(signed())


def test_an_unknown_key_and_a_wrong_secret_get_the_same_answer() -> None:
    said = set()
    for request in (signed(key="AKIDOTHER"), signed(secret="wrong")):
        with pytest.raises(BadSignature) as caught:
            verifier().verify(request)
        said.add(str(caught.value))

    assert len(said) == 1


def test_a_secret_of_an_unknown_key_cannot_be_guessed_as_the_dummy() -> None:
    with pytest.raises(BadSignature):
        verifier().verify(signed(key="AKIDOTHER", secret="0" * 40))


def test_a_signature_for_elsewhere_is_refused() -> None:
    for request in (signed(region="eu-west-1"), signed(service="s3")):
        with pytest.raises(BadSignature, match="scoped to"):
            verifier().verify(request)


def test_a_scope_of_another_day_is_refused() -> None:
    request = signed()
    day = request.headers["x-amz-date"][:8]
    other = request.headers["authorization"].replace(f"/{day}/", "/20200101/")

    with pytest.raises(BadSignature, match="scoped to"):
        verifier().verify(replace(request, headers={**request.headers, "authorization": other}))


def test_another_body_is_refused() -> None:
    with pytest.raises(BadSignature):
        verifier().verify(replace(signed(), body=b"{}"))


@pytest.mark.parametrize("value", ["UNSIGNED-PAYLOAD", "0" * 64])
def test_a_declared_hash_must_be_that_of_the_body(value: str) -> None:
    request = signed(headers={**HEADERS, "X-Amz-Content-SHA256": value})

    with pytest.raises(BadSignature, match="hash"):
        verifier().verify(request)


@pytest.mark.parametrize("name", ["x-amz-target", "host", "x-amz-date", "content-type"])
def test_changing_a_signed_header_is_refused(name: str) -> None:
    request = signed()
    changed = {**request.headers, name: request.headers.get(name, "") + "x"}

    with pytest.raises((BadSignature, IncompleteSignature)):
        verifier().verify(replace(request, headers=changed))


def test_the_operation_must_be_signed() -> None:
    headers = {name: value for name, value in HEADERS.items() if name != "X-Amz-Target"}
    request = signed(headers=headers)
    added = {**request.headers, "x-amz-target": "DataPipeline.DeletePipeline"}

    with pytest.raises(IncompleteSignature, match="x-amz-target"):
        verifier().verify(replace(request, headers=added))


def test_no_signature_is_said_as_such() -> None:
    with pytest.raises(MissingAuthentication):
        verifier().verify(HttpRequest(headers={"host": "x"}))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Basic dXNlcjpwYXNz",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=00",
        "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=x-amz-date;host, Signature=" + "0" * 64,
        "AWS4-ECDSA-P256-SHA256 Credential=a/b, SignedHeaders=host, Signature=" + "0" * 64,
        "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host;nope, Signature=" + "0" * 64,
        "AWS4-HMAC-SHA256 " + "x" * 10_000,
    ],
)
def test_other_authorization_headers_are_incomplete(text: str) -> None:
    with pytest.raises(IncompleteSignature):
        verifier().verify(HttpRequest(headers={**signed().headers, "authorization": text}))


@pytest.mark.parametrize(
    "date",
    [
        "",
        "20261130",
        "2026-11-30T00:00:00Z",
        "20261330T000000Z",
        "20260230T000000Z",
        "20261130T240000Z",
        "20261130T000000Z\n",
        "2026113\uff10T000000Z",
    ],
)
def test_a_date_of_another_form_is_incomplete(date: str) -> None:
    with pytest.raises(IncompleteSignature, match="YYYYMMDDTHHMMSSZ"):
        verifier().verify(HttpRequest(headers={**signed().headers, "x-amz-date": date}))


def test_what_one_secret_signs_with_is_not_taken_for_another() -> None:
    """The keys that secrets sign with are remembered: by the secret, the day and the region."""
    request = HttpRequest(headers={**HEADERS, "host": "h", "x-amz-date": "20150830T123600Z"})
    scopes = ["20150830/us-east-1/datapipeline/aws4_request"]
    scopes += [scopes[0].replace("30", "31"), scopes[0].replace("east", "west")]

    made = {
        signature(secret, request, scope=scope, signed_headers=("host",))
        for secret in ("one", "two")
        for scope in [*scopes, *scopes]
    }

    assert len(made) == 6


@given(st.text(max_size=300), st.text(max_size=40))
def test_no_header_makes_verification_fail_otherwise_than_with_a_fault(
    authorization: str, date: str
) -> None:
    headers = {**HEADERS, "host": "h", "x-amz-target": "t"}
    headers |= {"authorization": f"AWS4-HMAC-SHA256 {authorization}", "x-amz-date": date}

    with pytest.raises(ServiceFault):
        verifier().verify(HttpRequest(headers=headers))


def test_the_published_example_of_a_signature() -> None:
    """The example GET of AWS's general reference: iam, ListUsers, 2015-08-30."""
    request = HttpRequest(
        method="GET",
        query="Action=ListUsers&Version=2010-05-08",
        headers={
            "host": "iam.amazonaws.com",
            "content-type": "application/x-www-form-urlencoded; charset=utf-8",
            "x-amz-date": datetime(2015, 8, 30, 12, 36, tzinfo=UTC).strftime("%Y%m%dT%H%M%SZ"),
        },
    )

    made = signature(
        "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        request,
        scope="20150830/us-east-1/iam/aws4_request",
        signed_headers=("content-type", "host", "x-amz-date"),
    )

    assert made == "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
