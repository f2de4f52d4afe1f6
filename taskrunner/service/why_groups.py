"""What the store knows of a worker group: who asks for its work, who is refused, how it goes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy.engine import Connection

from taskrunner.model.why.facts import Group, Refusal, Runner
from taskrunner.model.why.groups import GONE_AFTER, SILENT_AFTER
from taskrunner.service.callers import ANONYMOUS
from taskrunner.service.settings import CHECKS_GROUP
from taskrunner.service.store import queues
from taskrunner.service.store import runners as runner_store
from taskrunner.service.store.queues import Serving
from taskrunner.service.store.rows import RefusedPollRow, RunnerRow

#: How long a refusal is told of: an agent that is refused ends, and does not ask again.
REFUSED_WITHIN = timedelta(days=1)
#: Over how long it is counted what has ended.
MINUTES = 15
_MOST_REFUSED = 5


def load_group(conn: Connection, account: str, name: str, now: datetime) -> Group:
    """All that is known of one group of an account."""
    serving = queues.serving(conn, account, name)
    running = queues.running_by_host(conn, account, name)
    return Group(
        name=name,
        account="" if account == ANONYMOUS.account else account,
        own=name == CHECKS_GROUP,
        runners=tuple(_runner(found, running) for found in serving),
        elsewhere=queues.asked_for_elsewhere(conn, account, name, now - SILENT_AFTER),
        others=_others(queues.serving_since(conn, account, now - GONE_AFTER), name),
        refused=_refused(conn, account, name, now, serving),
        ended=queues.ended_since(conn, name, now - timedelta(minutes=MINUTES)),
        minutes=MINUTES,
    )


def runner_name(row: RunnerRow) -> str:
    """How a runner is named to people."""
    return row.hostname or row.ip or row.runner_id


def _runner(found: Serving, running: Mapping[str, int]) -> Runner:
    row = found.runner
    return Runner(
        name=runner_name(row),
        polled_at=found.polled_at,
        seen_at=row.last_seen_at,
        slots=row.slots,
        busy=row.busy,
        paused=row.paused,
        running=running.get(row.hostname or "", 0),
    )


def _others(lately: list[Serving], name: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for serving in lately:
        if serving.worker_group != name:
            found.setdefault(serving.worker_group, runner_name(serving.runner))
    return found


def _refused(
    conn: Connection, account: str, name: str, now: datetime, serving: list[Serving]
) -> tuple[Refusal, ...]:
    """Refusals since which their host was not heard of otherwise, the newest of each host."""
    heard = {found.runner.ip: found.runner.last_seen_at for found in reversed(serving)}
    found: dict[tuple[str, str], Refusal] = {}
    for row in runner_store.load_refused(conn, account, since=now - REFUSED_WITHIN):
        is_past = row.ip in heard and heard[row.ip] > row.last_at
        if row.worker_group in {name, ""} and not is_past:
            found.setdefault((row.ip, row.worker_group), _refusal(row))
    return tuple(found.values())[:_MOST_REFUSED]


def _refusal(row: RefusedPollRow) -> Refusal:
    return Refusal(
        code=row.code,
        message=row.message,
        at=row.last_at,
        whence=row.hostname or row.ip or "an unknown address",
        key_id=row.key_id,
        for_group=bool(row.worker_group),
    )
