"""Backfills as something that is listed, paused, resumed and canceled, over both stores."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, cast

import pytest
import sqlalchemy as sa

from taskrunner.errors import InvalidRequest
from taskrunner.model.states import INSTANCE_LIVE, InstanceStatus
from taskrunner.service import backfill as planning
from taskrunner.service.apply import SchedulingTransaction
from taskrunner.service.backfill_rounds import IDLE_S, NAP_S
from taskrunner.service.backfills import new_backfill_id
from taskrunner.service.cleaner import ROUND_S
from taskrunner.service.engine import Service
from taskrunner.service.settings import Retention, ServiceSettings
from taskrunner.service.store import backfills as backfill_store
from taskrunner.service.store.backfills import BackfillRow, BackfillStage
from taskrunner.testing.service import as_definition
from tests.contract.v1 import OTHER, V1
from tests.unit.service.worlds import ON_DEMAND, T, schedule, scheduled, shell

HOUR = timedelta(hours=1)
FIRST = datetime.fromisoformat(f"{T}+00:00")
END = "2026-02-13T04:00:00Z"
SPAN = {"first": f"{T}Z", "last": END}
CHAIN = [scheduled(maxActiveInstances="1"), schedule(), shell("A"), shell("B", after="A")]


@pytest.fixture(scope="module")
def service_settings() -> ServiceSettings:
    return ServiceSettings(database_url="", retention=Retention(days=30))


def begun(v1: V1, **more: Any) -> tuple[str, str]:
    """A pipeline of which three periods of the past are backfilled, and the backfill."""
    made = v1.pipeline("p", CHAIN, activate=False)
    v1.world.advance(3 * HOUR - timedelta(minutes=30))
    v1.did(f"/pipelines/{made}/activate", start="2026-02-13T05:00:00Z")
    found = v1.did(f"/pipelines/{made}/backfill", **SPAN, **more)
    assert found["count"] == 3
    return made, found["backfill_id"]


def clean_up(v1: V1) -> None:
    while v1.world.service.cleaner.step(v1.world.now) != ROUND_S:
        pass
    v1.world.settle()


def live(v1: V1, pipeline: str) -> int:
    return sum(row.status in INSTANCE_LIVE for row in v1.world.instances(pipeline).values())


def test_a_backfill_is_listed_with_who_and_why_and_how_far_it_is(v1: V1) -> None:
    made, key = begun(v1, reason="the numbers of March were wrong")
    (found,) = v1.got("/backfills")["backfills"]
    assert found == v1.got(f"/backfills/{key}")
    assert found == {
        "id": key,
        "pipeline_id": made,
        "state": "RUNNING",
        **SPAN,
        "redo": "missing",
        "order": "oldest",
        "components": [],
        "reason": "the numbers of March were wrong",
        "asked_by": "operator-user",
        "asked_at": "2026-02-13T04:30:00Z",
        "periods": 3,
        "begun": 3,
        "counts": {"WAITING_FOR_RUNNER": 1, "WAITING_ON_DEPENDENCIES": 5},
        "done": 0,
        "total": 6,
    }
    shown = v1.got(f"/pipelines/{made}/instances/@A_{T}")
    assert shown["summary"]["backfill_id"] == key
    v1.world.conclude(v1.world.take())
    assert v1.got(f"/backfills/{key}")["done"] == 1
    v1.world.work_off()
    done = v1.got(f"/backfills/{key}")
    assert (done["state"], done["counts"], done["done"]) == ("FINISHED", {"FINISHED": 6}, 6)
    # What its schedule makes is none of a backfill.
    v1.world.advance(HOUR)
    later = v1.got(f"/pipelines/{made}/instances/@A_2026-02-13T05:00:00")
    assert "backfill_id" not in later["summary"]
    (entry,) = v1.got("/audit", role="admin", pipeline_id=made, operation="SetStatus")["entries"]
    assert (entry["objects"], entry["user"]) == (key, "operator-user")
    assert entry["after"] == f"backfill from {T}Z to {END}"


def test_each_run_of_a_backfill_is_told_as_far_as_it_is_its(v1: V1) -> None:
    made, key = begun(v1)
    v1.world.conclude(v1.world.take())
    runs = v1.got(f"/backfills/{key}/runs")["runs"]
    assert [run["start"] for run in runs] == [f"{T}Z", "2026-02-13T03:00:00Z", END]
    assert runs[0]["counts"] == {"FINISHED": 1, "WAITING_FOR_RUNNER": 1}
    assert runs[2]["status"] == "WAITING"
    v1.world.work_off()
    # What another one has begun since is that one's.
    again = v1.did(f"/pipelines/{made}/backfill", **SPAN, redo="all", component=["B"])
    (first, *_) = v1.got(f"/backfills/{key}/runs")["runs"]
    assert first["counts"] == {"FINISHED": 1}
    (first, *_) = v1.got(f"/backfills/{again['backfill_id']}/runs")["runs"]
    assert sum(first["counts"].values()) == 1
    assert v1.get(f"/backfills/{key}/runs", role=OTHER).status == 404


def test_what_a_backfill_begins_again_is_its_own_from_then_on(v1: V1) -> None:
    made, first = begun(v1)
    v1.world.work_off()
    found = v1.did(f"/pipelines/{made}/backfill", **SPAN, redo="all", component=["B"])
    second = v1.got(f"/backfills/{found['backfill_id']}")
    assert (second["components"], second["total"], second["redo"]) == (["B"], 3, "all")
    assert v1.got(f"/backfills/{first}")["total"] == 3
    ids = [one["id"] for one in v1.got("/backfills", pipeline_id=made)["backfills"]]
    assert sorted(ids) == sorted([first, second["id"]])


def test_nothing_that_runs_nothing_is_a_backfill(v1: V1) -> None:
    made, key = begun(v1)
    path = f"/pipelines/{made}/backfill"
    assert "backfill_id" not in v1.did(path, **SPAN)
    assert "backfill_id" not in v1.did(path, **SPAN, redo="all", dry_run=True)
    assert [one["id"] for one in v1.got("/backfills")["backfills"]] == [key]


def test_of_a_paused_backfill_nothing_new_begins(v1: V1) -> None:
    made, key = begun(v1)
    task = v1.world.take()
    for _ in range(2):
        paused = v1.did(f"/backfills/{key}/pause")
        assert (paused["state"], paused["paused_by"]) == ("PAUSED", "operator-user")
    assert v1.world.service.report_progress(task.task_id, {}) is False
    v1.world.conclude(task)  # what runs goes on
    assert v1.world.claim() is None
    shown = v1.got(f"/pipelines/{made}/instances/@B_{T}")
    assert (shown["summary"]["status"], shown["paused"]) == ("PAUSED", True)
    (waiting,) = v1.got(f"/pipelines/{made}/why", object_id=f"@B_{T}")["waiting"]
    cause = waiting["causes"][0]
    assert cause["says"].startswith("its backfill is paused by 'operator-user' since")
    assert cause["command"] == f"taskrunner backfill resume {key}"
    with pytest.raises(InvalidRequest, match=f"resume the backfill {key} instead"):
        v1.world.service.set_status(made, [f"@B_{T}"], "RESUME")
    # The schedule's own periods are not held.
    v1.world.advance(HOUR)
    own = v1.world.take()
    assert own.component_id == "A"
    v1.world.conclude(own)
    for _ in range(2):
        assert v1.did(f"/backfills/{key}/resume")["state"] == "RUNNING"
    assert v1.world.work_off()
    assert v1.got(f"/backfills/{key}")["state"] == "FINISHED"


def test_a_canceled_backfill_ends_all_of_it_and_nothing_else(v1: V1) -> None:
    made, key = begun(v1)
    v1.world.advance(HOUR)
    task = v1.world.take()
    v1.did(f"/backfills/{key}/pause")
    for _ in range(2):
        found = v1.did(f"/backfills/{key}/cancel")
        assert (found["state"], found["counts"]) == ("CANCELED", {"CANCELED": 6})
    assert "paused_by" not in found
    assert v1.world.service.report_progress(task.task_id, {}) is True
    assert live(v1, made) == 2
    assert v1.world.components(made)["A"].count("CANCELED") == 3
    message = v1.world.instances(made)[f"@A_{T}"].error_message
    assert message == "its backfill was canceled"
    answer = v1.post(f"/backfills/{key}/pause")
    assert (answer.status, "is CANCELED" in answer.json["error"]["message"]) == (400, True)


def test_a_cancellation_that_was_broken_off_is_gone_on_with(v1: V1) -> None:
    made, key = begun(v1)
    with v1.world.service.store.write() as conn:
        # As it is left by a service that dies after its first transaction.
        backfill_store.update(conn, key, stage=BackfillStage.CANCELING)
    assert v1.got(f"/backfills/{key}")["state"] == "CANCELING"
    clean_up(v1)
    assert v1.got(f"/backfills/{key}")["state"] == "CANCELED"
    assert live(v1, made) == 0
    # What somebody has run again since is not taken up.
    v1.world.service.set_status(made, [f"@A_{T}"], "RERUN")
    clean_up(v1)
    assert live(v1, made) == 1


def row_of(v1: V1, pipeline: str) -> BackfillRow:
    return BackfillRow(
        backfill_id=new_backfill_id(),
        pipeline_id=pipeline,
        stage=BackfillStage.GOING,
        first=FIRST,
        last=FIRST + 2 * HOUR,
        redo="all",
        components=(),
        asked_by="u",
        asked_at=v1.world.now,
        periods=0,
    )


def periods_of(v1: V1, pipeline: str) -> list[planning.Period]:
    wanted = planning.Wanted(
        first=FIRST, last=FIRST + 2 * HOUR, redo=frozenset(InstanceStatus), components=frozenset()
    )
    service = v1.world.service
    found = planning.plan(service, service.pipeline(pipeline), wanted)
    assert len(found) == 3
    return found


class Interrupted:
    """A service in which something else happens before its second transaction."""

    def __init__(self, service: Service, act: Callable[[], None]) -> None:
        self.store = service.store
        self._service, self._act, self._seen = service, act, 0

    def transaction(self) -> AbstractContextManager[SchedulingTransaction]:
        self._seen += 1
        if self._seen == 2:
            self._act()
        return self._service.transaction()


def interrupted(v1: V1, act: Callable[[], None]) -> Service:
    return cast(Service, Interrupted(v1.world.service, act))


def test_a_backfill_that_is_canceled_while_it_begins_begins_no_more(v1: V1) -> None:
    made, _ = begun(v1)
    v1.world.work_off()
    row = row_of(v1, made)

    def cancel() -> None:
        with v1.world.service.store.write() as conn:
            backfill_store.update(conn, row.backfill_id, stage=BackfillStage.CANCELED)

    assert planning.carry_out(interrupted(v1, cancel), row, periods_of(v1, made))
    found = v1.got(f"/backfills/{row.backfill_id}")
    assert (found["begun"], found["total"]) == (1, 2)


def test_a_backfill_that_cannot_go_on_is_what_has_begun_of_it(v1: V1) -> None:
    made, _ = begun(v1)
    v1.world.work_off()
    row, periods = row_of(v1, made), periods_of(v1, made)
    service = interrupted(v1, lambda: deactivated(v1, made))
    with pytest.raises(InvalidRequest, match="is being deactivated"):
        planning.carry_out(service, row, periods)
    found = v1.got(f"/backfills/{row.backfill_id}")
    assert (found["periods"], found["begun"]) == (1, 1)
    # Of one that cannot begin, nothing is there.
    with pytest.raises(InvalidRequest, match="is being deactivated"):
        planning.carry_out(v1.world.service, replace(row, backfill_id="bf-0"), periods)
    assert v1.get("/backfills/bf-0").status == 404


def deactivated(v1: V1, pipeline: str) -> None:
    v1.world.settle()
    v1.world.take()  # which keeps the pipeline DEACTIVATING
    v1.world.service.deactivate(pipeline, cancel_active=False)


def test_who_may_not_see_the_pipeline_sees_no_backfill_of_it(v1: V1) -> None:
    _, key = begun(v1)
    assert v1.get(f"/backfills/{key}", role=OTHER).status == 404
    assert v1.got("/backfills", role=OTHER)["backfills"] == []
    assert v1.post(f"/backfills/{key}/cancel", role=OTHER).status == 404
    assert v1.post(f"/backfills/{key}/cancel", role="viewer").status == 403
    assert v1.get("/backfills", role="bound").status == 403
    assert v1.get(f"/backfills/{key}", role="bound").status == 404
    assert v1.get("/backfills/bf-none").status == 404
    assert v1.got(f"/backfills/{key}")["state"] == "RUNNING"


def test_backfills_come_in_pages_and_go_with_their_pipeline(v1: V1) -> None:
    made, first = begun(v1)
    v1.world.work_off()
    path = f"/pipelines/{made}/backfill"
    later = v1.did(path, **SPAN, redo="all")["backfill_id"]
    page = v1.got("/backfills", limit=1)
    rest = v1.got("/backfills", limit=1, marker=page["marker"])
    ids = [one["id"] for one in page["backfills"] + rest["backfills"]]
    assert sorted(ids) == sorted([first, later])
    assert "marker" not in rest
    v1.world.service.delete_pipeline(made)
    assert v1.got("/backfills")["backfills"] == []
    with v1.world.service.store.read() as conn:
        assert conn.execute(sa.select(backfill_store.backfills)).all() == []


def test_a_backfill_is_kept_until_it_is_over_and_old(v1: V1) -> None:
    made, first = begun(v1)
    v1.world.work_off()
    key = v1.did(f"/pipelines/{made}/backfill", **SPAN, redo="all")["backfill_id"]
    v1.did(f"/backfills/{key}/pause")
    v1.world.clock.advance(timedelta(days=31))
    clean_up(v1)
    assert v1.got(f"/backfills/{key}")["state"] == "PAUSED"
    assert v1.get(f"/backfills/{first}").status == 404
    v1.did(f"/backfills/{key}/cancel")
    # Several at once.
    again = v1.did(f"/pipelines/{made}/backfill", **SPAN, redo="all")["backfill_id"]
    v1.did(f"/backfills/{again}/cancel")
    ids = [key, again]
    v1.world.clock.advance(timedelta(days=31))
    clean_up(v1)
    assert [v1.get(f"/backfills/{one}").status for one in ids] == [404] * 2


# -- so many periods at once --------------------------------------------------------------------

#: As many at a time as one likes: it is the backfill's own limit that counts.
WIDE = [scheduled(maxActiveInstances="5"), schedule(), shell("A"), shell("B", after="A")]


def limited(v1: V1, **asked: Any) -> tuple[str, str]:
    """A backfill of three periods of the past that has a limit."""
    made = v1.pipeline("p", WIDE, activate=False)
    v1.world.advance(3 * HOUR - timedelta(minutes=30))
    v1.did(f"/pipelines/{made}/activate", start="2026-02-13T05:00:00Z")
    found = v1.did(f"/pipelines/{made}/backfill", **SPAN, **asked)
    assert found["count"] == 3
    return made, found["backfill_id"]


def begun_starts(v1: V1, key: str) -> list[str]:
    return [run["start"][11:16] for run in v1.got(f"/backfills/{key}/runs")["runs"]]


@pytest.mark.parametrize(
    ("order", "expected"),
    [("oldest", ["02:00", "03:00", "04:00"]), ("newest", ["04:00", "03:00", "02:00"])],
)
def test_of_a_backfill_with_a_limit_the_next_period_begins_when_one_has_ended(
    v1: V1, order: str, expected: list[str]
) -> None:
    _, key = limited(v1, limit=1, order=order)
    seen: list[str] = []
    for number in range(1, 4):
        found = v1.got(f"/backfills/{key}")
        assert (found["begun"], found["periods"], found["limit"]) == (number, 3, 1)
        assert found["order"] == order
        (start,) = set(begun_starts(v1, key)) - set(seen)
        seen.append(start)
        v1.world.conclude(v1.world.take())  # its A
        assert v1.got(f"/backfills/{key}")["begun"] == number, "its B has not ended"
        v1.world.conclude(v1.world.take())
        v1.world.settle()
    assert seen == expected
    assert v1.got(f"/backfills/{key}")["state"] == "FINISHED"


def test_a_service_without_such_backfills_seldom_looks_for_them(v1: V1) -> None:
    begun(v1)
    assert v1.world.service.backfill_rounds.step(v1.world.now) == IDLE_S
    v1.world.reset()
    limited(v1, limit=1)
    assert v1.world.service.backfill_rounds.step(v1.world.now) == NAP_S


def test_a_limit_is_of_periods_and_failed_ones_make_room_too(v1: V1) -> None:
    made, key = limited(v1, limit=2)
    assert len(begun_starts(v1, key)) == 2
    instances = [f"@A_{T}", f"@B_{T}"]
    v1.did(f"/pipelines/{made}/cancel", ids=instances)
    assert len(begun_starts(v1, key)) == 3
    assert v1.got(f"/backfills/{key}")["state"] == "RUNNING"


def test_nothing_more_of_a_paused_or_canceled_backfill_begins(v1: V1) -> None:
    made, key = limited(v1, limit=1)
    v1.did(f"/backfills/{key}/pause")
    v1.did(f"/pipelines/{made}/cancel", component=["A", "B"])
    assert v1.got(f"/backfills/{key}")["state"] == "PAUSED"
    assert len(begun_starts(v1, key)) == 1
    v1.did(f"/backfills/{key}/resume")
    assert len(begun_starts(v1, key)) == 2
    v1.did(f"/pipelines/{made}/pause")
    v1.did(f"/pipelines/{made}/cancel", component=["A", "B"])
    assert len(begun_starts(v1, key)) == 2, "the pipeline is paused as a whole"
    v1.did(f"/backfills/{key}/cancel")
    v1.did(f"/pipelines/{made}/resume")
    clean_up(v1)
    assert len(begun_starts(v1, key)) == 2
    assert v1.got(f"/backfills/{key}")["state"] == "CANCELED"


def test_between_two_periods_a_backfill_is_not_over_and_a_stopped_pipeline_waits(v1: V1) -> None:
    made, key = limited(v1, limit=1)
    v1.did(f"/pipelines/{made}/deactivate")
    assert live(v1, made) == 0
    assert v1.got(f"/backfills/{key}")["begun"] == 1
    v1.world.advance(timedelta(days=31))
    clean_up(v1)
    assert v1.got(f"/backfills/{key}")["state"] == "BEGINNING", "it is kept"
    v1.did(f"/pipelines/{made}/activate")
    v1.world.settle()
    assert v1.got(f"/backfills/{key}")["begun"] > 0


def test_what_others_have_run_meanwhile_is_not_run_again(v1: V1) -> None:
    made, key = limited(v1, limit=1)
    other = v1.did(f"/pipelines/{made}/backfill", **SPAN)
    assert other["count"] == 2
    v1.world.work_off()
    v1.world.settle()
    found = v1.got(f"/backfills/{key}")
    assert (found["state"], found["begun"], found["periods"]) == ("FINISHED", 1, 1)


def test_a_backfill_that_cannot_go_on_gives_up_the_rest(v1: V1) -> None:
    made, key = limited(v1, limit=1)
    v1.did(f"/pipelines/{made}/deactivate")
    v1.world.service.put_definition(made, as_definition([ON_DEMAND, shell("A")]))
    v1.did(f"/pipelines/{made}/activate")
    found = v1.got(f"/backfills/{key}")
    assert (found["begun"], found["periods"]) == (1, 1)


def test_the_newest_come_first_only_where_there_is_a_limit(v1: V1) -> None:
    made, _ = limited(v1, limit=1)
    path = f"/pipelines/{made}/backfill"
    for wrong in ({"order": "newest"}, {"limit": 0}, {"limit": 1001}, {"order": "random"}):
        assert v1.post(path, **SPAN, **wrong).status == 400
