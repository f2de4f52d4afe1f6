from __future__ import annotations

from taskrunner.data.redshift.home import Home
from taskrunner.data.redshift.load_errors import LoadErrorQueries
from taskrunner.data.redshift.session import Rows

CLUSTER = Home(cluster="c", region="r")


def test_what_came_after_the_mark_is_found() -> None:
    asked = []

    def rows(query: str) -> Rows:
        asked.append(query)
        if "MAX" in query:
            return [("41",)]
        return [("s3://b/f   ", "7", "day  ", "date ", "no-date   ", "Invalid date")]

    queries = LoadErrorQueries.of(CLUSTER)
    queries.mark(rows)
    (found,) = queries.found(rows)
    assert str(found) == "s3://b/f, line 7, column day date: Invalid date (found 'no-date')"
    assert "FROM stl_load_errors WHERE session = pg_backend_pid() AND query > 41" in asked[1]


def test_where_one_table_is_not_the_other_may_be() -> None:
    def tables(home: Home | None) -> list[str]:
        return [queries.table for queries in LoadErrorQueries.either(home)]

    assert tables(CLUSTER) == ["stl_load_errors", "sys_load_error_detail"]
    workgroup = Home(workgroup="w", region="r")
    assert tables(workgroup) == ["sys_load_error_detail", "stl_load_errors"]
    assert tables(None) == tables(CLUSTER)


def test_a_workgroup_has_only_the_newer_table() -> None:
    queries = LoadErrorQueries.of(Home(workgroup="w", region="r"))
    asked = []

    def rows(query: str) -> Rows:
        asked.append(query)
        return []

    assert queries.found(rows, session="12") == []
    assert "FROM sys_load_error_detail WHERE session_id = 12 AND query_id > 0" in asked[0]
    assert LoadErrorQueries.of(None).table == "stl_load_errors"
