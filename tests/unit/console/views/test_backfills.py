from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from taskrunner.console.views.backfills import VERBS, backfill_line, backfill_page, backfills_page
from taskrunner.console.views.words import sign
from taskrunner.service.v1.backfill_shapes import (
    BackfillList,
    BackfillRuns,
    BackfillState,
    BackfillSummary,
)
from taskrunner.service.v1.requests import Order, Redo

AT = datetime(2026, 11, 30, 2, tzinfo=UTC)
ONE = BackfillSummary(
    id="bf-1",
    pipeline_id="df-1",
    state=BackfillState.RUNNING,
    first=AT,
    last=AT,
    redo=Redo.FAILED,
    components=("A", "B"),
    asked_by="ops",
    asked_at=AT,
    periods=3,
    begun=2,
    counts={"FAILED": 1, "FINISHED": 3, "RUNNING": 2},
    done=4,
    total=6,
)


def test_a_line_says_what_runs_and_how_far_it_is() -> None:
    line = backfill_line(ONE)
    assert line.address == "/p/df-1/backfills/bf-1"
    assert line.what == "missing and failed runs of A, B"
    assert (line.begun, line.periods, line.done, line.total, line.ill) == (2, 3, 4, 6, 1)
    assert backfill_line(replace(ONE, components=(), redo=Redo.ALL)).what == "every run"
    limited = replace(ONE, components=(), limit=2, order=Order.NEWEST)
    assert backfill_line(limited).what == "missing and failed runs, 2 at once, the newest first"
    paused = replace(ONE, state=BackfillState.PAUSED, paused_at=AT, paused_by="me")
    assert backfill_line(paused).paused == "since 2026-11-30 02:00 by me"


@pytest.mark.parametrize("state", BackfillState)
def test_every_state_has_a_sign_and_what_is_over_has_no_buttons(state: BackfillState) -> None:
    assert sign(state).glyph != "?"
    page = backfill_page(replace(ONE, state=state), BackfillRuns(runs=()), asks=True, now=AT)
    live = state in {BackfillState.BEGINNING, BackfillState.RUNNING, BackfillState.PAUSED}
    assert bool(page.choices) is live
    assert page.asks is live
    assert {verb for verb, _ in page.choices} <= VERBS.keys()
    assert page.command == f"taskrunner backfill {'cancel' if live else 'show'} bf-1"


def test_the_next_page_is_of_the_same_list() -> None:
    found = BackfillList(backfills=(ONE,), marker="m")
    assert backfills_page(found, path="/backfills", query={}).more == "/backfills?marker=m"
    assert backfills_page(BackfillList(backfills=()), path="/backfills", query={}).more == ""
