from __future__ import annotations

from dataclasses import replace
from typing import Self

import pytest
from sqlalchemy.engine import make_url

from taskrunner.errors import StoreLost
from taskrunner.service.store.backend import Opening
from taskrunner.service.store.postgresql_backend import Found, PostgresqlBackend, check_same
from taskrunner.testing import FakeClock

KNOWN = Found(database="5", table="7", cluster="c", position=100, snapshot="9:9:")


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (replace(KNOWN, cluster="d"), "db is another server's than before"),
        (replace(KNOWN, database="6"), "db was dropped and made anew"),
        (replace(KNOWN, table="8"), "db: its tables were made anew"),
        (replace(KNOWN, table=""), "db: its tables are gone"),
        (replace(KNOWN, position=99), "db was put back to an earlier state"),
    ],
)
def test_another_database_is_told_from_the_one_that_is_known(found: Found, says: str) -> None:
    with pytest.raises(StoreLost, match=says):
        check_same("db", KNOWN, found)


def test_a_log_that_goes_on_or_is_not_told_of_is_no_other_database() -> None:
    for position in (100, 200, 0):
        check_same("db", KNOWN, replace(KNOWN, position=position))
    check_same("db", replace(KNOWN, position=0), KNOWN)


class Crossing:
    """A connection whose answer comes after another's question, put later, was answered."""

    def __init__(self, backend: PostgresqlBackend, position: int, later: int) -> None:
        self.backend, self.position, self.later = backend, position, later

    def cursor(self) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def execute(self, _query: str) -> None:
        if self.later:
            backend, later = self.backend, self.later
            backend._on_connect(Crossing(backend, later, 0), None)

    def fetchone(self) -> tuple[str, str, str, int, str]:
        return "5", "7", "c", self.position, "9:9:"

    def rollback(self) -> None:
        pass


def test_answers_that_cross_are_no_way_back() -> None:
    backend = PostgresqlBackend(make_url("postgresql://h/db"), FakeClock(), Opening())
    backend._known = KNOWN
    backend._on_connect(Crossing(backend, position=200, later=300), None)
    with pytest.raises(StoreLost, match="earlier state"):
        backend._on_connect(Crossing(backend, position=299, later=0), None)
