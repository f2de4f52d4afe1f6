"""Keys of callers in the store: good and gone without a restart, on either store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from taskrunner.cli import main
from taskrunner.errors import StoreError, UsageError
from taskrunner.service.auth import SigV4Authenticator
from taskrunner.service.auth_keys import ROLES
from taskrunner.service.reencryption import Reencryption, rotate
from taskrunner.service.store import access_keys
from taskrunner.service.store.database import Store
from taskrunner.service.store.key_tables import access_keys as table
from taskrunner.service.stored_keys import StoredKeys, Wanted, create, revoke
from taskrunner.testing import FakeClock
from taskrunner.wire.faults import UnknownClient
from taskrunner.wire.http import HttpRequest
from taskrunner.wire.keys import FixedKeys, Keys
from taskrunner.wire.signing import SigV4Signer
from tests.contract.stores import OPENING

NOW = datetime(2026, 2, 13, 2, tzinfo=UTC)


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    with closing(Store(database_url, clock=FakeClock(), opening=OPENING)) as store:
        yield store


def signed(key_id: str, secret: str, clock: FakeClock) -> HttpRequest:
    signer = SigV4Signer(
        FixedKeys(Keys(access_key=key_id, secret_key=secret)), region="us-east-1", clock=clock
    )
    headers = {"host": "h", "x-amz-target": "DataPipeline.ListPipelines"}
    request = HttpRequest(method="POST", path="/", query="", headers=headers, body=b"{}")
    return replace(request, headers=signer.sign(request))


def test_a_key_is_good_from_its_making_to_its_revocation(store: Store) -> None:
    clock = FakeClock()
    keys = StoredKeys(store)
    edge = SigV4Authenticator({}, region="us-east-1", clock=clock)
    edge.know(keys, keys.refresh)
    assert not edge.has_keys()
    made = create(store, Wanted(role="runner", user="u", account="7", worker_groups=("prod",)), NOW)
    assert made.secret is not None
    edge.refresh()
    assert edge.has_keys()
    permit = edge.authenticate(signed(made.key_id, made.secret, clock))
    assert (permit.caller.account, permit.caller.user) == ("7", "u")
    assert permit.caller.worker_groups == frozenset({"prod"})
    assert permit.actions == ROLES["runner"]
    assert edge.check_still(permit)
    revoke(store, [made.key_id], NOW)
    edge.refresh()
    with pytest.raises(UnknownClient):
        edge.check_still(permit)
    with pytest.raises(UnknownClient):
        edge.authenticate(signed(made.key_id, made.secret, clock))


def test_reading_them_again_opens_nothing_that_has_not_changed(store: Store) -> None:
    create(store, Wanted(actions=("ListPipelines",)), NOW)
    keys = StoredKeys(store)
    with capture_logs() as log:
        keys.refresh()
        held = keys._keys
        keys.refresh()
    assert keys._keys is held
    assert [record["new"] for record in log] == [list(keys)]
    assert [key.actions for key in keys.values()] == [{"ListPipelines"}]


def test_no_secret_is_left_of_a_revoked_key_and_its_id_is_not_used_again(store: Store) -> None:
    made = create(store, Wanted(role="admin", key_id="OPS"), NOW)
    assert made.secret is not None
    with store.read() as conn:
        held = conn.execute(sa.select(table.c.secret)).scalar_one()
    assert made.secret not in held
    revoke(store, ["OPS"], NOW)
    with store.read() as conn:
        (row,) = access_keys.everything(conn)
    assert (row.secret, row.revoked_at) == (None, NOW)
    with pytest.raises(UsageError, match="used once"):
        create(store, Wanted(role="admin", key_id="OPS"), NOW)


def test_keys_are_revoked_all_or_none(store: Store) -> None:
    create(store, Wanted(role="admin", key_id="OPS"), NOW)
    with pytest.raises(StoreError, match="no key 'NONE' in force"):
        revoke(store, ["OPS", "NONE"], NOW)
    with store.read() as conn:
        assert [row.key_id for row in access_keys.in_force(conn)] == ["OPS"]


def test_their_secrets_are_sealed_anew_by_a_rotation(store: Store) -> None:
    made = create(store, Wanted(role="admin"), NOW)
    keys = StoredKeys(store)
    before = store.keyring.current
    rotate(store)
    while Reencryption(store).batch():
        pass
    keys.refresh()
    assert keys[made.key_id].secret == made.secret
    with store.read() as conn:
        assert before not in conn.execute(sa.select(table.c.secret)).scalar_one()


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Wanted(), "one of --role and --action"),
        (Wanted(role="admin", actions=("ListPipelines",)), "one of --role and --action"),
        (Wanted(role="king"), "'king' is not one of runner"),
        (Wanted(actions=("Fly",)), "no action 'Fly'"),
        (Wanted(role="admin", key_id="a b"), "wanted 3 to 128 letters"),
    ],
)
def test_what_no_key_can_be_is_told(wanted: Wanted, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        wanted.check()


def test_keys_are_made_beside_the_running_service(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{tmp_path / 's.db'}"
    options = ("--database-url", url)

    def said(*arguments: str) -> str:
        assert main(["keys", *arguments, *options]) == 0
        return capsys.readouterr().out

    with closing(Store(url)) as store:
        made = json.loads(said("create", "--role", "author", "--note", "CI", "--format", "json"))
        keys = StoredKeys(store)
        keys.refresh()
        assert keys[made["id"]].secret == made["secret"]
        assert "AWS_SECRET_ACCESS_KEY=" in said(
            "create", "--action", "ListPipelines", "--id", "LST"
        )
        listed = said("list")
        assert made["secret"] not in listed
        assert [line.split()[:4] for line in listed.splitlines()[1:]] == [
            [made["id"], made["id"], "000000000000", "author"],
            ["LST", "LST", "000000000000", "ListPipelines"],
        ]
        assert said("revoke", "LST") == "revoked: LST\n"
        assert [key["id"] for key in json.loads(said("list", "--format", "json"))["keys"]] == [
            made["id"]
        ]
        assert len(json.loads(said("list", "--all", "--format", "json"))["keys"]) == 2
        assert main(["keys", "revoke", "LST", *options]) == 1
