"""Keys of callers that lie in the store: what `taskrunner keys` makes counts a second later."""

from __future__ import annotations

import secrets
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.exc import IntegrityError

from taskrunner.errors import StoreError, UsageError
from taskrunner.logs import get_logger
from taskrunner.service.auth_keys import KEY_ID, ROLES, Key, unknown_action
from taskrunner.service.callers import ANONYMOUS
from taskrunner.service.store import access_keys as access_key_store
from taskrunner.service.store import audit
from taskrunner.service.store.database import Store
from taskrunner.service.store.rows import AccessKeyRow

log = get_logger()

_ID_ALPHABET = string.ascii_uppercase + string.digits
_ID_LETTERS, _SECRET_BYTES = 16, 30


class StoredKeys(Mapping[str, Key]):
    """The keys of the store that are in force, by id."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rows: Sequence[AccessKeyRow] = ()
        self._keys: Mapping[str, Key] = {}

    def __getitem__(self, key_id: str) -> Key:
        """The key of an id; raises KeyError."""
        return self._keys[key_id]

    def __iter__(self) -> Iterator[str]:
        """The ids of all keys."""
        return iter(self._keys)

    def __len__(self) -> int:
        """How many keys there are."""
        return len(self._keys)

    def refresh(self) -> None:
        """Take note of keys that were made and revoked. Raises StoreError."""
        with self._store.read() as conn:
            rows = access_key_store.in_force(conn)
            if rows == self._rows:
                return  # mostly: nothing has to be opened
            opened = access_key_store.opened(conn, rows)
        keys = {row.key_id: _key(row) for row in opened}
        new, gone = sorted(keys.keys() - self._keys), sorted(self._keys.keys() - keys.keys())
        if new or gone:
            log.info("keys of the store reloaded", new=new, revoked=gone)
        self._rows, self._keys = rows, keys


def _key(row: AccessKeyRow) -> Key:
    groups = row.worker_groups
    return Key(
        id=row.key_id,
        secret=row.secret or "",
        user=row.user_id,
        account=row.account,
        actions=ROLES[row.role] if row.role else frozenset(row.actions or ()),
        worker_groups=None if groups is None else frozenset(groups),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What an operator asks for of a new key."""

    key_id: str | None = None
    role: str | None = None
    actions: tuple[str, ...] = ()
    user: str | None = None
    account: str = ANONYMOUS.account
    worker_groups: tuple[str, ...] = ()
    note: str | None = None

    def check(self) -> None:
        """Raise UsageError for what no key can be."""
        if (self.role is None) == (not self.actions):
            raise UsageError("a key has one of --role and --action")
        if self.role is not None and self.role not in ROLES:
            raise UsageError(f"--role {self.role!r} is not one of {', '.join(ROLES)}")
        if (name := unknown_action(self.actions)) is not None:
            raise UsageError(f"--action: there is no action {name!r}")
        if self.key_id is not None and not KEY_ID.fullmatch(self.key_id):
            raise UsageError(f"--id {self.key_id!r}: wanted 3 to 128 letters, digits and _+=.@-")


def create(store: Store, wanted: Wanted, now: datetime) -> AccessKeyRow:
    """Make a key, with its secret in what is returned. Raises UsageError or StoreError."""
    wanted.check()
    key_id = wanted.key_id or "AK" + "".join(
        secrets.choice(_ID_ALPHABET) for _ in range(_ID_LETTERS)
    )
    row = AccessKeyRow(
        key_id=key_id,
        secret=secrets.token_urlsafe(_SECRET_BYTES),
        user_id=wanted.user or key_id,
        account=wanted.account,
        created_at=now,
        role=wanted.role,
        actions=wanted.actions or None,
        worker_groups=wanted.worker_groups or None,
        note=wanted.note,
    )
    try:
        with store.write() as conn:
            access_key_store.insert(conn, row)
            audit.note(conn, key_id, after=row.role or ",".join(row.actions or ()))
    except IntegrityError:
        raise UsageError(f"there is or was a key {key_id!r} already; ids are used once") from None
    return row


def revoke(store: Store, key_ids: Sequence[str], now: datetime) -> None:
    """Make keys good for nothing, all or none. Raises StoreError for one that is not in force."""
    with store.write() as conn:
        for key_id in key_ids:
            if not access_key_store.revoke(conn, key_id, now):
                raise StoreError(
                    f"there is no key {key_id!r} in force in the store at {store.where}"
                )
            audit.note(conn, key_id, after="revoked")
