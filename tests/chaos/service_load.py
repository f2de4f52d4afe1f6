"""Clients that keep a service busy, and remember what it has answered with 200.

Each makes pipelines of one task and works them off itself. A call that is not answered, or answered
with a fault of the service's, is made again, to whichever address the service has by then.
"""

from __future__ import annotations

import http.client
import json
import threading
import urllib.error
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from taskrunner.clock import SystemClock
from tests.chaos.audit import Ledger
from tests.integration.agent_harness import wait_for
from tests.integration.api_calls import call

_CLOCK = SystemClock()
#: Between two tries of a call, in seconds.
_PAUSE_S = 0.1
#: What urllib raises when a service dies before, in or behind its answer.
_NO_ANSWER = (OSError, ValueError, http.client.HTTPException)


class _Stopped(Exception):
    """The load is over: whatever was asked is not asked again."""


class _Lost(Exception):
    """A hand-out whose reply was lost: somebody else would get the task."""


@dataclass
class Answered:
    """What the service has said that it did."""

    pipelines: set[str] = field(default_factory=set)
    tagged: set[str] = field(default_factory=set)
    defined: set[str] = field(default_factory=set)
    activated: set[str] = field(default_factory=set)
    #: Task ids, and the verdicts that were taken.
    acknowledged: set[str] = field(default_factory=set)
    verdicts: dict[str, str] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many answers there were."""
        sets = (self.pipelines, self.tagged, self.defined, self.activated, self.acknowledged)
        return sum(map(len, sets)) + len(self.verdicts)


class Load:
    """The clients and what they know."""

    def __init__(self, clients: int) -> None:
        #: Where the service is now.
        self.url = ""
        self.answered = Answered()
        #: Answers that were no answer, by their HTTP status; 0: none came.
        self.refused: Counter[int] = Counter()
        #: What those with a status said.
        self.said: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._numbers = count()
        self._over, self._abandon = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        names = [f"client-{number}" for number in range(clients)]
        self._threads = [threading.Thread(target=self._work, name=name) for name in names]

    def start(self) -> None:
        """Begin; `url` must have been set."""
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        """Have each client end what it has begun: then nothing is known to have been asked only."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def abandon(self) -> None:
        """End at once, whatever was asked."""
        self._abandon.set()
        self.finish()

    def more_answers(self, how_many: int) -> None:
        """Wait until so many more calls have been answered with 200."""
        goal = self.answered.total + how_many
        wait_for("answers", lambda: self.wrong or self.answered.total >= goal, 120)

    def more_refusals(self, how_many: int) -> None:
        """Wait until so many more calls have been refused, or not answered at all."""
        goal = self.refused.total() + how_many
        wait_for("refusals", lambda: self.wrong or self.refused.total() >= goal, 120)

    # -- a client -------------------------------------------------------------------------------

    def _work(self) -> None:
        while not self._over.is_set():
            with self._lock:
                number = next(self._numbers)
            try:
                self._live(str(number))
            except _Lost:
                continue
            except _Stopped:
                return
            except Exception as error:
                self.wrong.append(f"life {number}: {error!r}")
                return

    def _live(self, name: str) -> None:
        made = self._ask("CreatePipeline", name=name, uniqueId=name)["pipelineId"]
        self.answered.pipelines.add(made)
        self._ask("AddTags", pipelineId=made, tags=[{"key": "k", "value": name}])
        self.answered.tagged.add(made)
        put = self._ask("PutPipelineDefinition", pipelineId=made, pipelineObjects=_objects(name))
        assert put["errored"] is False, put
        self.answered.defined.add(made)
        self._ask("ActivatePipeline", pipelineId=made)
        self.answered.activated.add(made)
        # Once only: when the reply is lost the task is not ours.
        polled = self._ask("PollForTask", once=True, workerGroup=name)
        if "taskObject" not in polled:
            raise _Lost
        task = polled["taskObject"]["taskId"]
        self._ask("ReportTaskProgress", taskId=task)
        self.answered.acknowledged.add(task)
        verdict = "FINISHED" if int(name) % 3 else "FAILED"
        self._ask("SetTaskStatus", taskId=task, taskStatus=verdict)
        self.answered.verdicts[task] = verdict

    def _ask(self, operation: str, *, once: bool = False, **body: Any) -> Any:
        while True:
            try:
                return call(self.url, operation, **body)
            except urllib.error.HTTPError as error:
                self._answered_badly(operation, error)
            except _NO_ANSWER:
                self._not_answered(0, "")
            if once:
                raise _Lost
            if _CLOCK.wait(self._abandon, _PAUSE_S):
                raise _Stopped

    def _answered_badly(self, operation: str, error: urllib.error.HTTPError) -> None:
        try:
            text = error.read().decode(errors="replace")
        except _NO_ANSWER:
            self._not_answered(0, "")
            return
        if error.code < 500:
            raise AssertionError(f"{operation}: {error.code} {text}")
        self._not_answered(error.code, text)

    def _not_answered(self, status: int, text: str) -> None:
        said = ""
        if text:
            try:
                said = json.loads(text)["message"]
            except (ValueError, KeyError):
                self.wrong.append(f"{status} without a message: {text!r}")
        with self._lock:
            self.refused[status] += 1
            self.said[said] += 1

    # -- judgement ------------------------------------------------------------------------------

    def lost(self, ledger: Ledger) -> list[str]:
        """What was answered with 200 and is not in the store."""
        # What is answered meanwhile is not in the rows that were read before.
        known = _copy(self.answered)
        pipelines = {row["pipeline_id"]: row for row in ledger.rows(_PIPELINES)}
        handouts = {row["task_id"]: row for row in ledger.rows(_HANDOUTS)}
        attempts = {row["attempt_id"]: row["status"] for row in ledger.rows(_ATTEMPTS)}
        found = [f"pipeline {p}" for p in known.pipelines if p not in pipelines]
        here = {p: row for p, row in pipelines.items() if p in known.pipelines}
        found += [
            f"tag of {p}" for p in known.tagged & here.keys() if "k" not in str(here[p]["tags"])
        ]
        found += [f"definition of {p}" for p in known.defined if not _number(here, p, "latest")]
        found += [f"activation of {p}" for p in known.activated if not _number(here, p, "active")]
        found += [
            f"acknowledgement of {task}"
            for task in known.acknowledged
            if task not in handouts or handouts[task]["state"] not in {"RUNNING", "DONE"}
        ]
        found += [
            f"verdict {verdict} of {task}"
            for task, verdict in known.verdicts.items()
            if task not in handouts or attempts.get(handouts[task]["key"]) != verdict
        ]
        return found

    def surplus(self, ledger: Ledger) -> list[str]:
        """What is in the store although it was refused; to be asked when all calls were answered.

        Only where every refusal said that nothing was changed: a lost reply says nothing.
        """
        found = []
        for row in ledger.rows(_PIPELINES):
            if row["pipeline_id"] not in self.answered.pipelines:
                found.append(f"pipeline {row['pipeline_id']}")
            elif row["latest_version"] > 1:
                found.append(f"{row['latest_version']} definitions of {row['pipeline_id']}")
        return found


_PIPELINES = "SELECT pipeline_id, tags, latest_version, active_version FROM pipelines"
_HANDOUTS = "SELECT task_id, state, pipeline_id || attempt_id AS key FROM handouts"
_ATTEMPTS = "SELECT pipeline_id || attempt_id AS attempt_id, status FROM attempts"


def _number(rows: dict[str, Any], pipeline: str, which: str) -> int:
    return int(rows[pipeline][f"{which}_version"]) if pipeline in rows else 0


def _copy(answered: Answered) -> Answered:
    return Answered(
        pipelines=set(answered.pipelines),
        tagged=set(answered.tagged),
        defined=set(answered.defined),
        activated=set(answered.activated),
        acknowledged=set(answered.acknowledged),
        verdicts=dict(answered.verdicts),
    )


def _objects(group: str) -> list[dict[str, Any]]:
    default = {"scheduleType": "ondemand", "workerGroup": group, "maximumRetries": "0"}
    given = {"Default": default, "A": {"type": "ShellCommandActivity", "command": "true"}}
    return [
        {"id": id_, "name": id_, "fields": [{"key": k, "stringValue": v} for k, v in obj.items()]}
        for id_, obj in given.items()
    ]


@contextmanager
def load(clients: int, url: str) -> Iterator[Load]:
    """Clients at work, gone with the block."""
    found = Load(clients)
    found.url = url
    found.start()
    try:
        yield found
    finally:
        found.abandon()
