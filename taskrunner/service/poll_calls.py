"""PollForTask at the edge: held without a thread, given up when nobody waits for it any more."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy.engine import Connection
from starlette.types import Receive

from taskrunner.errors import ServiceFault
from taskrunner.model.task import Task
from taskrunner.service.auth import Permit
from taskrunner.service.bodies import ClientGone
from taskrunner.service.engine import Service
from taskrunner.service.handler import Handler
from taskrunner.service.handler_pool import HandlerPool
from taskrunner.service.polls import Polls
from taskrunner.service.replays import BroughtBefore, Replays
from taskrunner.service.shares import HeldPoll, HeldPolls
from taskrunner.service.traces import tell_hand_out
from taskrunner.tracing import Kind, Tracing
from taskrunner.wire.codec import encode_output
from taskrunner.wire.runner_messages import PollForTaskInput, PollForTaskOutput
from taskrunner.wire.sigv4 import Proof

#: The operation whose handler makes one try; the edge waits and calls it again.
POLL = "PollForTask"
_EMPTY = encode_output(POLL, PollForTaskOutput())
#: A copy of a poll is answered empty after this time: by then the next poll has another signature.
_COPY_S = 1.0


class PollCalls:
    """Answers polls."""

    def __init__(
        self,
        service: Service,
        pool: HandlerPool,
        replays: Replays,
        *,
        hold_s: float,
        held: HeldPolls,
        tracing: Tracing,
    ) -> None:
        self.held = held
        self._service = service
        self._pool = pool
        self._tracing = tracing
        self._replays = replays
        self._hold_s = hold_s
        self._polls = Polls(service.work_ready, hold_s=hold_s)

    @property
    def waiting(self) -> int:
        """How many polls wait for work."""
        return self._polls.waiting

    def close(self) -> None:
        """Answer every poll, now and from now on, without waiting."""
        self._polls.close()

    async def answer(
        self,
        permit: Permit,
        message: PollForTaskInput,
        handler: Handler,
        receive: Receive,
    ) -> bytes:
        """A task, or nothing once there was none for long; raises ServiceFault or ClientGone."""
        proof = permit.proof
        # Who has too many polls already is told so before the store is asked anything.
        with self.held.place(permit) as poll:
            if proof is None:
                return await self._held(permit, message, handler, receive, poll)
            if self._replays.begin_poll(proof):
                try:
                    return await self._held(permit, message, handler, receive, poll)
                except _Copy as copy:
                    earlier: bytes | None = copy.answer
                except BaseException:
                    self._replays.abandon_poll(proof)
                    raise
            else:
                earlier = await self._pool.run(permit.holder, lambda: self._replays.brought(proof))
        return earlier or await self._empty_copy()

    async def _empty_copy(self) -> bytes:
        await asyncio.sleep(_COPY_S)
        return _EMPTY

    async def _held(
        self,
        permit: Permit,
        message: PollForTaskInput,
        handler: Handler,
        receive: Receive,
        poll: HeldPoll,
    ) -> bytes:
        handover = _Handover()
        kept = None if permit.proof is None else _Kept(self._replays, permit.proof)

        def claim() -> bytes | None:
            if kept is not None:
                kept.look()
            with self._tracing.span("hand out", Kind.PRODUCER) as span:
                span.is_dropped = True
                keep = () if kept is None else (kept.keep,)
                try:
                    reply: PollForTaskOutput = handler(self._service, permit.caller, message, *keep)
                except BroughtBefore:
                    return _EMPTY
                task = reply.task_object
                if task is None:
                    return None
                tell_hand_out(span, task, message.worker_group, message.hostname)
                answer = kept and kept.answer
                return self._hand(permit, handover, task, answer or encode_output(POLL, reply))

        waiting = asyncio.ensure_future(
            self._wait(
                message.worker_group,
                lambda: self._pool.run(permit.holder, claim),
                permit.caller.account,
            )
        )
        try:
            answer = await _first_of(waiting, receive, poll)
        except (ClientGone, ServiceFault):
            await self._leave(handover, permit)
            raise
        if answer is None:
            await self._leave(handover, permit)  # of a poll that was ended in a claim
        return answer or _EMPTY

    async def _wait(
        self, worker_group: str, claim: Callable[[], Awaitable[bytes | None]], account: str
    ) -> bytes | None:
        """A task, unless the runner is to get none: its poll is held all the same, but by itself.

        So it takes no wake-up from others; when it may have work again, its next poll gets it.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + self._hold_s
        try:
            return await self._polls.wait(worker_group, claim, account=account)
        except OnHold:
            await self._polls.rest(end - loop.time())
            return None

    def _hand(self, permit: Permit, handover: _Handover, task: Task, answer: bytes) -> bytes:
        """The reply that has a task, unless nobody waits for it any more; in a thread."""
        if handover.take(task):
            return answer
        self._service.give_back(task, permit.caller)
        return _EMPTY

    async def _leave(self, handover: _Handover, permit: Permit) -> None:
        """Give back what comes, or came, for a poll that is over."""
        if (task := handover.leave()) is not None:
            await self._pool.run(
                permit.holder, lambda: self._service.give_back(task, permit.caller)
            )


class OnHold(Exception):
    """Whoever polls is to get no work for now."""


class _Copy(Exception):
    """Another process has answered a copy of the poll."""

    def __init__(self, answer: bytes) -> None:
        super().__init__()
        self.answer = answer


class _Kept:
    """What a signed poll brings, kept for copies of it; in the threads of its claims."""

    def __init__(self, replays: Replays, proof: Proof) -> None:
        self._replays, self._proof = replays, proof
        self._looked = False
        #: The reply, once it is kept.
        self.answer: bytes | None = None

    def look(self) -> None:
        """Before the first claim: raises _Copy when a copy of the poll was answered elsewhere."""
        if not self._looked:
            answer = self._replays.brought(self._proof)
            if answer is not None:
                raise _Copy(answer)
            self._looked = True

    def keep(self, conn: Connection, task: Task) -> None:
        """Keep the reply that has a task, in the transaction that hands it out."""
        answer = encode_output(POLL, PollForTaskOutput(task_object=task))
        self._replays.keep_hand_out(conn, self._proof, task.task_id, answer)
        self.answer = answer


class _Handover:
    """What one poll was given, in a thread, and whether anybody still waits for it, on the loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left = False
        self._task: Task | None = None

    def take(self, task: Task) -> bool:
        """Note a task; false when nobody waits any more."""
        with self._lock:
            self._task = task
            return not self._left

    def leave(self) -> Task | None:
        """Wait no more; returns what was given in vain."""
        with self._lock:
            self._left = True
            return self._task


async def _first_of(
    work: asyncio.Future[bytes | None], receive: Receive, poll: HeldPoll
) -> bytes | None:
    """The result of `work`, unless the poll is over before.

    Raises ClientGone, and ends the work, once nobody waits for it; the poll's fault, if it has one.
    """
    gone: asyncio.Future[Any] = asyncio.ensure_future(receive())
    try:
        await asyncio.wait({work, gone, poll.over}, return_when=asyncio.FIRST_COMPLETED)
        if gone.done():
            raise ClientGone
        if poll.over.done() and not work.done():
            return poll.over.result()
        return work.result()
    finally:
        gone.cancel()
        work.cancel()
