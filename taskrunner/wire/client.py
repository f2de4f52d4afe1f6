"""The agent's client: one call is one request, one deadline and one classified outcome.

Nothing is retried here (`retrying` does that), and whatever comes back is taken for untrusted.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any, cast

from taskrunner.clock import Clock
from taskrunner.errors import (
    CallGivenUp,
    CallRefused,
    NotAuthorized,
    ServiceUnreachable,
    UnknownTask,
    WireError,
)
from taskrunner.model.document import Field
from taskrunner.model.task import Task
from taskrunner.wire.api import InstanceIdentity, Verdict
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
from taskrunner.wire.inputs import (
    PollForTaskInput,
    ReportTaskProgressInput,
    ReportTaskRunnerHeartbeatInput,
    SetTaskStatusInput,
)
from taskrunner.wire.outputs import (
    PollForTaskOutput,
    ReportTaskProgressOutput,
    ReportTaskRunnerHeartbeatOutput,
)
from taskrunner.wire.shapes import service_model
from taskrunner.wire.signing import Signer
from taskrunner.wire.task_size import excess

#: The service holds a poll for up to 90 s; ten more for the way there and back.
POLL_DEADLINE_S = 100.0
CALL_DEADLINE_S = 30.0
#: Three tries of a report fit between two reports, which are a minute apart.
REPORT_DEADLINE_S = 15.0

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
    ) -> None:
        """Without a signer, calls are refused unless the endpoint is this machine.

        `give_up` has the call that a thread is in raise CallGivenUp.
        """
        self.endpoint = endpoint
        self.give_up = give_up
        self._transport = transport
        self._signer = signer
        self._clock = clock

    def call(self, request: object, *, deadline_s: float = CALL_DEADLINE_S) -> Any:
        """The typed reply to a typed request (`CreatePipelineInput` -> `CreatePipelineOutput`).

        Raises ServiceUnreachable, NotAuthorized, UnknownTask or another CallRefused.
        """
        operation, body = encode_input(request)
        message = HttpRequest(
            path=self.endpoint.path,
            headers={
                "host": self.endpoint.authority,
                "content-type": CONTENT_TYPE,
                "x-amz-target": f"{TARGET_PREFIX}.{operation}",
                "user-agent": "taskrunner",
            },
            body=body,
        )
        reply = self._send(operation, message, deadline_s)
        if reply.status != 200:
            raise classify(operation, self.endpoint, reply, skew=self._skew(reply))
        try:
            return decode_output(operation, reply.body)
        except Malformed as error:
            raise _nonsense(operation, self.endpoint, reply, str(error)) from None

    def _send(self, operation: str, message: HttpRequest, deadline_s: float) -> HttpReply:
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
            return HttpRequest(path=message.path, headers=headers, body=message.body)
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
    return code.partition(":")[0].rpartition("#")[2], _quoted(text)


def _quoted(text: object) -> str:
    """Somebody else's words, fit for a line of ours."""
    if not isinstance(text, str):
        return ""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", text)[:_MOST_QUOTED].strip()


def _nonsense(
    operation: str, endpoint: Endpoint, reply: HttpReply, problem: str
) -> ServiceUnreachable:
    kind = _quoted(reply.headers.get("content-type", "no content type"))
    return ServiceUnreachable(
        f"{endpoint} did not answer {operation} as AWS Data Pipeline does "
        f"(HTTP {reply.status}, {kind}): {_quoted(problem)}"
    )


class RunnerClient:
    """The calls of a task runner; see `wire.api.RunnerApi`."""

    def __init__(
        self, client: Client, identity: Callable[[], InstanceIdentity | None] = lambda: None
    ) -> None:
        """`identity` says at each poll which EC2 instance asks, as far as that is known by then."""
        self._client = client
        self._identity = identity
        #: By worker group, the thread that polls for it.
        self._polling: dict[str, int] = {}

    def poll_for_task(self, *, worker_group: str, hostname: str) -> Task | None:
        """Wait up to 90 s for a task; None when there was none. Never retried by itself."""
        request = PollForTaskInput(
            worker_group=worker_group,
            hostname=fitted(hostname, "id") or None,
            instance_identity=self._identity(),
        )
        self._polling[worker_group] = threading.get_ident()
        try:
            answer = self._client.call(request, deadline_s=POLL_DEADLINE_S)
        finally:
            self._polling.pop(worker_group, None)
        reply = cast(PollForTaskOutput, answer)
        if reply.task_object is not None and (problem := excess(reply.task_object)):
            # As with any other reply that is none: said once, asked again after a while.
            said = (
                f"the service at {self._client.endpoint} sent a task that is not taken: {problem}"
            )
            raise ServiceUnreachable(said)
        return reply.task_object

    def hurry(self) -> None:
        """Every call is one try here."""

    def give_up_poll(self, worker_group: str) -> None:
        """Have the group's outstanding poll, if there is one, raise CallGivenUp."""
        thread = self._polling.get(worker_group)
        if thread is not None:
            self._client.give_up(thread)

    def report_task_progress(self, task_id: str, fields: Mapping[str, str]) -> bool:
        """Acknowledge or keep a task; true when it is canceled. Raises UnknownTask."""
        request = ReportTaskProgressInput(
            task_id=task_id,
            fields=tuple(
                Field(fitted(key, "fieldNameString"), fitted(value, "fieldStringValue"))
                for key, value in fields.items()
            ),
        )
        reply = self._client.call(request, deadline_s=REPORT_DEADLINE_S)
        return cast(ReportTaskProgressOutput, reply).canceled

    def set_task_status(self, task_id: str, verdict: Verdict) -> None:
        """Report the end of a task. Raises UnknownTask when it is superseded."""
        self._client.call(
            SetTaskStatusInput(
                task_id=task_id,
                task_status=verdict.status,
                error_id=_optional(verdict.error_id, "string"),
                # The model has no bound; as a field of the attempt it has this one.
                error_message=_optional(verdict.error_message, "fieldStringValue"),
                error_stack_trace=_optional(verdict.error_stack_trace, "string"),
            )
        )

    def report_task_runner_heartbeat(
        self, *, taskrunner_id: str, worker_group: str, hostname: str
    ) -> bool:
        """Say that the runner lives; true when it is asked to terminate."""
        request = ReportTaskRunnerHeartbeatInput(
            taskrunner_id=taskrunner_id,
            worker_group=worker_group,
            hostname=fitted(hostname, "id") or None,
        )
        reply = self._client.call(request, deadline_s=REPORT_DEADLINE_S)
        return cast(ReportTaskRunnerHeartbeatOutput, reply).terminate


def _optional(text: str | None, shape_name: str) -> str | None:
    return None if text is None else fitted(text, shape_name)


_NOT_ALLOWED = re.compile("[^ -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff\r\n\t]")
_CUT = "\n...\n"


def fitted(text: str, shape_name: str) -> str:
    """The text within the bounds of a string shape, so that a verdict is never refused for form.

    Characters that the API does not take are replaced, and a middle that is too much is cut out:
    what went wrong stands at the start of a message and at the end of a trace.
    """
    text = _NOT_ALLOWED.sub("\ufffd", text)
    most = service_model().shapes[shape_name].maximum
    if most is None or len(text) <= most:
        return text
    head = (most - len(_CUT)) // 2
    return text[:head] + _CUT + text[len(text) - (most - len(_CUT) - head) :]
