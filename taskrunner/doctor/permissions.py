"""Whether the credentials may make each call of a runner, asked so that nothing changes.

The heartbeat is a heartbeat. Progress and a verdict are reported for a task that never was: the
service must say so, and not that it is forbidden. The poll is for a worker group that nobody
has, so that no task can come of it; with `poll` it is for the real ones too.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

from taskrunner.doctor.case import Case, Finding, failed, passed, warned
from taskrunner.doctor.service import Way, heartbeat
from taskrunner.errors import CallRefused, NotAuthorized, ServiceUnreachable, WireError
from taskrunner.wire.api import Verdict
from taskrunner.wire.runner import RunnerApi
from taskrunner.wire.runner_messages import PollForTaskInput

#: A refusal comes at once; a poll that is held for so long is allowed.
_HELD_S = 3.0


def check_permissions(case: Case, way: Way) -> Iterator[Finding]:
    """One finding for each call."""
    runner = RunnerApi(way.client.call)
    nobody = f"taskrunner-doctor-{uuid.uuid4().hex}"
    calls: dict[str, Callable[[], object]] = {
        "ReportTaskRunnerHeartbeat": lambda: heartbeat(case, way),
        "ReportTaskProgress": lambda: runner.report_task_progress(nobody, {}),
        "SetTaskStatus": lambda: runner.set_task_status(nobody, Verdict(status="FAILED")),
    }
    for operation, call in calls.items():
        yield _try(operation, call)
    yield _poll_nobody(case, way, nobody)
    if case.poll:
        for name in case.settings.worker_group:
            yield _poll(case, way, name)


def _try(operation: str, call: Callable[[], object]) -> Finding:
    try:
        call()
    except NotAuthorized as error:
        return _forbidden(operation, error)
    except CallRefused as error:
        return passed(operation, f"allowed (a made-up task was refused with {error.code})")
    except ServiceUnreachable as error:
        return failed(operation, str(error), "try again; if it stays, look at the service's log")
    return passed(operation, "allowed")


def _forbidden(operation: str, error: NotAuthorized, hint: str = "") -> Finding:
    if _FOR_THE_GROUP in str(error):
        return failed(operation, str(error), _CORRECT_GROUP)
    remedy = (
        f"allow datapipeline:{operation} to these credentials: in their IAM policy, or with "
        "`taskrunner serve` by the role and worker_groups of their key"
    )
    return failed(operation, str(error), remedy + hint)


_BOUND = (
    "; if the policy is bound to worker groups (datapipeline:workerGroup), this refusal of a "
    "made-up group is right: ask for the real ones with --poll"
)
#: What our own service says of a key that is bound to worker groups; AWS does not say it.
_FOR_THE_GROUP = "for the worker group"
_CORRECT_GROUP = (
    "correct worker_group, whose letters and case count, or add it to the worker_groups of this key"
)
_ASK = "none: the key is bound to worker groups, and this one is made up; --poll asks for the real"


def _poll_nobody(case: Case, way: Way, nobody: str) -> Finding:
    started = case.clock.monotonic()
    try:
        way.client.call(
            PollForTaskInput(worker_group=nobody, hostname=case.hostname), deadline_s=_HELD_S
        )
    except NotAuthorized as error:
        return _refused_for_nobody(case, error)
    except WireError as error:
        if isinstance(error, CallRefused):
            return passed("PollForTask", f"allowed (a made-up group was refused: {error.code})")
        if case.clock.monotonic() - started < _HELD_S - 0.5:
            return failed("PollForTask", str(error), "try again; look at the service's log")
        return passed("PollForTask", "allowed: held open, for a worker group that nobody has")
    return passed("PollForTask", "allowed: answered, for a worker group that nobody has")


def _refused_for_nobody(case: Case, error: NotAuthorized) -> Finding:
    if answered := _answered_groups(case):
        found = f"allowed for {', '.join(answered)}: the running agent's polls are answered"
        return passed("PollForTask", found)
    if _FOR_THE_GROUP in str(error):
        return warned("PollForTask", f"not known for the real groups: {error}", _ASK)
    return _forbidden("PollForTask", error, _BOUND)


def _answered_groups(case: Case) -> list[str]:
    """The worker groups whose polls the agent of this host has answered."""
    polls = case.agent["polls"] if case.agent else {}
    return [group for group, poll in polls.items() if poll["outcome"] in {"task", "empty"}]


def _poll(case: Case, way: Way, group: str) -> Finding:
    name = f"PollForTask {group}"
    request = PollForTaskInput(worker_group=group, hostname=case.hostname)
    try:
        reply = way.client.call(request)
    except NotAuthorized as error:
        return _forbidden("PollForTask", error)
    except WireError as error:
        return failed(name, str(error), "try again; if it stays, look at the service's log")
    if reply.task_object is None:
        return passed(name, "allowed; there was no task")
    attempt = reply.task_object.attempt_id
    return warned(
        name,
        f"allowed; {attempt} was offered and not acknowledged",
        "none: the service offers it to an agent again within 2 minutes",
    )
