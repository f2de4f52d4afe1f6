"""The S3 client, and its library's exceptions told as the project's own.

Only this module and its s3_* neighbours know botocore. It is used without boto3, which would add
start-up time and memory to every child that touches S3, and nothing that is needed here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import botocore.exceptions as aws
import botocore.session
from botocore.config import Config
from botocore.loaders import Loader

from taskrunner.data.roles import assumed
from taskrunner.data.settings import DataSettings
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


#: A call is tried this often in all; the waits in between grow to some seconds.
_TRIES = 5
_CONNECT_TIMEOUT_S = 10
_READ_TIMEOUT_S = 60
#: More than are used at a time, by copies side by side.
_CONNECTIONS = 32
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}

_ERROR_IDS = {
    "NoSuchBucket": ErrorId.NOT_FOUND,
    "NoSuchKey": ErrorId.NOT_FOUND,
    "NoSuchUpload": ErrorId.NOT_FOUND,
    "404": ErrorId.NOT_FOUND,
    "AccessDenied": ErrorId.ACCESS_DENIED,
    "AllAccessDisabled": ErrorId.ACCESS_DENIED,
    "AccountProblem": ErrorId.ACCESS_DENIED,
    "ExpiredToken": ErrorId.ACCESS_DENIED,
    "InvalidAccessKeyId": ErrorId.ACCESS_DENIED,
    "InvalidToken": ErrorId.ACCESS_DENIED,
    "RequestTimeTooSkewed": ErrorId.ACCESS_DENIED,
    "SignatureDoesNotMatch": ErrorId.ACCESS_DENIED,
    "401": ErrorId.ACCESS_DENIED,
    "403": ErrorId.ACCESS_DENIED,
    "InvalidBucketName": ErrorId.INVALID_FIELD,
    "KeyTooLongError": ErrorId.INVALID_FIELD,
    "EntityTooLarge": ErrorId.STORAGE_FULL,
    "InsufficientCapacity": ErrorId.STORAGE_FULL,
    "QuotaExceeded": ErrorId.STORAGE_FULL,
    "XMinioStorageFull": ErrorId.STORAGE_FULL,
}
#: What is said of credentials whose time is over.
_OUTDATED = {"ExpiredToken", "InvalidToken", "InvalidAccessKeyId", "TokenRefreshRequired"}
#: Of the context of a call: the credentials that it was signed with.
_SIGNED_WITH = "taskrunner_signed_with"
_REASONS = {
    "NoSuchBucket": "the bucket does not exist",
    "NoSuchKey": "there is no such object",
    "404": "there is no such object",
    # To HEAD nothing more is answered.
    "400": "bad request: credentials that have expired, or another region, are the usual causes",
    "403": "access denied",
    "PreconditionFailed": "the object was changed while it was being read",
    "412": "the object was changed while it was being read",
}
_UNREACHABLE = (
    aws.ConnectionError,
    aws.HTTPClientError,
    aws.ReadTimeoutError,
    aws.ConnectTimeoutError,
    aws.ProxyConnectionError,
    aws.SSLError,
    aws.IncompleteReadError,
)
_NO_CREDENTIALS = (
    aws.NoCredentialsError,
    aws.PartialCredentialsError,
    aws.CredentialRetrievalError,
    aws.TokenRetrievalError,
    aws.NoAuthTokenError,
    aws.ProfileNotFound,
)
_WRONG_INPUT = (aws.ParamValidationError, aws.ValidationError, ValueError)


class _Loader(Loader):
    """Finds what the library knows of S3 without looking into the folders of 400 services.

    Which services there are is asked for only to see that S3 is one of them.
    """

    _is_for_s3 = False

    def load_service_model(
        self, service_name: str, type_name: str, api_version: str | None = None
    ) -> Any:
        """As ever; credentials may take other services' models."""
        self._is_for_s3 = service_name == "s3"
        return super().load_service_model(service_name, type_name, api_version)

    def list_available_services(self, type_name: str) -> list[str]:
        """S3, where that is asked for."""
        return ["s3"] if self._is_for_s3 else super().list_available_services(type_name)


def create_client(settings: DataSettings, *, tries: int = _TRIES) -> S3Client:
    """A client by botocore's own configuration; path-style for endpoints other than AWS's."""
    endpoint = settings.s3_endpoint
    config = Config(
        connect_timeout=_CONNECT_TIMEOUT_S,
        read_timeout=_READ_TIMEOUT_S,
        max_pool_connections=_CONNECTIONS,
        retries={"mode": "standard", "total_max_attempts": tries},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        # The body's hash adds nothing where TLS or the loopback carries it, and halves the speed.
        s3={
            "addressing_style": "path" if endpoint else "auto",
            "payload_signing_enabled": not _is_safe(endpoint),
        },
    )
    with problems(endpoint or "the S3 client", "set up", endpoint):
        session = botocore.session.get_session()
        paths = session.get_config_variable("data_path") or ""
        folders = [str(Path(path).expanduser()) for path in paths.split(os.pathsep) if path]
        session.register_component("data_loader", _Loader(folders))
        region = settings.region or session.get_config_variable("region") or "us-east-1"
        keys = {} if settings.role is None else _keys_of(session, settings.role, region)
        client = session.create_client(
            "s3", region_name=region, endpoint_url=endpoint, config=config, **keys
        )
    if settings.role is None:
        # What is lent for a role is renewed by nobody: the agent's own is no substitute.
        renewal = _Renewal(client)
        client.meta.events.register_first("before-sign.s3", cast("Any", renewal.signing))
        client.meta.events.register_first("needs-retry.s3", cast("Any", renewal))
    return cast("S3Client", client)


def _keys_of(session: botocore.session.Session, role: str, region: str) -> dict[str, Any]:
    """The credentials of a role, for as long as a short piece of work takes. Raises TaskError."""
    own = session.get_credentials()
    if own is None:
        raise aws.NoCredentialsError
    keys = assumed(session, own, role, region).get_frozen_credentials()
    return {
        "aws_access_key_id": keys.access_key,
        "aws_secret_access_key": keys.secret_key,
        "aws_session_token": keys.token,
    }


class _Renewal:
    """Looks for newer credentials when a call is refused for the old ones, in mid copy.

    Those of roles renew themselves. Those that something else writes into a file from time to time,
    or puts there for a day, do not: the library reads them once.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def signing(self, request: Any = None, **_: object) -> None:
        """Note which credentials a call is signed with."""
        if request is not None and (now := self._current()) is not None:
            request.context[_SIGNED_WITH] = now.get_frozen_credentials()

    def __call__(
        self,
        response: Any = None,
        request_dict: Mapping[str, Any] | None = None,
        **_: object,
    ) -> int | None:
        """The seconds to wait before the call is made again; None: not for this reason."""
        code = response[1].get("Error", {}).get("Code") if response is not None else None
        if code not in _OUTDATED:
            return None
        old = self._current()
        if old is None:
            return None
        used = ((request_dict or {}).get("context") or {}).get(_SIGNED_WITH)
        if used is not None and used != old.get_frozen_credentials():
            return 0  # a call beside this one has found newer ones meanwhile
        new = botocore.session.get_session().get_credentials()
        if new is None or new.get_frozen_credentials() == old.get_frozen_credentials():
            return None
        setattr(self._signer, "_credentials", new)  # noqa: B010
        return 0

    @property
    def _signer(self) -> Any:
        return getattr(self._client, "_request_signer")  # noqa: B009  no public way leads there

    def _current(self) -> Any:
        return getattr(self._signer, "_credentials")  # noqa: B009


def _is_safe(endpoint: str | None) -> bool:
    if endpoint is None:
        return True
    parts = urlsplit(endpoint)
    return parts.scheme == "https" or parts.hostname in _LOOPBACK


def code_of(error: aws.ClientError) -> str:
    """The error's code: S3's own name, or the HTTP status where there was no body."""
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def problems(uri: str, verb: str, endpoint: str | None) -> Iterator[None]:
    """Tell botocore's exceptions as TaskErrors that say what was to be done with which URI."""
    try:
        yield
    except aws.ClientError as error:
        raise _refused(uri, verb, error) from error
    except _NO_CREDENTIALS as error:
        message = f"cannot {verb} {uri}: no usable AWS credentials ({_short(error)})"
        raise TaskError(message, error_id=ErrorId.ACCESS_DENIED) from error
    except _UNREACHABLE as error:
        message = f"cannot {verb} {uri}: {endpoint or 'S3'} does not answer ({_short(error)})"
        raise TaskError(message, error_id=ErrorId.CONNECTION_FAILED) from error
    except _WRONG_INPUT as error:
        message = f"cannot {verb} {uri}: {_short(error)}"
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD) from error
    except aws.BotoCoreError as error:
        raise nonsense(uri, verb, endpoint) from error


def nonsense(uri: str, verb: str, endpoint: str | None) -> TaskError:
    """The error for an answer that no S3 server would give."""
    message = f"cannot {verb} {uri}: {endpoint or 'S3'} gave an answer that is not one of S3's"
    return TaskError(message, error_id=ErrorId.CONNECTION_FAILED)


def _refused(uri: str, verb: str, error: aws.ClientError) -> TaskError:
    code = code_of(error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    reason = _REASONS.get(code) or error.response.get("Error", {}).get("Message") or code
    error_id = _ERROR_IDS.get(code)
    if error_id is None:
        error_id = ErrorId.CONNECTION_FAILED if status >= 500 else ErrorId.ACTIVITY_FAILED
    named = "" if code.isdigit() or not code else f" ({code})"
    return TaskError(f"cannot {verb} {uri}: {reason}{named}", error_id=error_id)


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
