"""Making an object appear: not over what a later attempt has written.

Each object carries, in its metadata, which attempt of which instance wrote it. Right before an
object appears the one in its place is looked at; if a later attempt of the same instance has made
that, the writer has been superseded, and fails. What happens between the look and the appearance
the store refuses by its conditions (If-Match, If-None-Match), where it knows them:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import botocore.exceptions as aws

from taskrunner.data.claims import Claim
from taskrunner.data.objects.location import Location
from taskrunner.data.objects.s3_client import code_of, nonsense, problems
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_TOKEN = "taskrunner-upload"  # noqa: S105  a metadata key
_WRITER = "taskrunner-writer"
#: How often another object may come in between.
_TRIES = 5
_NOT_AS_SEEN = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}
_NO_CONDITIONS = {"NotImplemented", "501"}
_MAY_NOT_LOOK = {"AccessDenied", "403"}


class Publisher:
    """Makes one object appear."""

    def __init__(
        self, client: S3Client, location: Location, *, endpoint: str | None, claim: Claim | None
    ) -> None:
        self._client = client
        self._location = location
        self._endpoint = endpoint
        self._claim = claim
        self.token = secrets.token_hex(16)
        self._conditional = True

    @property
    def metadata(self) -> dict[str, str]:
        """What the object must carry."""
        mark = {_WRITER: self._claim.mark} if self._claim is not None else {}
        return {_TOKEN: self.token, **mark}

    def publish(self, call: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> Mapping[str, Any]:
        """Make the call that lets the object appear, with the conditions that it is to have.

        Afterwards it is there, or a TaskError says why not. Returns what the store says of it.
        """
        for _ in range(_TRIES):
            conditions = self._conditions()
            try:
                with problems(self._location.uri, "write", self._endpoint):
                    return self._answered(call(conditions))
            except TaskError as error:
                # A repeated request is refused when the first one went through after all.
                if (found := self.found()) is not None:
                    return found
                if not conditions or not self._may_go_on(error.__cause__):
                    raise
        message = f"cannot write {self._location.uri}: others wrote it {_TRIES} times meanwhile"
        raise TaskError(message, error_id=ErrorId.CONNECTION_FAILED)

    def _answered(self, reply: Mapping[str, Any]) -> Mapping[str, Any]:
        if not reply.get("ETag"):
            raise nonsense(self._location.uri, "write", self._endpoint)
        return reply

    def _may_go_on(self, cause: BaseException | None) -> bool:
        """Whether to look again at what is there, after a call that had conditions."""
        if not isinstance(cause, aws.ClientError):
            return False
        code = code_of(cause)
        if code in _NO_CONDITIONS:
            self._conditional = False
            return True
        # What is to be replaced may have been removed.
        return code in _NOT_AS_SEEN or code == "NoSuchKey"

    def _conditions(self) -> dict[str, str]:
        """That the object in its place is as it is now; raises TaskError if it is a later one."""
        if self._claim is None:
            return {}
        head = self._look()
        if head is None:
            return {"IfNoneMatch": "*"} if self._conditional else {}
        if self._claim.is_superseded_by(head.get("Metadata", {}).get(_WRITER)):
            message = (
                f"cannot write {self._location.uri}: a later attempt of {self._claim.instance} "
                "has written it"
            )
            raise PermanentTaskError(message, error_id=ErrorId.ACTIVITY_FAILED)
        return {"IfMatch": head["ETag"]} if self._conditional and head.get("ETag") else {}

    def _look(self) -> Mapping[str, Any] | None:
        """What is there; None where nothing is, and an empty reply where that cannot be seen."""
        with problems(self._location.uri, "write", self._endpoint):
            try:
                return self._client.head_object(
                    Bucket=self._location.bucket, Key=self._location.key
                )
            except aws.ClientError as error:
                if code_of(error) in {"404", "NoSuchKey"}:
                    return None
                if code_of(error) in _MAY_NOT_LOOK:
                    return {}
                raise

    def found(self) -> Mapping[str, Any] | None:
        """The object that is there now, if it is of this very writing."""
        with suppress(aws.ClientError, aws.BotoCoreError):
            reply = self._client.head_object(Bucket=self._location.bucket, Key=self._location.key)
            if reply.get("Metadata", {}).get(_TOKEN) == self.token:
                return reply
        return None
