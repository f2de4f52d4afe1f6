"""The line of an on-demand pipeline's runs: each waits until maxActiveInstances lets it begin.

A run whose instances are all at their end, or can never have their turn, makes way for the next.
What is rerun of it later counts for nothing here. Nothing is looked at unless somebody waits.
The caller holds the pipeline, so that no two decide about one line.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.engine import Connection

from taskrunner.model.blocked import blocked, over
from taskrunner.model.runs import Run, RunState, turns
from taskrunner.model.states import INSTANCE_TERMINAL
from taskrunner.service.definitions import Load, Moment
from taskrunner.service.store import links
from taskrunner.service.store import runs as run_store


def queue_run(conn: Connection, pipeline_id: str, start: datetime, version: int) -> None:
    """Put a new run at the end of the line; `take_turns` lets it begin."""
    run = Run(pipeline_id=pipeline_id, start=start, version=version, state=RunState.WAITING)
    run_store.insert_run(conn, run)


def take_turns(conn: Connection, pipeline_id: str, load: Load, now: datetime) -> None:
    """Have the oldest runs that wait begin, as far as there is room for them."""
    if not run_store.what_is_left(conn, pipeline_id)[0]:
        return

    def limit(run: Run) -> int:
        moment = Moment(start=run.start, end=run.start)
        return load(pipeline_id, run.version).active_runs(moment)

    line = run_store.load_runs(conn, pipeline_id)
    found = turns(line, limit=limit, is_over=lambda run: _is_over(conn, pipeline_id, run))
    run_store.remove_runs(conn, pipeline_id, [run.start for run in found.over])
    for run in found.begin:
        run_store.activate_run(conn, pipeline_id, run.start)
        run_store.wake_run(conn, pipeline_id, run.start, now)


def forget_ended(conn: Connection, pipeline_id: str) -> None:
    """Take active runs that are over out of the line: before something of them is rerun."""
    ended = [
        run.start
        for run in run_store.load_runs(conn, pipeline_id)
        if run.state is RunState.ACTIVE and _is_over(conn, pipeline_id, run)
    ]
    run_store.remove_runs(conn, pipeline_id, ended)


def waiting_starts(conn: Connection, pipeline_id: str) -> set[datetime]:
    """The starts of the runs that wait for their turn."""
    line = run_store.load_runs(conn, pipeline_id)
    return {run.start for run in line if run.state is RunState.WAITING}


def _is_over(conn: Connection, pipeline_id: str, run: Run) -> bool:
    if run_store.any_at_work(conn, pipeline_id, run.start):
        return False
    rows = run_store.load_run(conn, pipeline_id, run.start)
    if all(row.status in INSTANCE_TERMINAL for row in rows):
        return True
    waits = links.dependencies_of(conn, pipeline_id, [row.instance_id for row in rows])
    return over(rows, blocked({row.instance_id: row.status for row in rows}, waits))
