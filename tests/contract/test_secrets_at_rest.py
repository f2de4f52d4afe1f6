"""No secret lies in the store as it is: not in its file, its log, its backups, nor in its rows."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection, make_url
from structlog.testing import capture_logs

from taskrunner.cli import main
from taskrunner.errors import ConfigError, StoreError
from taskrunner.model.codec import DEFINITION
from taskrunner.model.masks import MASK
from taskrunner.service.reencryption import (
    BATCH,
    KEPT,
    LOOK_S,
    PAUSE_S,
    SEARCH,
    Reencryption,
    rotate,
)
from taskrunner.service.store import alarms as alarm_store
from taskrunner.service.store import answered_calls, machines, pipelines
from taskrunner.service.store.backend import Opening
from taskrunner.service.store.database import Store
from taskrunner.service.store.key_tables import data_keys
from taskrunner.service.store.resealing import reseal
from taskrunner.service.store.rows import AlarmRow, AnsweredCall, MachineRow
from taskrunner.service.store.sealed_bodies import sealed_body
from taskrunner.service.store.store_key import StoreKeys, StoreKeySource
from taskrunner.service.store.tables import METADATA, definitions
from taskrunner.service.store.tables import alarms as alarms_table
from taskrunner.service.store.tables import machines as machines_table
from taskrunner.testing import FakeClock
from taskrunner.testing.service import as_definition
from tests.contract.stores import OPENING
from tests.contract.test_migrations import migrated
from tests.statements import asked, plans

NOW = datetime(2026, 2, 13, 2, tzinfo=UTC)
#: What must not be found, and what must, so that the search is known to look everywhere.
CANARY, SEEN = "c4n4ry-in-a-coal-mine", "s33n-by-everybody"
DEFINED = as_definition(
    {
        "objects": [
            {"id": "Default", "scheduleType": "ondemand", "workerGroup": SEEN},
            {"id": "D", "type": "RdsDatabase", "*password": [CANARY, f"{CANARY}-2"]},
        ],
        "parameters": [
            {"id": "*myKey", "type": "String", "default": CANARY, "allowedValues": [CANARY]}
        ],
        "values": {"*myKey": CANARY},
    }
)
ALARM = AlarmRow(
    pipeline_id="df-1",
    alarm_id="a",
    instance_id="@A",
    action_id="X",
    event="onFail",
    topic_arn=f"*{CANARY}",
    subject=SEEN,
    message="",
    status="PENDING",
    tries=0,
    created_at=NOW,
    next_at=NOW,
)
MACHINE = MachineRow(
    machine_id="m-1",
    pipeline_id="df-1",
    instance_id="@R",
    launch=1,
    number=0,
    account="1",
    worker_group=SEEN,
    region="eu-west-1",
    token=CANARY,
    created_at=NOW,
)
CALL = AnsweredCall(
    key_id=SEEN,
    signature="s",
    operation="PollForTask",
    begun_at=NOW,
    good_until=NOW,
    answer=CANARY.encode(),
)


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    with closing(Store(database_url, clock=FakeClock(), opening=OPENING)) as store:
        yield store


def fill(store: Store) -> None:
    """Have everything in it that is secret."""
    with store.write() as conn:
        put(conn, 1)
        alarm_store.insert_alarm(conn, ALARM)
        machines.insert(conn, [MACHINE])
        machines.claim(conn, "m-1", f"key-{CANARY}")
        answered_calls.insert(conn, CALL)


def put(conn: Connection, version: int) -> None:
    pipelines.save_definition(conn, "df-1", version, DEFINITION.encode(DEFINED), NOW)


def put_plain(conn: Connection, versions: int) -> None:
    """What an earlier version of the program has left."""
    body = DEFINITION.encode(DEFINED)
    for version in range(1, versions + 1):
        row = {"pipeline_id": "df-1", "version": version, "body": body, "created_at": NOW}
        conn.execute(definitions.insert().values(row))
    conn.execute(alarms_table.insert(), ALARM.columns())
    keyed = replace(MACHINE, secret=f"key-{CANARY}")
    conn.execute(machines_table.insert(), keyed.columns())


def check_all(store: Store, versions: int = 1) -> None:
    """Everything is there for whoever has the key."""
    with store.read() as conn:
        for version in range(1, versions + 1):
            body = pipelines.load_definition(conn, "df-1", version)
            assert body is not None
            assert DEFINITION.decode(body) == DEFINED
        assert [row.topic for row in alarm_store.due_alarms(conn, NOW, 5)] == [CANARY]
        assert [row.topic_arn for row in alarm_store.load_alarms(conn, "df-1")] == [f"*{CANARY}"]
        (machine,) = machines.everything(conn)
        assert (machine.token, machine.secret) == (CANARY, f"key-{CANARY}")


def stored(store: Store, database_url: str) -> bytes:
    """Every byte of the store that anybody could get at: files, a backup, or all rows."""
    if store.is_sqlite:
        path = Path(str(make_url(database_url).database))
        backup = path.with_name("backup")
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(backup)) as target:
            source.backup(target)
        files = [path, path.with_name("service.db-wal"), backup]
        found = [file.read_bytes() for file in files]
        backup.unlink()
        # Each of the three has it, so that each is known to have been looked through.
        assert all(SEEN.encode() in content for content in (found[0] + found[1], found[2]))
        return b"".join(found)
    with store.read() as conn:
        rows = [
            list(map(str, row))
            for table in METADATA.sorted_tables
            for row in conn.execute(sa.text(f'SELECT * FROM "{table.name}"'))
        ]
        blobs = [
            bytes(row[0])
            for row in conn.execute(
                sa.text("SELECT answer FROM answered_calls WHERE answer IS NOT NULL")
            )
        ]
    return json.dumps(rows).encode() + b"".join(blobs)


def all_sealed(work: Reencryption) -> int:
    """Go on until nothing is left; in how many transactions."""
    steps = 0
    while work.step(NOW) != LOOK_S:
        steps += 1
    return steps


# -- at rest ----------------------------------------------------------------------------------


def test_nothing_secret_lies_in_the_store_as_it_is(store: Store, database_url: str) -> None:
    fill(store)
    check_all(store)
    with store.read() as conn:
        assert answered_calls.find(conn, SEEN, "s") == CALL
    content = stored(store, database_url)
    assert SEEN.encode() in content
    assert CANARY.encode() not in content


def test_a_call_that_is_answered_later_is_sealed_too(store: Store, database_url: str) -> None:
    with store.write() as conn:
        answered_calls.insert(conn, replace(CALL, answer=None))
        answered_calls.complete(conn, SEEN, "s", CANARY.encode())
        found = answered_calls.find(conn, SEEN, "s")
        assert found is not None
        assert found.answer == CANARY.encode()
    assert CANARY.encode() not in stored(store, database_url)


@pytest.mark.parametrize("moved", ["version", "object", "number"])
def test_a_sealed_secret_opens_in_its_place_only(store: Store, moved: str) -> None:
    fill(store)
    with store.write() as conn:
        body = conn.execute(sa.select(definitions.c.body)).scalar_one()
        fields = body["pipelineObjects"][1]["fields"]
        if moved == "object":
            body["pipelineObjects"][1]["id"] = "E"
        elif moved == "number":
            fields[-1]["stringValue"], fields[-2]["stringValue"] = (
                fields[-2]["stringValue"],
                fields[-1]["stringValue"],
            )
        values = {"body": body, "version": 2 if moved == "version" else 1}
        conn.execute(definitions.update().values(values))
    with store.read() as conn, pytest.raises(StoreError, match="was changed or moved") as error:
        pipelines.load_definition(conn, "df-1", values["version"])
    assert "definitions df-1" in str(error.value)


def test_a_mask_is_not_sealed_for_a_secret(store: Store) -> None:
    masked = as_definition([{"id": "D", "type": "RdsDatabase", "*password": MASK}])
    with store.write() as conn:
        pipelines.save_definition(conn, "df-1", 1, DEFINITION.encode(masked), NOW)
        row = conn.execute(sa.select(definitions.c.body, definitions.c.data_key)).one()
    assert MASK in json.dumps(row.body)
    assert row.data_key == ""


# -- taking over ------------------------------------------------------------------------------


def test_what_an_earlier_version_has_left_is_sealed_in_batches(database_url: str) -> None:
    versions = BATCH * 2 + 1
    with migrated(database_url, "head") as engine, engine.begin() as conn:
        put_plain(conn, versions)
    with closing(Store(database_url, clock=FakeClock(), opening=OPENING)) as store:
        assert CANARY.encode() in stored(store, database_url)
        check_all(store, versions)
        with capture_logs() as log:
            assert all_sealed(Reencryption(store)) == 3
        assert [(r["event"], r["rows"]) for r in log] == [
            ("secrets in the store were sealed anew", versions + 2)
        ]
        check_all(store, versions)
        assert CANARY.encode() not in stored(store, database_url)
        with capture_logs() as log:
            assert all_sealed(Reencryption(store)) == 0
        assert log == []


# -- rotation ---------------------------------------------------------------------------------


def test_a_rotation_that_was_stopped_is_gone_on_with(store: Store) -> None:
    fill(store)
    with store.write() as conn:
        for version in range(2, BATCH + 10):
            put(conn, version)
    before = store.keyring.current
    first, _ = rotate(store)
    Reencryption(store).batch()  # and then it is killed
    assert first != before
    assert rotate(store) == (first, 0)
    assert all_sealed(Reencryption(store)) > 0
    check_all(store, BATCH + 9)
    with store.read() as conn:
        keys = set(conn.execute(sa.select(definitions.c.data_key)).scalars())
    assert keys == {first}


def test_a_retired_key_goes_after_a_day_when_nothing_needs_it(store: Store) -> None:
    fill(store)
    before = store.keyring.current
    rotate(store)
    work = Reencryption(store)
    all_sealed(work)
    made = FakeClock().now()
    for later, left in ((KEPT / 2, 2), (KEPT + timedelta(seconds=1), 1)):
        work.step(made + later)
        with store.read() as conn:
            ids = conn.execute(sa.select(data_keys.c.key_id)).scalars().all()
        assert len(ids) == left
    assert before not in ids
    check_all(store)


def test_what_is_sealed_late_by_a_retired_key_is_sealed_anew(store: Store) -> None:
    fill(store)
    before = store.keyring.current
    rotate(store)
    work = Reencryption(store)
    all_sealed(work)
    with store.write() as conn:  # by a process that has not heard of it
        body = DEFINITION.encode(DEFINED)
        put(conn, 2)
        conn.execute(
            definitions.update()
            .where(definitions.c.version == 2)
            .values(body=json.loads(json.dumps(_by(store, before, body))), data_key=before)
        )
    work.step(FakeClock().now() + KEPT * 2)
    all_sealed(work)
    check_all(store, 2)
    with store.read() as conn:
        assert before not in conn.execute(sa.select(definitions.c.data_key)).scalars().all()


def _by(store: Store, key_id: str, body: object) -> object:
    """A body as a process seals it for which this key is still the newest."""

    class Late:
        current = key_id
        seal = store.keyring.seal

    assert isinstance(body, dict)
    return sealed_body(Late(), body, "df-1", 2)[0]  # type: ignore[arg-type]


def test_a_process_reads_what_another_has_sealed_by_a_key_it_did_not_know(
    database_url: str, store: Store
) -> None:
    fill(store)
    other = Store(database_url, opening=replace(OPENING, as_guest=True))
    with closing(other):
        rotate(other)
        all_sealed(Reencryption(other))
        check_all(store)


def test_nothing_is_searched_each_second_for_what_a_retired_key_has_sealed(store: Store) -> None:
    fill(store)
    rotate(store)
    work = Reencryption(store)
    all_sealed(work)
    now = FakeClock().now()
    with asked(store) as search:
        work.step(now)
        engine = _engine(store)
    assert any("FROM alarms" in statement for statement in search.samples)
    if store.is_sqlite:
        found = [plan for text, plan in plans(engine, search).items() if "FROM alarms" in text]
        assert found
        assert all("ix_alarms_secret" in plan for plan in found)
    with asked(store) as later:
        for second in range(1, 60):
            work.step(now + timedelta(seconds=second))
    assert not [text for text in later.samples if "FROM data_keys" not in text]
    assert later.writes == []
    with asked(store) as next_search:
        work.step(now + SEARCH)
    assert any("FROM alarms" in statement for statement in next_search.samples)


def _engine(store: Store) -> sa.Engine:
    with store.read() as conn:
        return conn.engine


def test_of_two_rotations_at_once_one_makes_a_key(store: Store, database_url: str) -> None:
    fill(store)
    other = Store(database_url, opening=replace(OPENING, as_guest=True))
    with closing(other), ThreadPoolExecutor(1) as pool:
        with store.write() as conn:
            store.keyring.take_over(conn)
            made = store.keyring.add(conn)
            second = pool.submit(rotate, other)
            if not store.is_sqlite:  # whose writers come one after the other
                _until_somebody_waits(store)
        assert second.result() == (made, 0)
    with store.read() as conn:
        in_use = sa.select(data_keys.c.key_id).where(data_keys.c.retired_at.is_(None))
        assert conn.execute(in_use).scalars().all() == [made]
    all_sealed(Reencryption(store))
    check_all(store)


def _until_somebody_waits(store: Store) -> None:
    waits = sa.text(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    seen = 0
    while not seen:
        with store.read() as conn:
            seen = conn.execute(waits).scalar_one()


@pytest.mark.external_service
def test_two_services_share_what_is_to_be_sealed_anew(postgresql_database: str) -> None:
    opening = replace(OPENING, as_guest=True)
    with (
        closing(Store(postgresql_database, clock=FakeClock(), opening=OPENING)) as store,
        closing(Store(postgresql_database, clock=FakeClock(), opening=opening)) as other,
        ThreadPoolExecutor(1) as pool,
    ):
        fill(store)
        with store.write() as conn:
            for version in range(2, BATCH + 6):
                put(conn, version)
        key, _ = rotate(store)
        work = Reencryption(other)
        with pytest.raises(Killed):
            _die_over_its_rows(store, work, pool)
        assert all_sealed(work) == 1
        with store.read() as conn:
            assert set(conn.execute(sa.select(definitions.c.data_key)).scalars()) == {key}
        check_all(store, BATCH + 5)


def _die_over_its_rows(store: Store, other: Reencryption, pool: ThreadPoolExecutor) -> None:
    with store.write() as conn:
        assert reseal(conn, BATCH) == BATCH + 2
        # With the other one waiting for them, this would never be answered.
        assert pool.submit(other.step, NOW).result(60) == PAUSE_S
        assert other.step(NOW) == LOOK_S
        assert not other.is_complete()
        raise Killed


class Killed(Exception):
    """The service dies."""


# -- keys of the store ------------------------------------------------------------------------


def key_of(byte: bytes) -> str:
    return base64.b64encode(byte * 32).decode()


def test_a_store_does_not_open_with_another_key(store: Store, database_url: str) -> None:
    fill(store)
    store.close()
    other = StoreKeySource(given=StoreKeys.parse(key_of(b"x"), "x"))
    with pytest.raises(StoreError, match="wanted the one with the fingerprint"):
        Store(database_url, opening=Opening(store_key=other))
    with closing(Store(database_url, opening=OPENING)) as again:
        check_all(again)


def test_with_a_server_the_key_must_be_named() -> None:
    with pytest.raises(ConfigError, match=r"openssl rand -base64 32.*--store-key-file"):
        Store("postgresql://u:p@127.0.0.1:1/d")


def test_a_key_that_lay_beside_the_file_is_missed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'service.db'}"
    with closing(Store(url)) as store:
        fill(store)
    key = tmp_path / "service.db-key"
    content = key.read_bytes()
    key.unlink()
    with pytest.raises(ConfigError, match=r"service\.db-key cannot be read: No such file"):
        Store(url)
    assert not key.exists()
    key.write_bytes(content)
    key.chmod(0o600)
    with closing(Store(url)) as store:
        check_all(store)


def test_keys_are_rotated_beside_the_running_service(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url, key = f"sqlite:///{tmp_path / 'service.db'}", tmp_path / "service.db-key"
    with closing(Store(url)) as store:
        fill(store)
        old = key.read_text()
        key.write_text(f"{key_of(b'n')}\n{old}")
        assert main(["keys", "rotate", "--database-url", url]) == 0
        said = capsys.readouterr().out
        assert "data keys that the store's new key has sealed: 1" in said
        assert "rows sealed anew: 3" in said
        key.write_text(key_of(b"n"))
        with store.write() as conn:
            put(conn, 2)
        check_all(store, 2)
    with closing(Store(url)) as store:  # the old key is not needed any more
        check_all(store, 2)


def test_no_keys_are_rotated_where_there_is_no_store(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["keys", "rotate", "--database-url", f"sqlite:///{tmp_path / 'none.db'}"]) == 1
    assert "none.db: start the service once" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
