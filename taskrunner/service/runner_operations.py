"""What the service does for runners: each call is one transaction, with what follows from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy.engine import Connection

from taskrunner.clock import Clock
from taskrunner.model.task import Task
from taskrunner.service.advance import advance_concluded
from taskrunner.service.agent_orders import AgentOrders
from taskrunner.service.apply import SchedulingTransaction
from taskrunner.service.callers import ANONYMOUS, Caller
from taskrunner.service.definitions import LoadedDefinition
from taskrunner.service.duties import Duties
from taskrunner.service.meters import Meters
from taskrunner.service.roster import Roster, RunnerCall
from taskrunner.service.scheduler import Scheduler
from taskrunner.service.settings import ServiceSettings
from taskrunner.service.store.database import Store
from taskrunner.service.tasks import Tasks
from taskrunner.service.wakeups import WorkReady

#: Notes what a task's runner is told, in the transaction that hands the task out; what it raises
#: undoes that.
Keep = Callable[[Connection, Task], None]

#: Queues that are remembered to have had work.
_MOST_BUSY = 1000


class BusyQueues:
    """The queues that had work when they were asked last: they may have more. Safe for threads."""

    def __init__(self, *, most: int = _MOST_BUSY) -> None:
        self._most = most
        #: Accounts and worker groups.
        self._busy: set[tuple[str, str]] = set()

    def __contains__(self, queue: tuple[str, str]) -> bool:
        return queue in self._busy

    def note(self, queue: tuple[str, str], *, had_work: bool) -> None:
        """Take note of what an account's worker group had."""
        if not had_work:
            self._busy.discard(queue)
            return
        if len(self._busy) >= self._most:
            self._busy.clear()
        self._busy.add(queue)


class RunnerOperations:
    """The part of the service that runners call."""

    clock: Clock
    meters: Meters
    orders: AgentOrders
    roster: Roster
    scheduler: Scheduler
    settings: ServiceSettings
    store: Store
    work_ready: WorkReady
    _busy: BusyQueues
    _duties: Duties

    def loaded(self, pipeline_id: str, version: int) -> LoadedDefinition:
        """A version of a definition, ready to be asked."""
        raise NotImplementedError

    @contextmanager
    def deciding(self) -> Iterator[SchedulingTransaction]:
        """A transaction that decides; what became ready is announced after its commit."""
        with self.store.write() as conn:
            transaction = SchedulingTransaction(conn, self.clock.now(), self.settings)
            yield transaction
            self.work_ready.tell(conn, transaction.ready, transaction.now)
        self.work_ready.announce(transaction.ready)
        transaction.committed(self.meters)

    def claim(
        self,
        worker_group: str,
        hostname: str | None = None,
        caller: Caller = ANONYMOUS,
        *,
        keep: Keep | None = None,
    ) -> Task | None:
        """Hand out a task of the group to the caller, if one of its account is ready."""
        queue = (caller.account, worker_group)
        if queue not in self._busy:
            with self.store.read() as conn:
                # Most polls find nothing: those must not wait in line with the writers.
                if not self._tasks(conn, caller).any(worker_group):
                    return None
        with self.runner_transaction(caller) as tasks:
            task = tasks.claim(worker_group, hostname)
            if task is not None and keep is not None:
                keep(tasks.conn, task)
        self._busy.note(queue, had_work=task is not None)
        return task

    def give_back(self, task: Task, caller: Caller) -> None:
        """Hand a task to somebody else: whoever polled for it has gone without it."""
        with self.runner_transaction(caller) as tasks:
            tasks.give_back(task.task_id)
        self.meters.add("taskrunner_handouts_given_back_total")
        self._duties.kick()

    def report_progress(
        self, task_id: str, fields: Mapping[str, str], caller: Caller = ANONYMOUS
    ) -> bool:
        """Acknowledge or keep a task; true: stop the work. Raises TaskNotFound."""
        with self.runner_transaction(caller) as tasks:
            return tasks.progress(task_id, fields)

    def set_task_status(
        self,
        task_id: str,
        status: str,
        error_id: str | None = None,
        message: str | None = None,
        stack_trace: str | None = None,
        caller: Caller = ANONYMOUS,
    ) -> None:
        """Take a verdict. Raises TaskNotFound or InvalidRequest."""
        with self.deciding() as transaction:
            conn, now = transaction.conn, transaction.now
            tasks = Tasks(conn, now, self.loaded, self.settings, caller)
            concluded = tasks.conclude(task_id, status, error_id, message, stack_trace)
            if concluded is not None:
                # What follows from it is decided in one go with it: one commit for both.
                advance_concluded(transaction, concluded, self.loaded)
            is_more_due = self.scheduler.is_soon_due(conn, now)
        if is_more_due:
            self._duties.kick()

    def heartbeat(
        self, runner_id: str, group: str | None, host: str | None, caller: Caller = ANONYMOUS
    ) -> bool:
        """Note that a runner lives; true when it is to terminate."""
        self.roster.beat(RunnerCall(caller=caller), runner_id, group, host)
        return self.orders.is_to_end(caller.account, runner_id)

    @contextmanager
    def runner_transaction(self, caller: Caller) -> Iterator[Tasks]:
        """A transaction of runner operations."""
        with self.store.write() as conn:
            yield self._tasks(conn, caller)

    def _tasks(self, conn: Connection, caller: Caller) -> Tasks:
        return Tasks(conn, self.clock.now(), self.loaded, self.settings, caller)
