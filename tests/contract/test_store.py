"""What the service asks of its store, on every kind of store."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from taskrunner.errors import PipelineNotFound, StoreInUse
from taskrunner.model.decisions import Queue
from taskrunner.model.instances import Category, Dependency, DependencyKind, InstanceSpec
from taskrunner.model.rows import AttemptRow, InstanceRow, Row
from taskrunner.model.runs import Run
from taskrunner.model.states import (
    AttemptStatus,
    IllegalTransition,
    InstanceStatus,
    PipelineState,
)
from taskrunner.service.callers import ANONYMOUS
from taskrunner.service.duties import STORE_NAP_S
from taskrunner.service.engine import Service
from taskrunner.service.settings import ServiceSettings
from taskrunner.service.store import (
    alarms,
    attempts,
    concerns,
    instances,
    links,
    pipelines,
    summaries,
)
from taskrunner.service.store import due as due_store
from taskrunner.service.store.database import Store
from taskrunner.service.store.pages import INSTANCES
from taskrunner.service.store.rows import (
    AlarmRow,
    AnsweredCall,
    HandoutRow,
    MachineRow,
    PauseRow,
    PipelineRow,
    ScheduleRow,
)
from taskrunner.service.store.tables import METADATA
from taskrunner.testing import FakeClock
from tests.contract.stores import OPENING

NOW = datetime(2026, 2, 13, 2, 0, 0, 123456, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
S, A = InstanceStatus, AttemptStatus


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    store = Store(database_url, opening=OPENING)
    yield store
    store.close()


PIPELINE = PipelineRow(
    pipeline_id="df-1",
    account="1",
    user_id="u",
    name="p",
    unique_id="1",
    description=None,
    tags=(("k", "v"),),
    state=PipelineState.PENDING,
    created_at=NOW,
)


def spec(name: str, *on: str, at: datetime = NOW, **changes: Any) -> InstanceSpec:
    made = InstanceSpec(
        instance_id=f"@{name}",
        component_id=name,
        name=name,
        type="ShellCommandActivity",
        category=Category.ACTIVITY,
        start=at,
        end=at + MINUTE,
        not_before=at,
        worker_group="wg",
        dependencies=tuple(Dependency(f"@{o}", DependencyKind.DEPENDS_ON) for o in on),
    )
    return replace(made, **changes)


def attempt(instance: str = "A", number: int = 1, **changes: Any) -> AttemptRow:
    made = AttemptRow(
        pipeline_id="df-1",
        attempt_id=f"@{instance}_Attempt={number}",
        instance_id=f"@{instance}",
        number=number,
        status=A.WAITING_FOR_RUNNER,
        worker_group="wg",
        queue=Queue.READY,
        ready_at=NOW,
        lease_s=300,
        created_at=NOW,
    )
    return replace(made, **changes)


# -- the rows -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "cls"),
    [
        ("pipelines", PipelineRow),
        ("schedules", ScheduleRow),
        ("runs", Run),
        ("instances", InstanceRow),
        ("attempts", AttemptRow),
        ("handouts", HandoutRow),
        ("alarms", AlarmRow),
        ("answered_calls", AnsweredCall),
        ("machines", MachineRow),
        ("pauses", PauseRow),
    ],
)
def test_a_row_class_has_a_field_for_every_column(table: str, cls: type[Row]) -> None:
    names: tuple[str, ...] = cls.__slots__
    assert sorted(names) == sorted(METADATA.tables[table].columns.keys())


def test_a_row_comes_back_as_it_was_written(store: Store) -> None:
    full = attempt(
        number=2,
        status=A.FAILED,
        task_id="t",
        report_by=NOW + MINUTE,
        timeout_s=1.5,
        started_at=NOW,
        ended_at=NOW,
        hostname="h",
        error_id="E",
        error_message="m",
        error_stack_trace="s",
        progress={"step": "1"},
    )
    pipeline = replace(PIPELINE, first_activated_at=NOW, latest_version=3, active_version=2)
    with store.write() as conn:
        for row in (attempt(), full):
            attempts.insert_attempt(conn, row)
        pipelines.insert_pipeline(conn, pipeline)
    with store.read() as conn:
        assert attempts.load_attempts(conn, "df-1") == [attempt(), full]
        assert pipelines.load_pipeline(conn, "df-1") == pipeline


def test_rows_are_paged_in_order_from_one_place_to_another(store: Store) -> None:
    """Those of one moment too."""
    names = ["E", "D", "C", "B", "A"]
    with store.write() as conn:
        specs = [spec(name, at=NOW if name in "DE" else NOW + MINUTE) for name in names]
        instances.insert_instances(conn, "df-1", 1, specs, NOW)

    def page(
        *wanted: str, after: str | None = None, up_to: str | None = None, limit: int = 9
    ) -> list[str]:
        parts = [[INSTANCES.table.c.component_id == name] for name in wanted] or [[]]
        begin, end = places.get(after or ""), places.get(up_to or "")
        found = INSTANCES.next_rows(conn, "df-1", parts, after=begin, up_to=end, limit=limit)
        return [row.component_id for row in found]

    with store.read() as conn:
        rows = instances.load_instances(conn, "df-1")
        places = {row.component_id: INSTANCES.place(row) for row in rows}
        assert page() == ["D", "E", "A", "B", "C"]
        assert page(after="E", limit=2) == ["A", "B"]
        assert page(after="D", up_to="A") == ["E", "A"]
        # Of several parts the first rows of all of them.
        assert page("C", "E", "A", limit=2) == ["E", "A"]
        assert INSTANCES.place_beyond(conn, "df-1", after=None, rows=3) == places["A"]
        assert INSTANCES.place_beyond(conn, "df-1", after=places["A"], rows=2) == places["C"]
        assert INSTANCES.place_beyond(conn, "df-1", after=places["A"], rows=3) is None


# -- the schema -----------------------------------------------------------------------------


def test_the_migrations_build_the_tables_that_the_code_names(store: Store) -> None:
    with store.read() as conn:
        context = MigrationContext.configure(conn, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []


def test_an_existing_database_is_opened_as_it_is(store: Store, database_url: str) -> None:
    with store.write() as conn:
        pipelines.insert_pipeline(conn, PIPELINE)
    store.close()
    again = Store(database_url, opening=OPENING)
    with again.read() as conn:
        assert pipelines.load_pipeline(conn, "df-1") == PIPELINE
    again.close()


def test_services_that_start_together_migrate_once(database_url: str) -> None:
    is_sqlite = database_url.startswith("sqlite")

    def open_and_close(_: int) -> bool:
        try:
            Store(database_url, opening=OPENING).close()
        except StoreInUse:
            assert is_sqlite, "a server's database is for any number of services"
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(open_and_close, range(8)))
    assert any(opened)
    store = Store(database_url, opening=OPENING)
    with store.read() as conn:
        assert conn.execute(sa.text("SELECT count(*) FROM alembic_version")).scalar() == 1
        assert METADATA.tables.keys() <= set(sa.inspect(conn).get_table_names())
    store.close()


# -- transactions ---------------------------------------------------------------------------


def test_what_raises_leaves_nothing_behind(store: Store) -> None:
    def fails() -> None:
        with store.write() as conn:
            pipelines.insert_pipeline(conn, PIPELINE)
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    with store.read() as conn, pytest.raises(PipelineNotFound):
        pipelines.load_pipeline(conn, "df-1")


def test_readers_do_not_wait_for_a_writer_and_see_only_what_is_committed(store: Store) -> None:
    with store.write() as conn:
        pipelines.insert_pipeline(conn, PIPELINE)
        with store.read() as other:
            assert pipelines.list_pipelines(other, None, None, 10) == []
    with store.read() as other:
        assert len(pipelines.list_pipelines(other, None, None, 10)) == 1


# -- pipelines ------------------------------------------------------------------------------


def test_moments_and_tags_come_back_as_they_were(store: Store) -> None:
    with store.write() as conn:
        assert pipelines.insert_pipeline(conn, PIPELINE) == "df-1"
    with store.read() as conn:
        found = pipelines.load_pipeline(conn, "df-1", account="1")
    assert found == PIPELINE
    assert found.created_at.tzinfo is UTC


def test_of_two_with_one_unique_id_the_first_stays(store: Store) -> None:
    with store.write() as conn:
        pipelines.insert_pipeline(conn, PIPELINE)
        second = replace(PIPELINE, pipeline_id="df-2")
        assert pipelines.insert_pipeline(conn, second) == "df-1"


def test_one_pipeline_is_made_however_many_ask_at_once(database_url: str) -> None:
    service = Service(ServiceSettings(database_url=database_url, opening=OPENING))
    try:
        with ThreadPoolExecutor(8) as pool:
            made = set(pool.map(lambda _: service.create_pipeline(ANONYMOUS, "p", "1"), range(24)))
    finally:
        service.stop()
    assert len(made) == 1


def test_definitions_are_kept_by_version(store: Store) -> None:
    with store.write() as conn:
        pipelines.insert_pipeline(conn, PIPELINE)
        for version in (1, 2):
            pipelines.save_definition(conn, "df-1", version, {"is": version}, NOW)
    with store.read() as conn:
        assert pipelines.load_definition(conn, "df-1", 1) == {"is": 1}
        assert pipelines.load_definition(conn, "df-1", 3) is None
        assert pipelines.load_pipeline(conn, "df-1").latest_version == 2


def test_due_schedules_come_in_their_order(store: Store) -> None:
    rows = [
        ScheduleRow(pipeline_id="df-1", schedule_id=key, next_index=n, next_at=at)
        for n, (key, at) in enumerate(
            {"b": NOW, "a": NOW - MINUTE, "later": NOW + MINUTE, "over": None}.items()
        )
    ]
    with store.write() as conn:
        pipelines.insert_pipeline(conn, PIPELINE)
        pipelines.replace_schedules(conn, "df-1", rows)
        due = pipelines.due_schedules(conn, NOW, 10)
        assert [row.schedule_id for row in due] == ["a", "b"]
        pipelines.set_schedule(conn, due[0], 9, None)
        assert [row.schedule_id for row in pipelines.due_schedules(conn, NOW, 10)] == ["b"]


# -- instances ------------------------------------------------------------------------------


def test_an_instance_is_made_once(store: Store) -> None:
    with store.write() as conn:
        instances.insert_instances(conn, "df-1", 1, [spec("A"), spec("B", "A")], NOW)
        instances.insert_instances(conn, "df-1", 2, [spec("A"), spec("C", "A", "B")], NOW)
    with store.read() as conn:
        rows = instances.load_instances(conn, "df-1")
        assert [(r.instance_id, r.version) for r in rows] == [("@A", 1), ("@B", 1), ("@C", 2)]
        waits = links.dependencies_of(conn, "df-1", ["@C"])
        assert {d.instance_id for d in waits["@C"]} == {"@A", "@B"}
        waited = links.dependents_of(conn, "df-1", ["@A"])
        assert {d.instance_id for d in waited["@A"]} == {"@B", "@C"}


def test_the_neighbours_of_instances_are_found_at_once(store: Store) -> None:
    specs = [
        spec("A"),
        spec("B", "A", at=NOW + MINUTE),
        spec("C", "A", "B"),
        spec("P", node_id="@C"),
        spec("Alone"),
    ]
    with store.write() as conn:
        instances.insert_instances(conn, "df-1", 1, specs, NOW)
        instances.insert_instances(conn, "df-2", 1, [spec("A"), spec("X", "A")], NOW)
    with store.read() as conn:
        found = links.neighbours(conn, "df-1", ["@A", "@C", "@P", "@Alone"])
        assert {key: [row.instance_id for row in rows] for key, rows in found.items()} == {
            "@A": ["@C", "@B"],  # oldest first
            "@C": ["@A", "@B"],
            "@P": ["@C"],
        }
        assert found["@P"] == [instances.load_instance(conn, "df-1", "@C")]


def test_a_change_needs_the_status_that_it_expects(store: Store) -> None:
    with store.write() as conn:
        instances.insert_instances(conn, "df-1", 1, [spec("A")], NOW)
        (row,) = instances.load_instances(conn, "df-1")
        assert instances.update_instance(conn, row, status=S.CREATING)
        assert not instances.update_instance(conn, row, status=S.CANCELED)
        assert instances.statuses(conn, "df-1", ["@A"]) == {"@A": S.CREATING}
        with pytest.raises(IllegalTransition):
            instances.update_instance(conn, row, status=S.RUNNING)


def test_due_instances_are_woken_and_put_off(store: Store) -> None:
    later = NOW + MINUTE

    def due(at: datetime) -> list[str]:
        return [row.instance_id for row in due_store.claim_due(conn, at, 10)]

    with store.write() as conn:
        pipelines.insert_pipeline(conn, PIPELINE)
        instances.insert_instances(conn, "df-1", 1, [spec("A"), spec("B", at=later)], NOW)
        assert (due(NOW), due(later)) == (["@A"], ["@A", "@B"])
        instances.put_off(conn, "df-1", ["@A", "@B"], None)
        assert (due(later), due_store.next_due(conn)) == ([], None)
        (row, _) = instances.load_instances(conn, "df-1")
        instances.look_again(conn, row, later)
        instances.look_again(conn, row, later + MINUTE)  # sooner stands
        assert due_store.next_due(conn) == later
        instances.wake(conn, "df-1", ["@A", "@nobody"], NOW)
        assert due(NOW) == ["@A"]
        instances.update_instance(conn, row, status=S.CANCELED, due_at=None)
        instances.wake(conn, "df-1", ["@A"], NOW)
        assert due(later) == []


def test_places_are_offered_to_those_that_wait_for_nothing_else(store: Store) -> None:
    specs = [
        *(spec(f"blocked{n}", component_id="X") for n in range(10)),
        *(spec(f"free{n}", component_id="X", at=NOW + n * MINUTE) for n in range(10)),
        spec("other", component_id="Y"),
    ]
    with store.write() as conn:
        pipelines.insert_pipeline(conn, PIPELINE)
        instances.insert_instances(conn, "df-1", 1, specs, NOW)
        instances.put_off(conn, "df-1", [s.instance_id for s in specs], None)
        for row in instances.load_instances(conn, "df-1"):
            wants = not row.instance_id.startswith("@blocked")
            instances.update_instance(conn, row, place_wanted=wants)
        (one,) = instances.load_instances(conn, "df-1", ["@blocked1"])
        instances.wake_siblings(conn, one, NOW)
        woken = due_store.claim_due(conn, NOW, 20)
        assert sorted(row.instance_id for row in woken) == [f"@free{n}" for n in range(8)]
        instances.put_off(conn, "df-1", ["@free0"], None)
        instances.wake_siblings(conn, one, NOW)
        woken = due_store.claim_due(conn, NOW, 20)
        assert sorted(row.instance_id for row in woken) == [f"@free{n}" for n in range(1, 9)]


def test_who_waits_for_a_place_is_found_by_its_index(store: Store) -> None:
    if not store.is_sqlite:
        pytest.skip("PostgreSQL plans by what the table holds")
    statement = instances._WANT_PLACE.statement
    values = {"of_pipeline": "df-1", "of_component": "X"}
    with store.read() as conn:
        text = statement.params(values).compile(
            conn, compile_kwargs={"literal_binds": True, "render_postcompile": True}
        )
        plan = conn.execute(sa.text(f"EXPLAIN QUERY PLAN {text}")).all()
    # One step: the order comes from the index as well.
    index = "ix_instances_place_wanted (pipeline_id=? AND component_id=?)"
    assert [line.detail for line in plan] == [f"SEARCH instances USING INDEX {index}"]


def test_the_live_ones_can_be_told_from_the_others(store: Store) -> None:
    with store.write() as conn:
        instances.insert_instances(conn, "df-1", 1, [spec("A"), spec("B")], NOW)
        (a, _) = instances.load_instances(conn, "df-1")
        instances.update_instance(conn, a, status=S.CANCELED)
        live = instances.load_instances(conn, "df-1", live=True)
        assert [row.instance_id for row in live] == ["@B"]
        assert instances.unfinished(conn, "df-1")
        found = instances.count_with_place(conn, "df-1", ["A", "B"], [S.CANCELED])
        assert found == {"A": 1}
        starts = [a.scheduled_start]
        assert instances.count_with_place(conn, "df-1", ["A"], [S.CANCELED], starts) == {"A": 1}
        assert instances.count_with_place(conn, "df-1", ["A"], [S.CANCELED], []) == {}
        assert instances.newest_start(conn, "df-1") == NOW
        assert instances.newest_start(conn, "df-2") is None


def test_two_schedulers_never_work_on_one_pipeline(store: Store) -> None:
    if store.is_sqlite:
        pytest.skip("SQLite has one writer at a time anyway")
    with store.write() as conn:
        for key in ("df-1", "df-2"):
            row = replace(PIPELINE, pipeline_id=key, unique_id=key)
            pipelines.insert_pipeline(conn, row)
            instances.insert_instances(conn, key, 1, [spec("A"), spec("B")], NOW)
    with store.write() as first, store.write() as second:
        (held,) = due_store.claim_due(first, NOW, 1)
        others = due_store.claim_due(second, NOW, 10)
        assert {row.pipeline_id for row in others} == {"df-1", "df-2"} - {held.pipeline_id}
        assert len(others) == 2


# -- attempts and hand-outs -----------------------------------------------------------------


def queue(conn: sa.Connection, *rows: AttemptRow) -> None:
    names = dict.fromkeys(row.instance_id.removeprefix("@") for row in rows)
    instances.insert_instances(conn, "df-1", 1, [spec(name) for name in names], NOW)
    for row in rows:
        attempts.insert_attempt(conn, row)


def test_the_queue_gives_out_the_oldest_that_is_ready(store: Store) -> None:
    with store.write() as conn:
        pipelines.insert_pipeline(conn, PIPELINE)
        queue(
            conn,
            attempt("late", ready_at=NOW + MINUTE),
            attempt("new"),
            attempt("old", ready_at=NOW - MINUTE),
            attempt("other", worker_group="other", ready_at=NOW - 2 * MINUTE),
            attempt("out", queue=Queue.OUT, ready_at=NOW - 3 * MINUTE),
        )
        given = []
        while (found := attempts.claim_ready(conn, "wg", NOW, account="1")) is not None:
            row, instance = found
            assert row.instance_id == instance.instance_id
            given.append(row.instance_id)
            assert attempts.update_attempt(conn, row, queue=Queue.OUT)
        assert given == ["@old", "@new"]
        assert not attempts.any_ready(conn, "wg", NOW, account="1")
        assert attempts.any_ready(conn, "wg", NOW + MINUTE, account="1")
        assert not attempts.any_ready(conn, "wg", NOW + MINUTE, account="2")


def test_an_attempt_changes_only_for_who_holds_it(store: Store) -> None:
    with store.write() as conn:
        row = attempt()
        queue(conn, row)
        assert attempts.update_attempt(conn, row, task_id="t1")
        assert not attempts.update_attempt(conn, row, held_by="t0", status=A.RUNNING)
        assert attempts.update_attempt(
            conn, row, held_by="t1", status=A.RUNNING, progress={"rows": "1"}
        )
        assert not attempts.update_attempt(conn, row, held_by="t1", status=A.FINISHED)
        (found,) = attempts.load_attempts(conn, "df-1", attempt_ids=[row.attempt_id])
        assert (found.status, found.progress) == (A.RUNNING, {"rows": "1"})


def test_the_head_is_the_newest_attempt(store: Store) -> None:
    with store.write() as conn:
        queue(conn, attempt(), *(attempt(number=n) for n in range(2, 12)), attempt("B"))
        heads = attempts.head_attempts(conn, "df-1", ["@A", "@B", "@C"])
        assert {key: row.number for key, row in heads.items()} == {"@A": 11, "@B": 1}


def test_a_hand_out_is_closed_once(store: Store) -> None:
    row = HandoutRow(
        task_id="t",
        pipeline_id="df-1",
        attempt_id="@A_Attempt=1",
        state="ASSIGNED",
        handed_out_at=NOW,
    )
    with store.write() as conn:
        attempts.insert_handout(conn, row)
        attempts.start_handout(conn, "t")
        assert attempts.close_handout(conn, "t", "DONE", verdict="FINISHED x")
        assert not attempts.close_handout(conn, "t", "SUPERSEDED")
        attempts.start_handout(conn, "t")
        expected = replace(row, state="DONE", verdict="FINISHED x")
        held = attempts.load_held(conn, "t", account="1", user="u")
        # What it was of may be gone: the hand-out is remembered all the same.
        assert held == attempts.Held(handout=expected, attempt=None, instance=None)
        assert attempts.load_held(conn, "never", account="1", user="u") is None


def test_a_hand_out_is_found_by_its_owner_alone(store: Store) -> None:
    row = HandoutRow(
        task_id="t",
        pipeline_id="df-1",
        attempt_id="@A_Attempt=1",
        state="ASSIGNED",
        handed_out_at=NOW,
        account="1",
        user_id="u",
    )
    with store.write() as conn:
        queue(conn, attempt())
        attempts.insert_handout(conn, row)
        (one,) = attempts.load_attempts(conn, "df-1", attempt_ids=["@A_Attempt=1"])
        instance = instances.load_instance(conn, "df-1", "@A")
        expected = attempts.Held(handout=row, attempt=one, instance=instance)
        assert attempts.load_held(conn, "t", account="1", user="u") == expected
        for account, user in (("1", "v"), ("2", "u"), ("", "")):
            assert attempts.load_held(conn, "t", account=account, user=user) is None


# -- alarms ---------------------------------------------------------------------------------


def test_an_alarm_with_the_same_id_is_the_same_alarm(store: Store) -> None:
    row = AlarmRow(
        pipeline_id="df-1",
        alarm_id="1",
        instance_id="@A",
        action_id="x",
        event="onFail",
        topic_arn="t",
        subject="first",
        message="m",
        status="PENDING",
        tries=0,
        created_at=NOW,
        next_at=NOW,
    )
    with store.write() as conn:
        alarms.insert_alarm(conn, row)
        alarms.update_alarm(conn, row, tries=1)
        alarms.insert_alarm(conn, replace(row, subject="again"))
        assert alarms.load_alarms(conn, "df-1") == [replace(row, tries=1)]
        assert len(alarms.due_alarms(conn, NOW, 5)) == 1
        assert alarms.due_alarms(conn, NOW - MINUTE, 5) == []


def test_instances_are_counted_by_status_up_to_a_number(store: Store) -> None:
    with store.write() as conn:
        pipelines.insert_pipeline(conn, PIPELINE)
        pipelines.insert_pipeline(conn, replace(PIPELINE, pipeline_id="df-2", unique_id="2"))
        specs = [spec(f"A{n}") for n in range(4)]
        instances.insert_instances(conn, "df-1", 1, specs, NOW)
        (first,) = instances.load_instances(conn, "df-1", ["@A0"])
        instances.update_instance(conn, first, status=S.FAILED)
        whose = summaries.of_account("1")
        most, all_of_them = (concerns.counts(conn, whose, most) for most in (2, 3))
    waiting = S.WAITING_ON_DEPENDENCIES
    assert most["df-1"] == concerns.Counts({waiting: 2, S.FAILED: 1}, {waiting})
    assert all_of_them["df-1"] == concerns.Counts({waiting: 3, S.FAILED: 1})
    assert most["df-2"] == concerns.Counts()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_file_tells_of_every_commit_whoever_made_it(store: Store, database_url: str) -> None:
    before = store.mark()
    with store.read() as conn:
        pipelines.list_pipelines(conn, None, None, 1)
    assert store.mark() == before
    with store.write() as conn:
        conn.execute(sa.text("UPDATE store_identity SET changes = changes"))
    own = store.mark()
    assert own != before
    with closing(sqlite3.connect(str(sa.make_url(database_url).database))) as other:
        other.execute("UPDATE store_identity SET changes = changes + 1")
        assert store.mark() == own
        other.commit()
    assert store.mark() not in {before, own}


@pytest.mark.external_service
def test_what_is_due_is_not_looked_for_pipeline_by_pipeline(postgresql_database: str) -> None:
    """Also while the server has no statistics of a new store: it would take them squared."""
    statement = due_store.DUE.order_by(due_store.DUE.selected_columns.due_at).limit(100)
    options = {"literal_binds": True}
    with closing(Store(postgresql_database, opening=OPENING)) as store, store.write() as conn:
        for number in range(100):
            row = replace(PIPELINE, pipeline_id=f"df-{number}", unique_id=str(number))
            pipelines.insert_pipeline(conn, row)
        instances.insert_instances(conn, "df-1", 1, [spec(f"A{n}") for n in range(2000)], NOW)
        text = statement.params(at=NOW).compile(conn, compile_kwargs=options)
        plan = "\n".join(conn.exec_driver_sql(f"EXPLAIN {text}").scalars())
    assert "(pipeline_id = pipelines.pipeline_id)" not in plan, plan
    assert "due_at <=" in plan, plan


@pytest.mark.external_service
def test_a_server_tells_at_a_look_of_what_others_have_committed(postgresql_database: str) -> None:
    clock = FakeClock()
    with (
        closing(Store(postgresql_database, clock=clock, opening=OPENING)) as store,
        psycopg.connect(postgresql_database) as other,
    ):
        assert store.mark() is None, "nobody has looked"
        assert store.look()
        before = store.mark()
        assert store.mark() == before is not None
        other.execute("UPDATE store_identity SET changes = changes + 1")
        store.look()
        amid = store.mark()
        other.commit()
        assert store.mark() == amid, "a look costs something, a mark does not"
        assert store.look()
        assert store.mark() not in {before, amid}


@pytest.mark.external_service
def test_a_server_is_asked_nothing_for_what_this_process_has_committed(
    postgresql_database: str,
) -> None:
    with closing(Store(postgresql_database, clock=FakeClock(), opening=OPENING)) as store:
        store.look()
        before = store.mark()
        with store.read() as conn:
            pipelines.list_pipelines(conn, None, None, 1)
        assert store.mark() == before
        with pytest.raises(ZeroDivisionError), store.write():
            raise ZeroDivisionError
        assert store.mark() == before
        with store.write() as conn:
            pipelines.insert_pipeline(conn, PIPELINE)
        assert store.mark() not in {before, None}


@pytest.mark.external_service
def test_a_mark_is_not_believed_when_nobody_looks_any_more(postgresql_database: str) -> None:
    clock = FakeClock()
    with closing(Store(postgresql_database, clock=clock, opening=OPENING)) as store:
        store.look()
        clock.advance(STORE_NAP_S)
        assert store.mark() is not None
        clock.advance(STORE_NAP_S)
        clock.advance(0.1)
        assert store.mark() is None
        store.look()
        assert store.mark() is not None
