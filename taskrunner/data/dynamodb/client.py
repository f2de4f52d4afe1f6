"""DynamoDB over HTTPS: signed requests, JSON in and out, tried again where that may help.

botocore finds the endpoint, the credentials and the proxies, signs and sends. Its own client is
not used for calls: taking every value of an item apart and together again costs it five times the
CPU time that the JSON costs.
"""

from __future__ import annotations

import json
import random
import threading
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import botocore.exceptions as aws
import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials, ReadOnlyCredentials
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from taskrunner.clock import Clock, SystemClock
from taskrunner.data.dynamodb.calls import PASSING, Refused, Reply, Unanswered
from taskrunner.data.dynamodb.limiter import Stopped
from taskrunner.data.roles import assumed
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError

_TARGET = "DynamoDB_20120810"
_CONNECT_TIMEOUT_S = 10
_READ_TIMEOUT_S = 60
#: A call is tried this often in all; the waits between grow to the longest, minutes in all.
_TRIES = 15
_FIRST_WAIT_S = 0.05
_LONGEST_WAIT_S = 20.0
#: A call that does not reach anybody is given up sooner: who waits would rather know.
_TRIES_UNREACHED = 6


class Sender(Protocol):
    """What sends a signed request."""

    def send(self, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        """Send it; returns status, headers in lower case, body. Raises botocore's exceptions."""
        ...

    def close(self) -> None:
        """Let the connections go."""
        ...


class SignedSender:
    """Sends over pooled connections, with the newest credentials."""

    def __init__(
        self,
        session: botocore.session.Session,
        endpoint: str,
        region: str,
        credentials: Credentials,
    ) -> None:
        self._endpoint = endpoint
        self._region = region
        self._credentials = credentials
        timeout: Any = (_CONNECT_TIMEOUT_S, _READ_TIMEOUT_S)
        self._http = URLLib3Session(
            verify=session.get_config_variable("ca_bundle") or True,
            proxies=get_environ_proxies(endpoint),
            timeout=timeout,
            max_pool_connections=32,
        )

    def send(self, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        """Sign it and send it."""
        request = AWSRequest(method="POST", url=self._endpoint, data=body, headers=headers)
        keys: ReadOnlyCredentials = self._credentials.get_frozen_credentials()
        SigV4Auth(keys, "dynamodb", self._region).add_auth(request)
        response = self._http.send(request.prepare())
        found = {name.lower(): value for name, value in response.headers.items()}
        return response.status_code, found, response.content

    def close(self) -> None:
        """Close the connections that are kept."""
        self._http.close()


def connect(region: str | None, role: str | None = None) -> DynamoDB:
    """DynamoDB in a region, else in that of boto3's configuration; as a role, if one is given.

    Raises TaskError. AWS_ENDPOINT_URL_DYNAMODB names another server than AWS's.
    """
    try:
        session = botocore.session.get_session()
        region = region or session.get_config_variable("region") or "us-east-1"
        credentials = _credentials(session, role, region)
        # Made for the address alone: files, variables and AWS's own rules all have a say in it.
        client = session.create_client(
            "dynamodb", region_name=region, config=Config(connect_timeout=_CONNECT_TIMEOUT_S)
        )
        endpoint = client.meta.endpoint_url
        client.close()
    except (aws.NoCredentialsError, aws.PartialCredentialsError, aws.ProfileNotFound) as error:
        message = f"no usable AWS credentials for DynamoDB ({error}); give the agent some"
        raise TaskError(message, error_id=ErrorId.ACCESS_DENIED) from error
    except (aws.BotoCoreError, ValueError) as error:
        message = f"cannot use DynamoDB in the region {region!r}: {error}"
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD) from error
    return DynamoDB(SignedSender(session, endpoint, region, credentials), region, endpoint)


def _credentials(session: botocore.session.Session, role: str | None, region: str) -> Credentials:
    own = session.get_credentials()
    if own is None:
        raise aws.NoCredentialsError
    return own if role is None else assumed(session, own, role, region)


class DynamoDB:
    """Calls that are tried again until they are answered or refused."""

    def __init__(
        self,
        sender: Sender,
        region: str,
        endpoint: str,
        *,
        clock: Clock | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._sender = sender
        self._region = region
        self._endpoint = endpoint
        self._clock = clock or SystemClock()
        self._jitter = jitter

    @property
    def region(self) -> str:
        """The region, for messages."""
        return self._region

    def call(
        self, operation: str, request: Mapping[str, Any], stop: threading.Event | None = None
    ) -> Reply:
        """Call an operation. Raises Refused, Unanswered, PermanentTaskError, and Stopped."""
        stop = stop or threading.Event()
        body = json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode()
        for count in range(1, _TRIES + 1):
            problem: Refused | Unanswered
            try:
                return self._once(operation, body)
            except Refused as error:
                if error.code not in PASSING:
                    raise
                problem, limit = error, _TRIES
            except Unanswered as error:
                problem, limit = error, _TRIES_UNREACHED
            if count >= limit:
                raise problem
            if self._clock.wait(stop, self.pause(count)):
                raise Stopped from problem
        raise AssertionError("the last try returns or raises")

    def pause(self, count: int) -> float:
        """How long to wait after so many tries in vain: longer each time, and never in step."""
        longest = min(_FIRST_WAIT_S * 2.0**count, _LONGEST_WAIT_S)
        return longest * (0.5 + self._jitter() / 2)

    def close(self) -> None:
        """Let the connections go."""
        self._sender.close()

    def _once(self, operation: str, body: bytes) -> Reply:
        headers = {
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": f"{_TARGET}.{operation}",
        }
        try:
            status, found, content = self._sender.send(body, headers)
        except (aws.NoCredentialsError, aws.CredentialRetrievalError, aws.ClientError) as error:
            message = f"no usable AWS credentials for DynamoDB ({error}); give the agent some"
            raise PermanentTaskError(message, error_id=ErrorId.ACCESS_DENIED) from error
        except (aws.BotoCoreError, OSError, ValueError) as error:
            text = " ".join(str(error).split())[:300]
            raise self._nothing(f"does not answer ({text})") from error
        return self._answer(status, found, content)

    def _answer(self, status: int, headers: Mapping[str, str], content: bytes) -> Reply:
        checksum = headers.get("x-amz-crc32")
        if checksum is not None and checksum != str(zlib.crc32(content)):
            raise self._nothing("sent an answer that was damaged on its way")
        try:
            reply = json.loads(content or b"{}")
        except ValueError:
            reply = None
        if not isinstance(reply, dict):
            raise self._nothing(f"gave an answer that is not DynamoDB's (HTTP {status})")
        if status == 200:
            return reply
        code = str(reply.get("__type", "")).rpartition("#")[2]
        if not code:
            code = "InternalServerError" if status >= 500 else f"HTTP {status}"
        raise Refused(code, str(reply.get("message") or reply.get("Message") or ""))

    def _nothing(self, what: str) -> Unanswered:
        return Unanswered(f"DynamoDB at {self._endpoint} {what}")
