"""A second copy of a signed call changes nothing: it is answered as the first was.

A signature is good for minutes, and whoever has seen a call on its way can send it again. SDKs do
so too: they sign each try anew, but within one second the signature is the same. So what was
answered is kept in the store until no copy would be taken for its age any more.

Two equal calls of one key within a second are told apart by nothing. The second is answered as
the first was, which is true as long as nothing else has happened to the pipeline; when something
has, it is refused with a code that makes SDKs sign it again, a second later.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from taskrunner.errors import StoreError
from taskrunner.logs import get_logger
from taskrunner.service.store import answered_calls
from taskrunner.service.store.database import Store
from taskrunner.service.store.rows import AnsweredCall
from taskrunner.wire.faults import Throttled
from taskrunner.wire.sigv4 import Proof

log = get_logger()

#: What is kept of each call until its copies are too old. Calls that only read are not, nor those
#: that their task id fences (SetTaskStatus) or that are kept in memory (those below).
REMEMBERED = frozenset(
    {
        "ActivatePipeline",
        "AddTags",
        "CreatePipeline",
        "DeactivatePipeline",
        "DeletePipeline",
        "PutPipelineDefinition",
        "RemoveTags",
        "SetStatus",
    }
)
#: Calls that come often and change little: a copy may at most keep a lease for minutes more. They
#: are kept by the process that answered them.
REPORTS = frozenset({"ReportTaskProgress", "ReportTaskRunnerHeartbeat"})

#: Services of one store may differ so much in their clocks.
_MARGIN = timedelta(minutes=1)
_MOST_RECENT = 100_000


class BroughtBefore(Exception):
    """A copy of the poll has been given a task: this one gets none."""


class Replays:
    """The signed calls that were answered."""

    def __init__(self, store: Callable[[], Store]) -> None:
        self._store = store
        self._polls = _Recent()
        self._reports = _Recent()

    def answer(
        self, proof: Proof, operation: str, pipeline_id: str | None, work: Callable[[], bytes]
    ) -> bytes:
        """The answer of `work`, which a copy of a call that changes something does not do again."""
        if operation in REMEMBERED:
            return self._once(proof, operation, pipeline_id, work)
        if operation in REPORTS:
            return self._report_once(proof, work)
        return work()

    # -- calls that change something --------------------------------------------------------------

    def _once(
        self, proof: Proof, operation: str, pipeline_id: str | None, work: Callable[[], bytes]
    ) -> bytes:
        """The answer of `work`, which is done for the first copy of a call alone.

        Raises Throttled for a copy while the first is under way, or when its answer has become
        untrue. What `work` raises undoes the remembering: nothing has changed.
        """
        call = AnsweredCall(
            key_id=proof.key_id,
            signature=proof.signature,
            operation=operation,
            pipeline_id=pipeline_id,
            begun_at=proof.verified_at,
            good_until=proof.good_until + _MARGIN,
        )
        if not self._begin(call):
            return self._answer_of(proof)
        try:
            answer = work()
        except BaseException:
            self._forget(call)
            raise
        self._complete(call, answer)
        return answer

    def _begin(self, call: AnsweredCall) -> bool:
        """Note the call; false: it was made before."""
        try:
            with self._store().write() as conn:
                answered_calls.insert(conn, call)
        except IntegrityError:
            return False
        return True

    def _answer_of(self, proof: Proof) -> bytes:
        with self._store().read() as conn:
            call = answered_calls.find(conn, proof.key_id, proof.signature)
            stale = call is not None and answered_calls.changed_since(conn, call)
        if call is None or call.answer is None:
            raise Throttled("this very request is being answered: try again in a moment")
        if stale:
            raise Throttled(
                "this very request was answered before, and other calls have changed the pipeline "
                "since: sign it again"
            )
        return call.answer

    def _complete(self, call: AnsweredCall, answer: bytes) -> None:
        try:
            with self._store().write() as conn:
                answered_calls.complete(conn, call.key_id, call.signature, answer)
        except StoreError as error:
            # The call is done, and its copies are told to wait until they are too old.
            log.warning("the answer of a call could not be kept", error=str(error))

    def _forget(self, call: AnsweredCall) -> None:
        try:
            with self._store().write() as conn:
                answered_calls.remove(conn, call.key_id, call.signature)
        except StoreError as error:
            log.warning("a call that failed could not be forgotten", error=str(error))

    # -- reports ----------------------------------------------------------------------------------

    def _report_once(self, proof: Proof, work: Callable[[], bytes]) -> bytes:
        """The answer of `work`, which this process does for the first copy alone."""
        answer = self._reports.get(proof)
        if answer is None:
            answer = work()
            self._reports.put(proof, answer)
        return answer

    # -- polls ------------------------------------------------------------------------------------

    def begin_poll(self, proof: Proof) -> bool:
        """Note that a poll is here; false: it is a copy of one that this process has had."""
        return self._polls.put(proof, b"")

    def brought(self, proof: Proof) -> bytes | None:
        """What a copy of a poll has brought before, of whichever process; None: nothing yet.

        That is its task while nobody has acknowledged it, else empty.
        """
        with self._store().read() as conn:
            call = answered_calls.find(conn, proof.key_id, proof.signature)
            if call is None:
                return None
            held = call.task_id and answered_calls.unacknowledged(conn, call.task_id)
            return (call.answer or b"") if held else b""

    def keep_hand_out(self, conn: Connection, proof: Proof, task_id: str, answer: bytes) -> None:
        """Note what a poll brings, in the transaction that hands it out.

        Raises BroughtBefore when a copy of the poll has brought something else.
        """
        call = AnsweredCall(
            key_id=proof.key_id,
            signature=proof.signature,
            operation="PollForTask",
            task_id=task_id,
            answer=answer,
            begun_at=proof.verified_at,
            good_until=proof.good_until + _MARGIN,
        )
        try:
            answered_calls.insert(conn, call)
        except IntegrityError as error:
            raise BroughtBefore from error

    def abandon_poll(self, proof: Proof) -> None:
        """The poll ends without an answer: who sent it may send it again."""
        self._polls.remove(proof)

    # -- in time ----------------------------------------------------------------------------------

    def remove_old(self, now: datetime) -> None:
        """Forget what no copy would be taken for any more."""
        self._polls.remove_old(now)
        self._reports.remove_old(now)
        with self._store().read() as conn:
            if not answered_calls.any_old(conn, now):
                return
        with self._store().write() as conn:
            answered_calls.remove_old(conn, now)


class _Recent:
    """What this process alone remembers: the latest calls, until they are too old to be copied."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: OrderedDict[tuple[str, str], tuple[bytes, datetime]] = OrderedDict()

    def get(self, proof: Proof) -> bytes | None:
        with self._lock:
            found = self._answers.get((proof.key_id, proof.signature))
        return None if found is None else found[0]

    def put(self, proof: Proof, answer: bytes) -> bool:
        """Remember a call; false: it is remembered already."""
        key = (proof.key_id, proof.signature)
        with self._lock:
            if key in self._answers:
                return False
            self._answers[key] = (answer, proof.good_until + _MARGIN)
            if len(self._answers) > _MOST_RECENT:
                self._answers.popitem(last=False)
        return True

    def remove(self, proof: Proof) -> None:
        with self._lock:
            self._answers.pop((proof.key_id, proof.signature), None)

    def remove_old(self, now: datetime) -> None:
        with self._lock:
            for key in [key for key, (_, until) in self._answers.items() if until < now]:
                del self._answers[key]
