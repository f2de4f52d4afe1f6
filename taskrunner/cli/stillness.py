"""While a run is followed: says why when nothing moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from taskrunner.cli.snapshot import Snapshot
from taskrunner.clock import Clock
from taskrunner.model.instances import Category
from taskrunner.model.rows import InstanceRow
from taskrunner.model.states import InstanceStatus
from taskrunner.model.why.causes import Cause, Code
from taskrunner.model.why.pipelines import Why
from taskrunner.service.engine import Service
from taskrunner.service.why import why

#: So long may nothing move before it is said why, in seconds; an agent starts within a few.
PATIENCE_S = 15.0
_MOST_TOLD = 5
#: What has ended is shown by its status; what is about to happen needs no word.
_NOT_TOLD = frozenset(
    {
        *(Code.RUNNING, Code.ABOUT_TO_BEGIN, Code.IN_QUEUE, Code.HANDED_OUT, Code.FINISHED),
        *(Code.FAILED, Code.TIMEDOUT, Code.CANCELED, Code.CASCADE_FAILED, Code.SKIPPED),
    }
)


def why_of(service: Service, pipeline_id: str) -> Why:
    """Why a pipeline of a service in this process waits."""
    with service.objects(pipeline_id) as objects:
        return why(objects.conn, objects.pipeline, service.loaded, service.clock.now())


class Stillness:
    """Is shown every snapshot; speaks once each time that nothing has moved for a while."""

    def __init__(self, ask: Callable[[], Why], say: Callable[[str], None], clock: Clock) -> None:
        self._ask, self._say, self._clock = ask, say, clock
        self._seen: object = None
        self._since = clock.monotonic()
        self._told = False

    def look(self, snapshot: Snapshot) -> None:
        """Take note of how things stand."""
        # A precondition that does not hold is looked at every few seconds: that is no movement,
        # and no more is it that a resource is up.
        rows = [row for row in snapshot.instances if row.category != Category.PRECONDITION]
        seen = [(row.instance_id, row.status, row.attempt_count) for row in rows]
        works = any(_works(row) for row in rows)
        if seen != self._seen or works:
            self._seen, self._since, self._told = seen, self._clock.monotonic(), False
        elif not self._told and self._clock.monotonic() - self._since >= PATIENCE_S:
            self._told = True
            for text in list(_texts(self._ask()))[:_MOST_TOLD]:
                self._say(f"Nothing has moved for {PATIENCE_S:.0f} s: {text}")


def _works(row: InstanceRow) -> bool:
    return row.status is InstanceStatus.RUNNING and row.category != Category.RESOURCE


def _texts(found: Why) -> Iterator[str]:
    """What holds it back, each root once."""
    told: set[tuple[Code, str]] = set()
    causes = [*found.pipeline, *(waiting.causes[0] for waiting in found.waiting)]
    for root in (cause.root for cause in causes):
        if root.code not in _NOT_TOLD and (key := _key(root)) not in told:
            told.add(key)
            yield root.says


def _key(cause: Cause) -> tuple[Code, str]:
    return cause.code, cause.object_id
