"""The agent's client: one call is one request, one deadline and one classified outcome.

Nothing is retried here (`retrying` does that), and whatever comes back is taken for untrusted.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from email.utils import parsedate_to_datetime

from taskrunner.clock import Clock
from taskrunner.errors import (
    CallGivenUp,
    CallRefused,
    NotAuthorized,
    ServiceUnreachable,
    UnknownTask,
    WireError,
)
from taskrunner.wire.api import R, Request
from taskrunner.wire.budgets import budget_of
from taskrunner.wire.codec import (
    CONTENT_TYPE,
    TARGET_PREFIX,
    decode_output,
    encode_input,
    parse_json,
)
from taskrunner.wire.decoding import Malformed
from taskrunner.wire.endpoint import Endpoint
from taskrunner.wire.http import GivenUp, HttpReply, HttpRequest, Transport, TransportError
from taskrunner.wire.runner_messages import PollForTaskOutput
from taskrunner.wire.signing import Signer
from taskrunner.wire.task_size import excess
from taskrunner.wire.user_agent import Introduction

#: Codes that mean "later": the same call may succeed.
THROTTLED = frozenset(
    {
        "LimitExceededException",
        "PriorRequestNotComplete",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
#: Codes about who calls, not about what is asked.
AUTHORIZATION = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "NotAuthorized",
        "OptInRequired",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "SubscriptionRequiredException",
        "UnauthorizedOperation",
        "UnrecognizedClientException",
    }
)
#: Codes that mean that the hand-out named by a task id is no longer the caller's.
GONE = frozenset({"PipelineDeletedException", "PipelineNotFoundException", "TaskNotFoundException"})
#: Codes that a wrong clock may have brought, where the service's shows that ours is wrong.
_ABOUT_THE_TIME = frozenset(
    {"InvalidSignatureException", "RequestExpired", "SignatureDoesNotMatch"}
)
_NAMES_A_TASK = frozenset({"ReportTaskProgress", "SetTaskStatus"})

_MAX_SKEW = timedelta(minutes=4)
_MOST_QUOTED = 500
#: Longer than any code of AWS's.
_MOST_CODE = 100
#: What ends a line, controls a terminal, turns text around, or cannot be written at all.
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")


class Client:
    """Typed calls of the API to one endpoint; safe for threads."""

    def __init__(
        self,
        endpoint: Endpoint,
        transport: Transport,
        *,
        signer: Signer | None,
        clock: Clock,
        give_up: Callable[[int], None] = lambda _thread: None,
        introduction: Introduction | None = None,
    ) -> None:
        """Without a signer, calls are refused unless the endpoint is this machine.

        `give_up` has the call that a thread is in raise CallGivenUp.
        """
        self.endpoint = endpoint
        #: What each call says of who makes it.
        self.introduction = introduction or Introduction()
        self.give_up = give_up
        self._transport = transport
        self._signer = signer
        self._clock = clock

    def call(self, request: Request[R], *, deadline_s: float | None = None) -> R:
        """The typed reply to a typed request (`CreatePipelineInput` -> `CreatePipelineOutput`).

        Without a deadline it has its budget's. Raises ServiceUnreachable, NotAuthorized,
        UnknownTask or another CallRefused.
        """
        operation, body = encode_input(request)
        if deadline_s is None:
            deadline_s = budget_of(operation).deadline_s
        message = unsigned(self.endpoint, operation, body, user_agent=self.introduction.header())
        reply = self.send(operation, message, deadline_s)
        if reply.status != 200:
            raise classify(operation, self.endpoint, reply, skew=self._skew(reply))
        try:
            answer: R = decode_output(operation, reply.body)
        except Malformed as error:
            raise _nonsense(operation, self.endpoint, reply, str(error)) from None
        task = answer.task_object if isinstance(answer, PollForTaskOutput) else None
        if task is not None and (problem := excess(task)):
            # As with any other reply that is none: said once, asked again after a while.
            said = f"the service at {self.endpoint} sent a task that is not taken: {problem}"
            raise ServiceUnreachable(said)
        return answer

    def send(self, operation: str, message: HttpRequest, deadline_s: float) -> HttpReply:
        """The reply, whatever it says, to a message that is signed here.

        Raises ServiceUnreachable when there is none, NotAuthorized without credentials.
        """
        try:
            return self._transport.send(self._signed(message), deadline_s=deadline_s)
        except GivenUp as error:
            raise CallGivenUp(f"{operation} was given up") from error
        except TransportError as error:
            raise ServiceUnreachable(
                f"the service at {self.endpoint} did not answer {operation}: {error}"
            ) from error

    def _signed(self, message: HttpRequest) -> HttpRequest:
        if self._signer is not None:
            headers = self._signer.sign(message)
            return replace(message, headers=headers)
        if not self.endpoint.loopback:
            raise NotAuthorized(
                f"no AWS credentials were found to sign calls to {self.endpoint}: set "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or an instance role",
                code="NoCredentials",
            )
        return message

    def _skew(self, reply: HttpReply) -> timedelta | None:
        """How far the service's clock is ahead of ours, if by more than signatures bear."""
        try:
            theirs = parsedate_to_datetime(reply.headers["date"])
            skew = theirs - self._clock.now()
        except (KeyError, ValueError, TypeError):
            return None
        return skew if abs(skew) > _MAX_SKEW else None


def unsigned(endpoint: Endpoint, operation: str, body: bytes, *, user_agent: str) -> HttpRequest:
    """The request of an operation, as it is before it is signed."""
    headers = {
        "host": endpoint.authority,
        "content-type": CONTENT_TYPE,
        "x-amz-target": f"{TARGET_PREFIX}.{operation}",
        "user-agent": user_agent,
    }
    return HttpRequest(path=endpoint.path, headers=headers, body=body)


def classify(
    operation: str, endpoint: Endpoint, reply: HttpReply, *, skew: timedelta | None = None
) -> WireError:
    """The error that a reply other than 200 stands for, by its status and code alone."""
    code, text = _code_and_message(reply)
    said = f"the service at {endpoint} answered {operation} with {code or reply.status}"
    if reply.status >= 500 or reply.status in {408, 429} or code in THROTTLED:
        return ServiceUnreachable(f"{said}: {text}" if text else said)
    if code is None:
        return _nonsense(operation, endpoint, reply, "no error code of AWS's")
    if code in GONE:
        # A poll names no task: there is nothing to drop, and the next one may be answered.
        kind = UnknownTask if operation in _NAMES_A_TASK else CallRefused
        return kind(f"{said}: {text}", code=code)
    if code in AUTHORIZATION:
        if skew is not None and code in _ABOUT_THE_TIME:
            # A clock is set right by itself, mostly soon after a boot; credentials are not.
            return ServiceUnreachable(f"{said}: {text}{_clock_hint(skew)}")
        return NotAuthorized(f"{said}: {text}", code=code)
    return CallRefused(f"{said}: {text}", code=code)


def _clock_hint(skew: timedelta | None) -> str:
    if skew is None:
        return ""
    minutes = abs(skew) / timedelta(minutes=1)
    direction = "behind" if skew > timedelta(0) else "ahead of"
    return f" (this host's clock is {minutes:.0f} min {direction} the service's: set it right)"


def _code_and_message(reply: HttpReply) -> tuple[str | None, str]:
    """The code, without namespace or address, and the message of an error's body."""
    try:
        body = parse_json(reply.body)
    except Malformed:
        return None, ""
    if not isinstance(body, dict):
        return None, ""
    code = body.get("__type") or body.get("code") or reply.headers.get("x-amzn-errortype")
    text = body.get("message") or body.get("Message") or ""
    if not isinstance(code, str):
        return None, _quoted(text)
    return _quoted(code.partition(":")[0].rpartition("#")[2], _MOST_CODE), _quoted(text)


def _quoted(text: object, most: int = _MOST_QUOTED) -> str:
    """Somebody else's words, fit for a line of ours."""
    if not isinstance(text, str):
        return ""
    return _UNFIT.sub(" ", text[: 2 * most])[:most].strip()


def _nonsense(
    operation: str, endpoint: Endpoint, reply: HttpReply, problem: str
) -> ServiceUnreachable:
    kind = _quoted(reply.headers.get("content-type", "no content type"))
    return ServiceUnreachable(
        f"{endpoint} did not answer {operation} as AWS Data Pipeline does "
        f"(HTTP {reply.status}, {kind}): {_quoted(problem)}"
    )
