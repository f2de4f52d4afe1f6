"""One hand-out from acceptance to verdict: acknowledge, run, keep alive, end, ship logs, tell.

The verdict is last: it is journaled when the process has ended, and sent when the logs are safe.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace

from taskrunner.agent.forks.children import Child, Spawner
from taskrunner.agent.handouts.allowance import Allowance
from taskrunner.agent.handouts.deadlines import Deadlines, report_every
from taskrunner.agent.handouts.ending import End, cut_short, judge, read_result, why_end
from taskrunner.agent.handouts.host_deadline import HostDeadline
from taskrunner.agent.handouts.outbox import Outbox
from taskrunner.agent.handouts.reporter import Reporter
from taskrunner.agent.handouts.scratch import remove_scratch
from taskrunner.agent.ipc import verdicts
from taskrunner.agent.ipc.attempt_roles import ATTEMPT
from taskrunner.agent.ipc.job import Job
from taskrunner.agent.ipc.progress import LASTING, progress_of
from taskrunner.agent.ipc.verdicts import Exit
from taskrunner.agent.journal.journal import Entry
from taskrunner.agent.lifecycle import Threads
from taskrunner.agent.logs.janitor import Janitor
from taskrunner.agent.logs.logparts import PASSING, LogParts
from taskrunner.agent.logs.shipping import LogShipper
from taskrunner.agent.secrets.masking import Masker, secrets_of
from taskrunner.clock import Clock
from taskrunner.errors import ErrorId, TaskError
from taskrunner.host.cgroups import Groups
from taskrunner.host.process_start import process_start_id
from taskrunner.logs import get_logger
from taskrunner.model.task import Task
from taskrunner.tracing import Kind, Span, Tracing
from taskrunner.wire.api import Verdict
from taskrunner.wire.runner import RunnerApi

log = get_logger()

_SHIP_TRIES = 5
#: A slot that has no thread to report with takes no other task for so long.
_AFTER_NO_THREAD_S = 30.0
#: How long is waited for the end of a process that has nothing to do.
_DROPPED_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRules:
    """How attempts are kept and ended; seconds."""

    progress_interval_s: float = 60.0
    #: How long the service leaves a task with a runner that is silent.
    lease_s: float = 300.0
    kill_grace_s: float = 10.0
    #: How long any attempt may take; None: as long as its attemptTimeout lets it.
    longest_s: float | None = None
    allowance: Allowance = field(default_factory=Allowance)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptServices:
    """What every attempt works with."""

    api: RunnerApi
    spawner: Spawner
    shipper: LogShipper
    outbox: Outbox
    threads: Threads
    clock: Clock
    rules: AttemptRules
    #: No new work; an attempt that is not yet acknowledged is left alone.
    stopping: threading.Event
    #: Running work must end now.
    canceling: threading.Event
    #: How long the host still has.
    host_deadline: HostDeadline
    groups: Groups | None = None
    #: Pushes logs in parts while tasks run; None: only at the end.
    parts: LogParts | None = None
    #: Keeps this host's logs within bounds; None: they stay.
    janitor: Janitor | None = None
    #: Who is told of attempts, as spans.
    tracing: Tracing = field(default_factory=Tracing)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ready:
    """What runs the attempt, once it may begin."""

    child: Child
    limits: Deadlines


class Attempt:
    """One hand-out's supervisor; `run` takes as long as the attempt."""

    def __init__(self, task: Task, entry: Entry, services: AttemptServices) -> None:
        self._task = task
        self._entry = entry
        self._services = services
        self._wake = threading.Event()
        self._log = log.bind(pipeline_id=task.pipeline_id, attempt_id=task.attempt_id)
        self._reporter = Reporter(
            services.api,
            task.task_id,
            clock=services.clock,
            interval_s=report_every(
                task,
                usual_s=services.rules.progress_interval_s,
                lease_s=services.rules.lease_s,
                now=services.clock.now(),
            ),
            fields=lambda: progress_of(entry.files),
            wake=self._wake.set,
        )

    def wake(self) -> None:
        """Look again at once whether the attempt must end."""
        self._wake.set()

    def run(self) -> None:
        """See the hand-out through to its end."""
        tracing, task = self._services.tracing, self._task
        with tracing.span("attempt", Kind.CONSUMER, task_id=task.task_id) as span:
            span.note("taskrunner.pipeline_id", task.pipeline_id)
            span.note("taskrunner.attempt_id", task.attempt_id)
            span.note("taskrunner.type", task.type or None)
            self._run(span)

    def _run(self, span: Span) -> None:
        try:
            thread = self._start_reporting()
        except RuntimeError as error:
            # A task that forks and forks has used up what there is for all: nothing is promised.
            self._log.error("task left to others: no thread", error=str(error))
            self._entry.withdraw()
            span.error = "no thread"
            self._services.clock.wait(self._services.stopping, _AFTER_NO_THREAD_S)
            return
        with self._reporting(thread):
            # While the service answers, the attempt's process gets ready; nothing of it runs yet.
            ready = self._prepare()
            if not self._reporter.acknowledge(self._services.stopping):
                self._log.warning("task not begun", canceled=self._reporter.canceled)
                self._leave(ready)
                span.note("taskrunner.status", "not begun")
                return
            verdict = self._see_through(ready)
        _tell_verdict(span, verdict)
        if verdict is None:
            self._log.info("task given up", canceled=self._reporter.canceled)
            self._entry.close()
        else:
            self._services.outbox.deliver(self._entry)
        span.ended = self._services.clock.now()
        # Last, since it may take long: nobody reports any more, and the verdict is awaited.
        remove_scratch(self._entry.files, self._services.spawner, self._services.clock)

    def _see_through(self, ready: _Ready | Verdict) -> Verdict | None:
        with self._parts():
            verdict = ready if isinstance(ready, Verdict) else self._work(ready)
            if verdict is not None:
                self._entry.exited(verdict)
        if not self._services.canceling.is_set():
            # Short work was never asked how it goes; who fails soon has logs to look at.
            self._reporter.report_last(LASTING)
        if self._reporter.superseded:
            _may_go(self._entry, self._services, pushed=False)
        else:
            ship_logs(self._entry, self._services)
        return verdict

    def _parts(self) -> AbstractContextManager[None]:
        parts = self._services.parts
        return nullcontext() if parts is None else parts.follow(self._entry)

    def _start_reporting(self) -> threading.Thread:
        """Raises RuntimeError when there is no room for a thread."""
        name = f"progress-{threading.current_thread().name}"
        return self._services.threads.run(name, self._reporter.loop)

    @contextmanager
    def _reporting(self, thread: threading.Thread) -> Iterator[None]:
        try:
            yield
        finally:
            self._reporter.end()
            # A report may be under way to a service that hangs: who must go does not wait for it.
            thread.join(0.0 if self._services.canceling.is_set() else None)

    def _prepare(self) -> _Ready | Verdict:
        """Have a process get ready for the attempt, or say why it is not to be run."""
        services = self._services
        try:
            services.rules.allowance.check(self._task)
            limits = Deadlines.of(
                self._task,
                lease_s=services.rules.lease_s,
                now=services.clock.now(),
                longest_s=services.rules.longest_s,
            )
        except TaskError as error:
            # Nothing of it has run, but what is said of it may hold its secrets.
            refused = verdicts.from_exception(error, Masker(secrets_of(self._task, {})).text)
            self._log.warning("task refused", error=refused.error_message)
            return refused
        child = services.spawner.prepare(
            ATTEMPT,
            Job(task=self._task, files=self._entry.files, mark=self._entry.mark).encode(),
            kind=self._task.type,
            on_started=self._started,
            on_exit=self._wake.set,
        )
        return _Ready(child=child, limits=limits)

    def _let_go(self, child: Child) -> None:
        """End a process that is not to begin, and wait until it makes nothing any more."""
        clock = self._services.clock
        child.drop()
        until = clock.monotonic() + _DROPPED_WITHIN_S
        while child.exit is None and (left := until - clock.monotonic()) > 0:
            clock.wait(self._wake, left)
            self._wake.clear()

    def _leave(self, ready: _Ready | Verdict) -> None:
        """Leave no trace of a hand-out that is not begun."""
        services = self._services
        if not isinstance(ready, Verdict):
            self._let_go(ready.child)
            _may_go(self._entry, services, pushed=False)
            remove_scratch(self._entry.files, services.spawner, services.clock)
        self._entry.withdraw()

    def _work(self, ready: _Ready) -> Verdict | None:
        clock, child, limits = self._services.clock, ready.child, ready.limits
        started = clock.monotonic()
        if (end := self._reason(limits, started)) is not None:
            # A host that stood still since the acknowledgement may be too late: the next attempt
            # may have begun elsewhere.
            self._log.warning("task not begun", reason=end.name)
            self._let_go(child)
            return cut_short(end, limits)
        child.begin()
        self._log.info("task started", type=self._task.main.type)
        while child.exit is None:
            end = end or self._check(child, limits, started)
            clock.wait(self._wake, self._patience(limits, started))
            self._wake.clear()
        result = read_result(self._entry.files.result)
        verdict = judge(end, child.exit, result, limits)
        self._log_end(child.exit, end, verdict)
        return verdict

    def _reason(self, limits: Deadlines, started: float) -> End | None:
        now = self._services.clock.monotonic()
        return why_end(
            self._reporter,
            limits=limits,
            elapsed_s=now - started,
            now=now,
            canceling=self._services.canceling.is_set(),
        )

    def _check(self, child: Child, limits: Deadlines, started: float) -> End | None:
        end = self._reason(limits, started)
        if end is not None:
            self._log.warning("task is being ended", reason=end.name)
            grace_s = self._services.host_deadline.grace_s(self._services.rules.kill_grace_s)
            lost = end is End.LEASE_LOST
            child.end(min(grace_s, limits.lost_grace_s) if lost else grace_s)
        return end

    def _patience(self, limits: Deadlines, started: float) -> float:
        """Seconds until the next deadline; an event may wake the attempt earlier."""
        now = self._services.clock.monotonic()
        due = [self._reporter.answered_at + limits.silence_s]
        if limits.timeout_s is not None:
            due.append(started + limits.timeout_s)
        # Bounded below, since a reason that is already acted upon stays due.
        return max(min(due) - now, 0.25)

    def _started(self, pid: int) -> None:
        # Without a start id it has ended already, which is about to be told.
        if (start_id := process_start_id(pid)) is not None:
            self._entry.started(pid, start_id)

    def _log_end(self, ended: Exit, end: End | None, verdict: Verdict | None) -> None:
        self._log.info(
            "task ended",
            status=verdict.status if verdict else "none",
            error_id=verdict.error_id if verdict else None,
            reason=end.name if end else None,
            **{k: round(v, 2) for k, v in asdict(ended.usage).items() if v is not None},
        )


def _tell_verdict(span: Span, verdict: Verdict | None) -> None:
    """How it ended, never with what message: that may hold secrets."""
    span.note("taskrunner.status", verdict.status if verdict else "given up")
    if verdict is not None and verdict.status == "FAILED":
        span.error = verdict.error_id or "FAILED"


def ship_logs(entry: Entry, services: AttemptServices) -> None:
    """Push the logs; a passing failure is retried, any other is told in the verdict."""
    for number in range(1, _SHIP_TRIES + 1):
        try:
            services.shipper.ship(entry.files.uploads(), as_user=entry.files.logs_as)
        except TaskError as error:
            failure = error
        else:
            _drop_parts(entry, services)
            _may_go(entry, services, pushed=entry.files.log_uri is not None)
            entry.shipped()
            return
        last = number == _SHIP_TRIES or failure.error_id not in PASSING
        if last or services.clock.wait(services.canceling, 2.0**number / 2):
            break
    why = entry.files.why_not_pushed(failure)
    log.error("logs not shipped", attempt_id=entry.attempt_id, error=why)
    _tell_unshipped(entry, why)


def _may_go(entry: Entry, services: AttemptServices, *, pushed: bool) -> None:
    """Let the janitor remove these logs when the settings say so."""
    if services.janitor is not None:
        services.janitor.keep(entry.files.log_dir, pushed=pushed)


def _drop_parts(entry: Entry, services: AttemptServices) -> None:
    """Remove the parts that were pushed while the task ran: the whole log is in the store."""
    uris = [
        entry.files.part_uri(*part)
        for part in entry.parts
        # Of a log that its task began anew, the parts are all there is of what it had before.
        if part[0] not in entry.begun_anew
        and entry.files.size_of(part[0]) >= entry.pushed.get(part[0], 0)
    ]
    try:
        if uris:
            services.shipper.drop(uris, as_user=entry.files.logs_as)
    except TaskError as error:
        why = entry.files.why_not_pushed(error)
        log.warning("parts of logs stay", attempt_id=entry.attempt_id, error=why)


def _tell_unshipped(entry: Entry, why: str) -> None:
    verdict = entry.verdict
    if verdict is None:
        return
    if verdict.error_id is None:
        told = replace(verdict, error_id=ErrorId.LOGS_NOT_SHIPPED, error_message=why)
    else:
        told = replace(verdict, error_message=f"{verdict.error_message} ({why})")
    entry.exited(told)
