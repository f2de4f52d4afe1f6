"""The agent: its parts put together, and the loop that decides when it ends.

Shutting down has one order: no more polls; running tasks finish, or are ended at the drain's
deadline; their logs and verdicts go out; heartbeats stop with the process.
"""

from __future__ import annotations

import os
import queue
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from taskrunner import __version__
from taskrunner.agent.agent_settings import FLUSH_S, AgentSettings
from taskrunner.agent.forks.children import Children
from taskrunner.agent.handouts.attempt import Attempt
from taskrunner.agent.handouts.recovery import recover
from taskrunner.agent.ipc.names import AttemptFiles
from taskrunner.agent.journal.journal import Journal
from taskrunner.agent.lifecycle import (
    AttemptEnded,
    CancelAsked,
    ExitCode,
    Heard,
    HostEnding,
    LoopEnded,
    Mailbox,
    Message,
    Phase,
    SignalArrived,
    StopAsked,
    TakeNoMore,
    Threads,
    listen,
    longest_nap_s,
)
from taskrunner.agent.logs.janitor import Retention
from taskrunner.agent.operations.announcer import Announcer
from taskrunner.agent.operations.operations import Handles
from taskrunner.agent.operations.status import Facts
from taskrunner.agent.parts import Hooks, make_parts
from taskrunner.agent.polling.gate import HOST
from taskrunner.clock import Clock
from taskrunner.config.settings import Settings
from taskrunner.errors import NotAuthorized
from taskrunner.host.systemd import Notifier
from taskrunner.logs import get_logger
from taskrunner.model.task import Task
from taskrunner.wire.runner import RunnerApi

log = get_logger()

#: A slot that could not write to the journal takes no other task for so long.
_AFTER_NO_JOURNAL_S = 30.0

#: What each signal asks for; a second stop is a cancel.
SIGNALS: Mapping[signal.Signals, str] = {
    signal.SIGTERM: "stop",
    signal.SIGINT: "stop",
    signal.SIGQUIT: "cancel",
    signal.SIGUSR1: "pause",
    signal.SIGHUP: "reload",
}

#: Reads the settings anew and says which are in force now; None when they are wrong.
Reload = Callable[[], Settings | None]

#: A loop that tells what becomes of the host, until the agent closes.
Notices = Callable[[Callable[[Message], None], threading.Event], None]


class Agent:
    """One agent process."""

    def __init__(
        self,
        settings: AgentSettings,
        *,
        api: RunnerApi,
        children: Children,
        journal: Journal,
        clock: Clock,
        notifier: Notifier,
        notices: Notices | None = None,
        reload: Reload | None = None,
    ) -> None:
        """`reload` reads the settings anew; without it SIGHUP changes nothing."""
        self._settings = settings
        self._children = children
        self._journal = journal
        self._clock = clock
        self._notifier = notifier
        self._notices = notices
        self._reload = reload
        self._mailbox: Mailbox = queue.SimpleQueue()
        self._threads = Threads(self._mailbox)
        self._closing = threading.Event()
        self._running: dict[str, Attempt] = {}
        #: The slots (by thread) that have a task, from before they look whether the agent stops.
        self._taking: set[int] = set()
        self._exit_code = ExitCode.OK
        self._drain_until = float("inf")
        self._flush_s = FLUSH_S
        self._announcer = Announcer(notifier, clock, settings.config.worker_group)
        self._may_not: NotAuthorized | None = None
        self.phase = Phase.RUNNING
        self._parts = parts = make_parts(
            settings,
            self._hooks(),
            api=api,
            children=children,
            threads=self._threads,
            clock=clock,
        )
        self._operations, self._services = parts.operations, parts.services
        self._poller, self._heartbeat, self._care = parts.poller, parts.heartbeat, parts.care
        self._signal_handlers = self._make_signal_handlers()
        self._handlers = self._make_handlers()

    def _hooks(self) -> Hooks:
        handles = Handles(facts=self._facts, drain=self._drain_asked, cancel=self._cancel_asked)
        return Hooks(
            run=self._take, refused=self._refused, terminate=self._terminate, handles=handles
        )

    def _make_signal_handlers(self) -> Mapping[str, Callable[[str], object]]:
        return {
            "stop": self._stop_signaled,
            "cancel": self._cancel_signaled,
            "pause": self._operations.pause,
            "reload": lambda _name: self._reload_settings(),
        }

    def _make_handlers(self) -> Mapping[type, Callable[..., None]]:
        return {
            SignalArrived: self._on_signal,
            CancelAsked: lambda message: self._cancel_signaled(message.reason),
            LoopEnded: self._on_loop_ended,
            StopAsked: self._on_stop_asked,
            HostEnding: self._on_host_ending,
            TakeNoMore: self._on_take_no_more,
            AttemptEnded: lambda _message: None,
            Heard: self._on_heard,
        }

    def run(self) -> int:
        """Serve until told to stop; returns the exit code. Main thread only."""
        listen(self._mailbox, SIGNALS)
        self._start()
        while not self._done():
            self._receive()
            self._tick()
        self._finish()
        return self._exit_code

    def _start(self) -> None:
        settings = self._settings
        threads, services = self._threads, self._services
        self._operations.start(threads)
        threads.start("fork-server", self._children.read_events)
        threads.start("outbox", lambda: services.outbox.loop(self._closing))
        self._care.start(threads, self._closing)
        threads.run("recovery", self._recover)
        heard = partial(self._mailbox.put, Heard())
        threads.start("heartbeat", lambda: self._heartbeat.loop(self._closing, heard))
        if (watch := self._notices) is not None:
            threads.start("notices", lambda: watch(self._mailbox.put, self._closing))
        log.info(
            "agent started",
            version=__version__,
            service=settings.operations.endpoint,
            worker_groups=list(settings.config.worker_group),
            taskrunner_id=settings.taskrunner_id,
            tasks=settings.config.tasks,
            logs=str(settings.output / "logs"),
        )
        self._tell_status()

    def _recover(self) -> None:
        """Settle what the last agent left; the first poll begins only when nothing of it runs."""
        recover(self._journal, self._services, lambda: self._poller.start(self._threads))

    def _receive(self) -> None:
        busy = bool(self._running or self._settings.parent) or self.phase is not Phase.RUNNING
        nap_s = longest_nap_s(busy=busy, watchdog_s=self._notifier.watchdog_s)
        try:
            message: Message = self._mailbox.get(timeout=nap_s)
        except queue.Empty:
            return
        self._handlers[type(message)](message)

    def _tick(self) -> None:
        if self.phase is Phase.DRAINING and self._clock.monotonic() >= self._drain_until:
            log.warning("drain took too long: ending what runs", running=len(self._running))
            self._cancel()
        if self._services.host_deadline.urgent:
            self._services.shipper.hurry()
        self._operations.tick()
        self._poller.look()
        self._look_for_parent()
        # Fed by what the polls really do, so that a frozen loop is found out.
        if self._notifier.watchdog_s is not None and not self._poller.stuck():
            self._notifier.send(WATCHDOG="1")
        self._tell_status()

    def _look_for_parent(self) -> None:
        """End at once when the process that started the agent is gone."""
        parent = self._settings.parent
        if parent is not None and self.phase is not Phase.CANCELING and os.getppid() != parent:
            self._flush_s = 0.0
            self._services.host_deadline.host_ends_in(2 * self._settings.rules.kill_grace_s)
            self._cancel_signaled("the process that started the agent is gone")

    def _done(self) -> bool:
        dead = self._exit_code in {ExitCode.LOOP_DIED, ExitCode.FORK_SERVER_DIED}
        late = self.phase is Phase.CANCELING and not self._services.host_deadline.left_s
        return dead or late or (self.phase is not Phase.RUNNING and not self._taking)

    def _finish(self) -> None:
        if self._exit_code is ExitCode.FORK_SERVER_DIED:
            self._children.end_orphans()
        until = self._clock.monotonic() + self._flush_s
        never = threading.Event()
        self._care.finish()
        while self._owes() and self._clock.monotonic() < until:
            self._clock.wait(never, 0.1)
        if left := self._services.outbox.pending():
            log.warning("verdicts stay in the journal for the next start", count=left)
        self._closing.set()
        self._heartbeat.wake()
        self._announcer.ended(int(self._exit_code), self._may_not)
        self._operations.close()
        self._children.close()
        self._journal.close()
        log.info("agent ended", exit_code=int(self._exit_code))

    def _owes(self) -> bool:
        # What is refused now is refused in ten seconds too.
        told = self._may_not is not None or not self._services.outbox.pending()
        return not told or self._services.shipper.busy()

    def _take(self, task: Task) -> None:
        """Run a task, or leave it if the agent stops; the agent does not end meanwhile."""
        slot = threading.get_ident()
        self._taking.add(slot)
        try:
            if self._services.stopping.is_set():
                # Not acknowledged, so the service hands it to another runner.
                log.info("task left to others", attempt_id=task.attempt_id)
            else:
                self._run_task(task)
        finally:
            self._taking.discard(slot)
            self._mailbox.put(AttemptEnded())

    def _run_task(self, task: Task) -> None:
        settings = self._settings
        files = AttemptFiles.of(
            task,
            output=settings.output,
            default_log_uri=settings.config.log_uri,
            takes_logs_at=settings.rules.allowance.takes_logs_at,
            user=settings.users.get(task.worker_group),
        )
        try:
            entry = self._journal.accept(task, files)
        except OSError as error:
            # What cannot be promised is not acknowledged: the service hands it to another runner.
            log.error("task left to others: journal", attempt_id=task.attempt_id, error=str(error))  # noqa: TRY400
            self._clock.wait(self._services.stopping, _AFTER_NO_JOURNAL_S)
            return
        if entry is None:
            log.warning("hand-out came twice: not run again", attempt_id=task.attempt_id)
            return
        attempt = Attempt(task, entry, self._services)
        self._running[entry.token] = attempt
        try:
            with self._operations.running_tasks.post(task, entry):
                attempt.run()
        finally:
            del self._running[entry.token]

    def _on_signal(self, message: SignalArrived) -> None:
        name = signal.Signals(message.number).name
        self._signal_handlers[SIGNALS[signal.Signals(message.number)]](name)

    def _stop_signaled(self, name: str) -> None:
        if self.phase is Phase.RUNNING:
            self._drain(ExitCode.OK, name)
        else:
            self._cancel_signaled(name)

    def _cancel_signaled(self, name: str) -> None:
        log.warning("ending what runs", reason=name, running=len(self._running))
        self._cancel()

    def _reload_settings(self) -> None:
        """Apply the settings that may change at run time; running tasks keep the old ones."""
        self._notifier.reloading(self._clock.monotonic())
        config = self._reload() if self._reload is not None else None
        if config is not None:
            rules = replace(self._services.rules, progress_interval_s=config.progress_interval)
            self._settings = replace(self._settings, config=config)
            self._services = replace(self._services, rules=rules)
            self._operations.disk.floor = config.min_free_disk
            self._care.change(config.log_interval, Retention.of(config))
            self._poller.weigh(config.group_weights)
        self._notifier.send(READY="1")

    def _facts(self) -> Facts:
        return self._parts.facts(str(self.phase))

    def _drain_asked(self, reason: str) -> None:
        self._mailbox.put(StopAsked(ExitCode.OK, reason))

    def _cancel_asked(self, reason: str) -> None:
        self._mailbox.put(CancelAsked(reason))

    def _on_stop_asked(self, message: StopAsked) -> None:
        if self._exit_code is ExitCode.OK:
            self._exit_code = message.code
        if self.phase is Phase.RUNNING:
            self._drain(message.code, message.reason)

    def _on_loop_ended(self, message: LoopEnded) -> None:
        forks = message.name == "fork-server"
        if message.error is None and self.phase is not Phase.RUNNING and not forks:
            return
        log.critical("a loop of the agent ended", loop=message.name, exc_info=message.error)
        self._exit_code = ExitCode.FORK_SERVER_DIED if forks else ExitCode.LOOP_DIED

    def _drain(self, code: ExitCode, reason: str) -> None:
        log.info("draining", reason=reason, running=len(self._running))
        self.phase = Phase.DRAINING
        self._exit_code = code
        self._drain_until = self._clock.monotonic() + self._settings.config.drain_timeout
        self._services.stopping.set()
        self._poller.release()
        if code is ExitCode.OK:
            self._announcer.ready()
        self._notifier.send(STOPPING="1")
        # However long the drain is set to be, systemd waits for it.
        self._notifier.extend_timeout(self._settings.longest_stop_s)

    def _on_heard(self, _message: Heard) -> None:
        # One that is refused at its first word never was ready: its start has failed.
        if self._may_not is None:
            self._announcer.ready()

    def _on_host_ending(self, message: HostEnding) -> None:
        """Drain so that every verdict is sent before the host goes; logs only if time allows."""
        host_deadline, settings = self._services.host_deadline, self._settings
        host_deadline.host_ends_in(message.left_s)
        if self.phase is Phase.RUNNING:
            self._drain(ExitCode.OK, message.reason)
        grace_s = host_deadline.grace_s(settings.rules.kill_grace_s)
        work_s = host_deadline.work_s(margin_s=settings.config.notice_margin, grace_s=grace_s)
        self._drain_until = min(self._drain_until, self._clock.monotonic() + work_s)

    def _on_take_no_more(self, message: TakeNoMore) -> None:
        log.warning("no new work is taken until a restart", reason=message.reason)
        self._operations.gate.shut(HOST, message.reason)

    def _cancel(self) -> None:
        if self.phase is Phase.RUNNING:
            self._drain(ExitCode.OK, "cancel")
        self.phase = Phase.CANCELING
        self._services.host_deadline.host_ends_in(self._settings.last_words_s)
        self._services.canceling.set()
        self._services.api.hurry()
        for attempt in list(self._running.values()):
            attempt.wake()

    def _refused(self, error: NotAuthorized) -> None:
        if self._may_not is not None:
            return  # every call is refused by now; the first says it all
        self._may_not = error
        remedy = "mend the credentials or what they may do (see `taskrunner doctor`), then start it"
        log.error(
            "not authorized: the agent ends", error=str(error), code=error.code, remedy=remedy
        )
        self._mailbox.put(StopAsked(ExitCode.NOT_AUTHORIZED, "not authorized"))

    def _terminate(self) -> None:
        self._mailbox.put(StopAsked(ExitCode.OK, "the service asks for it"))

    def _tell_status(self) -> None:
        health = self._operations.reporting.ready(self._facts())
        self._announcer.tick(str(self.phase), len(self._running), health)
