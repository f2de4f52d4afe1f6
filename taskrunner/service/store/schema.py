"""The tables of the store: made, or brought to the newest migration, when it is opened."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

# What stands there is part of METADATA once it is imported.
from taskrunner.service.store import backfills as backfills  # noqa: PLC0414
from taskrunner.service.store import indexes as indexes  # noqa: PLC0414
from taskrunner.service.store import key_tables as key_tables  # noqa: PLC0414
from taskrunner.service.store.backend import Backend
from taskrunner.service.store.keyring import Keyring
from taskrunner.service.store.tables import METADATA

MIGRATIONS = Path(__file__).parent / "migrations"
#: The newest of them (a test compares). A store that is new, or has it already, needs none of
#: Alembic, which takes a third of the service's start to load.
NEWEST = "0020"
_VERSION = sa.Table(
    "alembic_version",
    sa.MetaData(),
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


class ForeignDatabase(Exception):
    """The database is in order, but not one for this program."""


def bring_up(engine: Engine, backend: Backend, keyring: Keyring, *, as_guest: bool = False) -> bool:
    """Bring the schema to the newest migration, see to its keys; whether there was none before.

    A guest takes only what is there already. Safe when several processes start at once. Raises
    ForeignDatabase, ConfigError, StoreError.
    """
    with engine.connect() as plain:
        connection = plain.execution_options(taskrunner_write=True)
        with connection.begin():
            if engine.dialect.name == "postgresql":
                # Two services that start together must not both create the tables.
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(7236871)"))
            is_new = _check_ours(connection)
            backend.examine(connection)
            if as_guest:
                _check_newest(connection, is_new=is_new)
            elif is_new:
                _make(connection)
            elif connection.execute(sa.select(_VERSION.c.version_num)).scalars().all() != [NEWEST]:
                _upgrade(connection)
            keyring.prepare(connection)
    return is_new


def _check_ours(connection: Connection) -> bool:
    """Refuse to put tables among somebody else's; whether there are none of ours."""
    tables = set(sa.inspect(connection).get_table_names())
    if _VERSION.name in tables:
        return False
    unknown = tables & set(METADATA.tables) if connection.dialect.name != "sqlite" else tables
    if unknown:
        some = ", ".join(sorted(unknown)[:3])
        raise ForeignDatabase(f"belongs to another program: it holds tables such as {some}")
    return True


def _make(connection: Connection) -> None:
    """Make the tables that all migrations together would (a test compares)."""
    METADATA.create_all(connection, checkfirst=False)
    _VERSION.create(connection)
    connection.execute(_VERSION.insert().values(version_num=NEWEST))


def _check_newest(connection: Connection, *, is_new: bool) -> None:
    if is_new or connection.execute(sa.select(_VERSION.c.version_num)).scalars().all() != [NEWEST]:
        raise ForeignDatabase(
            "is not one of this version of the program yet: start the service of this version once"
        )


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        message = f"was made by another version of this program: {error}"
        raise ForeignDatabase(message) from error
