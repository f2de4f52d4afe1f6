from __future__ import annotations

from dataclasses import replace

import pytest

from taskrunner.errors import StoreLost
from taskrunner.service.store.postgresql_backend import Found, check_same

KNOWN = Found(database="5", table="7", cluster="c", position=100)


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
