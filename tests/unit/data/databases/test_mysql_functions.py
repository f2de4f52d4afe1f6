from __future__ import annotations

import pytest

from taskrunner.data.databases.mysql_functions import gives_the_same_each_time


@pytest.mark.parametrize(
    ("query", "same"),
    [
        ("select id, coalesce(a, 'x') from t where b in (1, 2) and (c or d)", True),
        ("select 'nextval(s)' from t", False),
        ("select CAST(a AS DECIMAL (5,2)), Concat(a, b) from (select 1) q", True),
        ("select nextval(s) from t", False),
        ("select uuid() from t", False),
        ("select shop.price(id) from t", False),
        ("select `if` (id) from t", False),
        ("select Price (id) from t", False),
        ("select now(), unix_timestamp() from t", True),
        ("select sysdate() from t", False),
    ],
)
def test_what_may_be_asked_several_times(query: str, same: bool) -> None:
    assert gives_the_same_each_time(query) is same
