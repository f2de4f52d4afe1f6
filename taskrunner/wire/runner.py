"""The four operations that a task runner needs, as methods over one call."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from functools import cache

from taskrunner.model.document import Field
from taskrunner.model.task import Task
from taskrunner.wire.api import Call, InstanceIdentity, Verdict
from taskrunner.wire.runner_messages import (
    PollForTaskInput,
    ReportTaskProgressInput,
    ReportTaskRunnerHeartbeatInput,
    SetTaskStatusInput,
)
from taskrunner.wire.shapes import service_model
from taskrunner.wire.user_agent import Introduction


class RunnerApi:
    """Calls of a runner; each raises what the call does. Texts are made to fit the API."""

    def __init__(
        self,
        call: Call,
        *,
        give_up: Callable[[int], None] = lambda _thread: None,
        hurry: Callable[[], None] = lambda: None,
        identity: Callable[[], InstanceIdentity | None] = lambda: None,
        introduction: Introduction | None = None,
    ) -> None:
        """`give_up` has the call that a thread is in raise CallGivenUp.

        `identity` says at each poll which EC2 instance asks, as far as that is known by then.
        """
        self.call = call
        #: What each call says of the runner.
        self.introduction = introduction or Introduction()
        #: From now on no call is tried a second time: the agent must go.
        self.hurry = hurry
        self._give_up = give_up
        self._identity = identity
        #: By worker group, the thread that polls for it.
        self._polling: dict[str, int] = {}

    def over(self, call: Call) -> RunnerApi:
        """The same by another call, such as one that watches this one's."""
        return RunnerApi(
            call,
            give_up=self._give_up,
            hurry=self.hurry,
            identity=self._identity,
            introduction=self.introduction,
        )

    def poll_for_task(self, *, worker_group: str, hostname: str) -> Task | None:
        """Wait up to 90 s for a task; None when there was none.

        A worker group has one poll at a time. Raises CallGivenUp when it is given up meanwhile.
        """
        request = PollForTaskInput(
            worker_group=worker_group,
            hostname=fitted(hostname, "id") or None,
            instance_identity=self._identity(),
        )
        self._polling[worker_group] = threading.get_ident()
        try:
            return self.call(request).task_object
        finally:
            self._polling.pop(worker_group, None)

    def give_up_poll(self, worker_group: str) -> None:
        """Have the group's outstanding poll, if there is one, raise CallGivenUp; any thread's."""
        thread = self._polling.get(worker_group)
        if thread is not None:
            self._give_up(thread)

    def report_task_progress(self, task_id: str, fields: Mapping[str, str]) -> bool:
        """Acknowledge or keep a task; true when it is canceled. Raises UnknownTask."""
        sent = tuple(
            Field(fitted(key, "fieldNameString"), fitted(value, "fieldStringValue"))
            for key, value in fields.items()
        )
        return self.call(ReportTaskProgressInput(task_id=task_id, fields=sent)).canceled

    def set_task_status(self, task_id: str, verdict: Verdict) -> None:
        """Report the end of a task. Raises UnknownTask when it is superseded."""
        request = SetTaskStatusInput(
            task_id=task_id,
            task_status=verdict.status,
            error_id=_optional(verdict.error_id, "string"),
            # The model has no bound; as a field of the attempt it has this one.
            error_message=_optional(verdict.error_message, "fieldStringValue"),
            error_stack_trace=_optional(verdict.error_stack_trace, "string"),
        )
        self.call(request)

    def report_task_runner_heartbeat(
        self, *, taskrunner_id: str, worker_group: str, hostname: str
    ) -> bool:
        """Say that the runner lives; true when it is asked to terminate."""
        request = ReportTaskRunnerHeartbeatInput(
            taskrunner_id=taskrunner_id,
            worker_group=worker_group,
            hostname=fitted(hostname, "id") or None,
        )
        return self.call(request).terminate


def _optional(text: str | None, shape_name: str) -> str | None:
    return None if text is None else fitted(text, shape_name)


@cache
def _not_allowed() -> re.Pattern[str]:
    # So many ranges take 5 ms, which an agent's first poll need not wait for.
    return re.compile("[^ -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff\r\n\t]")


_CUT = "\n...\n"


def fitted(text: str, shape_name: str) -> str:
    """The text within the bounds of a string shape, so that a verdict is never refused for form.

    Characters that the API does not take are replaced, and a middle that is too much is cut out:
    what went wrong stands at the start of a message and at the end of a trace.
    """
    if not (text.isascii() and text.isprintable()):
        text = _not_allowed().sub("\ufffd", text)
    most = service_model().shapes[shape_name].maximum
    if most is None or len(text) <= most:
        return text
    head = (most - len(_CUT)) // 2
    return text[:head] + _CUT + text[len(text) - (most - len(_CUT) - head) :]
