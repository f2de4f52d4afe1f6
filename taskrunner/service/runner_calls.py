"""What the edge learns of runners by their calls, those that it refuses included."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Protocol

from taskrunner.errors import InternalService, ServiceFault
from taskrunner.service.auth import Permit
from taskrunner.service.callers import Caller
from taskrunner.service.engine import Service
from taskrunner.service.handler import Handler
from taskrunner.service.poll_calls import POLL, OnHold
from taskrunner.service.roster import RunnerCall
from taskrunner.service.runner_operations import Keep
from taskrunner.service.store.rows import RefusedPollRow
from taskrunner.wire.codec import decode_input
from taskrunner.wire.http import HttpRequest
from taskrunner.wire.runner_messages import PollForTaskInput
from taskrunner.wire.sigv4 import claimed_key
from taskrunner.wire.user_agent import DOCTOR, RunnerFacts, read_user_agent

#: Operations that only runners call.
OF_RUNNERS = frozenset({POLL, "ReportTaskProgress", "ReportTaskRunnerHeartbeat", "SetTaskStatus"})
_MOST_TEXT = 500


class Sender:
    """Who makes one call, as far as it is known by now."""

    def __init__(self, headers: Mapping[str, str], ip: str) -> None:
        self.headers = headers
        self.ip = ip
        #: All of it, and whose it is, once that is known.
        self.request: HttpRequest | None = None
        self.permit: Permit | None = None

    @property
    def facts(self) -> RunnerFacts | None:
        """What the caller says of itself."""
        return read_user_agent(self.headers.get("user-agent", ""))

    def runner_id(self, message: PollForTaskInput) -> str | None:
        """By what the sender of a poll is known: as the roster has it."""
        return (self.facts and self.facts.runner_id) or message.hostname or self.ip or None

    @property
    def is_poll(self) -> bool:
        """Whether it asks for work."""
        return self.headers.get("x-amz-target", "").endswith(f".{POLL}")


class Noted(Protocol):
    """Takes note of runners: a `roster.Roster`."""

    def polled(self, call: RunnerCall, worker_group: str, hostname: str | None) -> None:
        """A runner asks for the work of a group, or has been answered just now."""
        ...

    def worked(self, call: RunnerCall) -> None:
        """A runner reports on a task."""
        ...

    def refused(self, row: RefusedPollRow) -> None:
        """A poll was refused."""
        ...


def unless_ordered(handler: Handler, runner_id: str | None) -> Handler:
    """PollForTask's handler, for a runner that an operator may have told to take no work."""

    def claim(service: Service, caller: Caller, message: PollForTaskInput, *keep: Keep) -> object:
        if runner_id is not None and service.orders.takes_no_work(caller.account, runner_id):
            raise OnHold
        return handler(service, caller, message, *keep)

    return claim


class RunnerCalls:
    """Tells a roster of calls."""

    def __init__(self, roster: Noted, now: Callable[[], datetime]) -> None:
        self._roster = roster
        self._now = now

    def polled(self, call: Sender, message: PollForTaskInput) -> None:
        """A poll begins, or has been answered."""
        if (runner := _runner(call)) is not None:
            self._roster.polled(runner, message.worker_group, message.hostname)

    def worked(self, call: Sender, operation: str) -> None:
        """A call was carried out."""
        if operation in OF_RUNNERS and (runner := _runner(call)) is not None:
            self._roster.worked(runner)

    def refused(self, call: Sender, fault: ServiceFault) -> None:
        """A call is answered with a fault."""
        facts = call.facts
        if not call.is_poll or isinstance(fault, InternalService):
            return
        if facts is not None and facts.program == DOCTOR:
            return
        message = _message(call)
        groups = (message.worker_group,) if message else (facts.groups if facts else ())
        for group in groups or ("",):
            self._roster.refused(
                RefusedPollRow(
                    ip=call.ip,
                    worker_group=group,
                    code=fault.code,
                    message=str(fault)[:_MOST_TEXT],
                    last_at=self._now(),
                    account=call.permit.caller.account if call.permit else None,
                    key_id=claimed_key(call.headers),
                    hostname=message.hostname if message else None,
                )
            )


def _runner(call: Sender) -> RunnerCall | None:
    if call.permit is None:
        return None
    return RunnerCall(caller=call.permit.caller, ip=call.ip, facts=call.facts)


def _message(call: Sender) -> PollForTaskInput | None:
    """What a poll asks for, if it is known to be from whoever signed it."""
    if call.permit is None or call.request is None:
        return None
    with suppress(ServiceFault):
        found = decode_input(POLL, call.request.body)
        return found if isinstance(found, PollForTaskInput) else None
    return None
