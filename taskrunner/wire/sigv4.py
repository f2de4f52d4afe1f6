"""AWS Signature Version 4, verified: a request is from the holder of a key, whole, and of now.

Replays within the five minutes are possible by the nature of the signature (an SDK's own retry
within a second is one): a `Proof` tells one request from another, so that its copies can be known.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from urllib.parse import quote, unquote_plus

from taskrunner.clock import Clock
from taskrunner.wire.faults import (
    BadSignature,
    IncompleteSignature,
    MissingAuthentication,
    UnknownClient,
)
from taskrunner.wire.http import HttpRequest

ALGORITHM = "AWS4-HMAC-SHA256"
SERVICE = "datapipeline"
MAX_SKEW = timedelta(minutes=5)

#: What a signature must cover; path, query and body are covered in any case.
REQUIRED_SIGNED = frozenset({"host", "x-amz-date"})
#: What it must cover where it is there: it says which operation is meant.
_SIGNED_IF_THERE = frozenset({"x-amz-target"})

_MAX_AUTHORIZATION = 4096

_NOT_THEIRS = (
    "The request signature does not match: the access key id is not known here, or the secret "
    "access key is not the one that belongs to it, or the request was changed on its way."
)

_AUTHORIZATION = re.compile(
    r"Credential=(?P<id>[^/,\s]{1,128})/(?P<scope>[^,\s]{1,200}),\s*"
    r"SignedHeaders=(?P<headers>[^,\s]{1,2048}),\s*Signature=(?P<signature>[0-9a-f]{64})"
)
_DATE = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z", re.ASCII)
#: Keys that are remembered: a host has one a day, and a service as many as it has callers.
_MOST_KEYS = 1024
_KEY_ID = re.compile(r"\bCredential=(?P<id>[A-Za-z0-9_+=.@-]{1,128})/")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Authorization:
    key_id: str
    scope: str
    signed_headers: tuple[str, ...]
    signature: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A request that was found to be a key's: key and signature are those of no other request."""

    key_id: str
    signature: str
    signed_at: datetime
    verified_at: datetime

    @property
    def good_until(self) -> datetime:
        """When copies of the request are refused for their age, at the latest."""
        return self.signed_at + MAX_SKEW


class Verifier:
    """Checks signatures against the secrets of known keys."""

    def __init__(
        self, secret_of: Callable[[str], str | None], *, region: str, clock: Clock
    ) -> None:
        self._secret_of = secret_of
        self._region = region
        self._clock = clock

    def check_headers(self, headers: Mapping[str, str]) -> None:
        """Find out whether the signature could be right, before there is a body.

        Raises what `verify` does, but for a wrong signature of a known key.
        """
        self._claim(headers)

    def verify(self, request: HttpRequest) -> str:
        """The id of the key that signed the request; raises what `prove` does."""
        return self.prove(request).key_id

    def prove(self, request: HttpRequest) -> Proof:
        """Whose request it is.

        Raises MissingAuthentication, IncompleteSignature or BadSignature: UnknownClient for an
        unknown key. Ids of keys are no secret, so that this may be told at once.
        """
        claim, moment, secret = self._claim(request.headers)
        _check_body_hash(request)
        expected = signature(
            secret, request, scope=claim.scope, signed_headers=claim.signed_headers
        )
        if not hmac.compare_digest(expected, claim.signature):
            raise BadSignature(_NOT_THEIRS)
        return Proof(
            key_id=claim.key_id,
            signature=claim.signature,
            signed_at=moment,
            verified_at=self._clock.now(),
        )

    def _claim(self, headers: Mapping[str, str]) -> tuple[_Authorization, datetime, str]:
        """What the headers say: who signed, when, and the secret that it must be signed with."""
        claim = _parse(headers)
        moment = self._check_date(headers["x-amz-date"])
        self._check_scope(claim.scope, moment)
        secret = self._secret_of(claim.key_id)
        if secret is None:
            raise UnknownClient(_NOT_THEIRS)
        return claim, moment, secret

    def _check_date(self, text: str) -> datetime:
        moment = _moment(text)
        if moment is None:
            raise IncompleteSignature("X-Amz-Date must have the form YYYYMMDDTHHMMSSZ")
        now = self._clock.now()
        if abs(now - moment) > MAX_SKEW:
            raise BadSignature(
                f"Signature expired or not yet valid: {text} is not within 5 minutes of the "
                f"service's time, {now:%Y%m%dT%H%M%SZ}; check the clock of the host that signs."
            )
        return moment

    def _check_scope(self, scope: str, moment: datetime) -> None:
        day = f"{moment.year:04d}{moment.month:02d}{moment.day:02d}"
        wanted = f"{day}/{self._region}/{SERVICE}/aws4_request"
        if scope != wanted:
            raise BadSignature(
                f"Credential should be scoped to {wanted!r}, found {scope!r}: "
                f"this service's region is {self._region}."
            )


def _moment(text: str) -> datetime | None:
    """A date as it is signed; each call is dated twice, and `strptime` takes ten times as long."""
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = map(int, found.groups())
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:  # a day or an hour that there is not
        return None


def _parse(headers: Mapping[str, str]) -> _Authorization:
    text = headers.get("authorization")
    if text is None:
        raise MissingAuthentication("Missing Authentication Token: the request is not signed.")
    algorithm, _, rest = text.partition(" ")
    found = _AUTHORIZATION.fullmatch(rest.strip()) if len(text) <= _MAX_AUTHORIZATION else None
    if algorithm != ALGORITHM or found is None:
        raise IncompleteSignature(
            f"Authorization must be {ALGORITHM} with Credential, SignedHeaders and Signature"
        )
    signed = tuple(found["headers"].split(";"))
    if list(signed) != sorted(set(signed)) or found["headers"] != found["headers"].lower():
        raise IncompleteSignature("SignedHeaders must be in lower case, sorted and without repeats")
    wanted = REQUIRED_SIGNED | (_SIGNED_IF_THERE & headers.keys())
    unsigned = sorted((wanted - set(signed)) | (set(signed) - headers.keys()))
    if unsigned:
        raise IncompleteSignature(f"{unsigned[0]!r} must be present in the request and signed")
    return _Authorization(
        key_id=found["id"],
        scope=found["scope"],
        signed_headers=signed,
        signature=found["signature"],
    )


def claimed_key(headers: Mapping[str, str]) -> str | None:
    """The id of the key that a request says it is signed with, for people: nothing is proved."""
    found = _KEY_ID.search(headers.get("authorization", "")[:_MAX_AUTHORIZATION])
    return found["id"] if found else None


def _check_body_hash(request: HttpRequest) -> None:
    """A declared hash must be the body's: UNSIGNED-PAYLOAD and streaming are not for this API."""
    declared = request.headers.get("x-amz-content-sha256")
    if declared is not None and declared != hashlib.sha256(request.body).hexdigest():
        raise BadSignature("X-Amz-Content-SHA256 is not the hash of the body")


def signature(
    secret: str, request: HttpRequest, *, scope: str, signed_headers: tuple[str, ...]
) -> str:
    """The signature that the holder of the secret makes; every signed header must be there."""
    digest = hashlib.sha256(_canonical(request, signed_headers).encode()).hexdigest()
    text = "\n".join((ALGORITHM, request.headers["x-amz-date"], scope, digest))
    return _hmac(_signing_key(secret, scope), text).hex()


@lru_cache(maxsize=_MOST_KEYS)
def _signing_key(secret: str, scope: str) -> bytes:
    """What a secret signs with: the same for a day, a region and a service."""
    key = b"AWS4" + secret.encode()
    for part in scope.split("/"):
        key = _hmac(key, part)
    return key


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


def _canonical(request: HttpRequest, signed_headers: tuple[str, ...]) -> str:
    headers = "".join(
        f"{name}:{' '.join(request.headers[name].split())}\n" for name in signed_headers
    )
    return "\n".join(
        (
            request.method,
            quote(request.path, safe="/-_.~"),
            _canonical_query(request.query),
            headers,
            ";".join(signed_headers),
            hashlib.sha256(request.body).hexdigest(),
        )
    )


def _canonical_query(query: str) -> str:
    pairs = (item.partition("=") for item in query.split("&") if item)
    encoded = ((_encode(name), _encode(value)) for name, _, value in pairs)
    return "&".join(f"{name}={value}" for name, value in sorted(encoded))


def _encode(text: str) -> str:
    # A plus sign is a plus sign to the signers, not a blank.
    return quote(unquote_plus(text.replace("+", "%2B")), safe="-_.~")
