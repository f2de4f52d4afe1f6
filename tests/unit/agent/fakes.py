"""Stand-ins for what an agent works with: service, clock, fork server, task."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from taskrunner.agent.forks.children import Child, Children
from taskrunner.agent.ipc.verdicts import Exit
from taskrunner.agent.lifecycle import Threads
from taskrunner.model.document import Field, PipelineObject, Ref, Value
from taskrunner.model.task import Task
from taskrunner.wire.api import Verdict
from taskrunner.wire.runner import RunnerApi
from taskrunner.wire.runner_messages import (
    PollForTaskInput,
    PollForTaskOutput,
    ReportTaskProgressInput,
    ReportTaskProgressOutput,
    ReportTaskRunnerHeartbeatInput,
    ReportTaskRunnerHeartbeatOutput,
    SetTaskStatusInput,
    SetTaskStatusOutput,
)

T = TypeVar("T")

INSTANCE = "@Work_2026-02-13T02:00:00"
ATTEMPT_ID = f"{INSTANCE}_Attempt=1"


def make_object(
    object_id: str, fields: Mapping[str, Value | Sequence[Value]] | None = None
) -> PipelineObject:
    """An object; a sequence becomes a field of several values."""
    pairs = []
    for key, value in (fields or {}).items():
        several = [value] if isinstance(value, (str, Ref)) else value
        pairs += [Field(key, item) for item in several]
    return PipelineObject(id=object_id, name=object_id, fields=tuple(pairs))


def make_task(
    fields: Mapping[str, Value | Sequence[Value]] | None = None,
    *objects: PipelineObject,
    task_id: str = "task-1",
) -> Task:
    """A task of one ShellCommandActivity."""
    own = {
        "type": "ShellCommandActivity",
        "@componentParent": Ref("Work"),
        "@instanceParent": Ref(INSTANCE),
        **(fields or {}),
    }
    main = make_object(ATTEMPT_ID, own)
    return Task(
        task_id=task_id,
        pipeline_id="df-1",
        attempt_id=ATTEMPT_ID,
        objects={item.id: item for item in (main, *objects)},
    )


class FakeClock:
    """Time that passes only when somebody waits."""

    def __init__(self) -> None:
        self.elapsed = 0.0
        self.waits: list[float] = []
        #: Called before each wait returns: what happens meanwhile.
        self.meanwhile: Callable[[], None] = lambda: None

    def now(self) -> datetime:
        return datetime(2026, 2, 13, 2, tzinfo=UTC) + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        return self.elapsed

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        if not event.is_set():
            self.waits.append(timeout_s)
            self.elapsed += timeout_s
            self.meanwhile()
        return event.is_set()


class FakeApi(RunnerApi):
    """A service whose answers are scripted: a value, or an error to raise."""

    def __init__(self) -> None:
        super().__init__(self._answer, hurry=self._hurry)
        self.polls: list[Task | Exception | None] = []
        self.progress: list[bool | Exception] = []
        self.statuses: list[Exception | None] = []
        self.beats: list[bool | Exception] = []
        self.calls: list[tuple[str, object]] = []
        self.hurried = False

    def poll_for_task(self, *, worker_group: str, hostname: str) -> Task | None:
        self.calls.append(("poll", worker_group))
        return _given(self.polls, None)

    def _answer(self, request: Any) -> Any:
        """The same by the one call, for what watches it."""
        reply: object
        match request:
            case PollForTaskInput(worker_group=group):
                task = self.poll_for_task(worker_group=group, hostname=request.hostname or "")
                reply = PollForTaskOutput(task_object=task)
            case ReportTaskProgressInput(task_id=task_id, fields=fields):
                told = {item.key: str(item.value) for item in fields}
                reply = ReportTaskProgressOutput(canceled=self.report_task_progress(task_id, told))
            case SetTaskStatusInput(task_id=task_id):
                reply = SetTaskStatusOutput()
                self.set_task_status(
                    task_id,
                    Verdict(
                        status=request.task_status,
                        error_id=request.error_id,
                        error_message=request.error_message,
                        error_stack_trace=request.error_stack_trace,
                    ),
                )
            case ReportTaskRunnerHeartbeatInput(taskrunner_id=own, worker_group=group):
                asked = self.report_task_runner_heartbeat(
                    taskrunner_id=own, worker_group=group or "", hostname=request.hostname or ""
                )
                reply = ReportTaskRunnerHeartbeatOutput(terminate=asked)
            case _:
                raise AssertionError(request)
        return reply

    def _hurry(self) -> None:
        self.hurried = True

    def give_up_poll(self, worker_group: str) -> None:
        self.calls.append(("give up", worker_group))

    def report_task_progress(self, task_id: str, fields: Mapping[str, str]) -> bool:
        self.calls.append(("progress", dict(fields)))
        return _given(self.progress, False)

    def set_task_status(self, task_id: str, verdict: Verdict) -> None:
        self.calls.append(("status", verdict))
        _given(self.statuses, None)

    def report_task_runner_heartbeat(
        self, *, taskrunner_id: str, worker_group: str, hostname: str
    ) -> bool:
        self.calls.append(("beat", worker_group))
        return _given(self.beats, False)

    def named(self, name: str) -> list[object]:
        """What the calls of one kind were given."""
        return [given for called, given in self.calls if called == name]


class SlowApi(FakeApi):
    """A service whose answers are so many seconds on their way."""

    def __init__(self, clock: FakeClock, *seconds: float) -> None:
        super().__init__()
        self._clock, self._seconds = clock, [*seconds]

    def report_task_progress(self, task_id: str, fields: Mapping[str, str]) -> bool:
        self._clock.elapsed += self._seconds.pop(0)
        return super().report_task_progress(task_id, fields)


def _given(script: list[T | Exception], default: T) -> T:
    answer = script.pop(0) if script else default
    if isinstance(answer, Exception):
        raise answer
    return answer


class FakeSpawner(Children):
    """Starts nothing: a test decides how each child ends."""

    def __init__(self) -> None:
        self.spawned: list[tuple[str, bytes]] = []
        self.ends: list[float] = []
        self.children: list[Child] = []
        #: What was prepared and not begun, by the child's number.
        self.prepared: dict[int, tuple[str, bytes]] = {}
        #: What was prepared and let go.
        self.dropped: list[tuple[str, bytes]] = []
        #: Called with each new child, and with each child that is told to end.
        self.on_spawn: Callable[[Child], None] = lambda _child: None
        self.on_end: Callable[[Child], None] = lambda child: child.ended(Exit(status=9))

    def spawn(
        self,
        role: str,
        payload: bytes,
        *,
        on_started: Callable[[int], None] | None = None,
        on_exit: Callable[[], None],
        descriptor: int | None = None,
    ) -> Child:
        child = Child(len(self.children) + 1, self, on_exit)
        self.children.append(child)
        self.spawned.append((role, payload))
        self.on_spawn(child)
        return child

    def prepare(
        self,
        role: str,
        payload: bytes,
        *,
        kind: str,
        on_started: Callable[[int], None],
        on_exit: Callable[[], None],
    ) -> Child:
        child = Child(len(self.children) + 1, self, on_exit)
        self.children.append(child)
        self.prepared[child.id] = (role, payload)
        return child

    def end_orphans(self) -> None:
        """It has started none."""

    def send(
        self, head: Mapping[str, object], payload: bytes = b"", descriptor: int | None = None
    ) -> None:
        child = self.children[int(str(head["id"])) - 1]
        if head["op"] == "begin":
            self.spawned.append(self.prepared.pop(child.id))
            self.on_spawn(child)
            return
        if head["op"] == "drop":
            self.dropped.append(self.prepared.pop(child.id))
            child.ended(Exit(status=0))
            return
        grace = head["grace_s"]
        assert isinstance(grace, float)
        self.ends.append(grace)
        self.on_end(child)


class FakeShipper:
    """Takes logs, or raises what it was given."""

    def __init__(self) -> None:
        self.failures: list[Exception] = []
        self.shipped: list[Sequence[tuple[Path, str]]] = []
        self.dropped: list[str] = []

    def ship(self, uploads: Sequence[tuple[Path, str]], *, as_user: str | None = None) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.shipped.append(uploads)

    def drop(self, uris: Sequence[str], *, as_user: str | None = None) -> None:
        self.dropped += uris


class ThreadsInTurn(Threads):
    """What runs in the background is done before the next thing."""

    def run(self, name: str, work: Callable[[], None]) -> threading.Thread:
        work()
        return threading.current_thread()
