"""Which connections are kept between transactions; on SQLite in memory, which has them at once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from taskrunner.service.store.kept import KeptConnections


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
    yield engine
    engine.dispose()


def taken(kept: KeptConnections) -> Connection:
    with kept.one() as connection, connection.begin():
        return connection


def test_one_is_used_again(engine: Engine) -> None:
    kept = KeptConnections(engine, most=1, writes=False)
    assert taken(kept) is taken(kept)
    kept.close()


def test_two_at_once_never_share_one(engine: Engine) -> None:
    kept = KeptConnections(engine, most=2, writes=False)
    with kept.one() as first, kept.one() as second:
        assert first is not second
    kept.close()


def test_no_more_are_kept_than_may_be(engine: Engine) -> None:
    kept = KeptConnections(engine, most=1, writes=False)
    with kept.one() as first, kept.one() as second:
        pass
    # What was given back first is kept, the other one is not.
    assert (second.closed, first.closed) == (False, True)
    kept.close()
    assert second.closed


def test_of_a_server_none_is_kept(engine: Engine) -> None:
    kept = KeptConnections(engine, most=0, writes=False)
    assert taken(kept).closed


def test_one_that_an_error_went_by_is_not_used_again(engine: Engine) -> None:
    kept = KeptConnections(engine, most=1, writes=False)
    seen: list[Connection] = []

    def fail() -> None:
        with kept.one() as connection:
            seen.append(connection)
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert seen[0].closed
    assert taken(kept) is not seen[0]
    kept.close()


def test_after_the_end_none_is_kept(engine: Engine) -> None:
    kept = KeptConnections(engine, most=1, writes=False)
    with kept.one() as connection:
        kept.close()
    assert connection.closed


@pytest.mark.parametrize("writes", [True, False])
def test_each_says_what_its_transactions_are_for(engine: Engine, writes: bool) -> None:
    kept = KeptConnections(engine, most=1, writes=writes)
    with kept.one() as connection:
        assert connection.get_execution_options()["taskrunner_write"] is writes
    kept.close()
