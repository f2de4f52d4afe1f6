"""A PostgreSQL that takes Redshift's COPY, UNLOAD and CREATE TABLE, for tests of SQL.

with RedshiftStandIn("postgresql://me:secret@localhost/test", environment.objects) as redshift:
    redshift.run(
        "create table orders (id int encode az64, note varchar(max)) sortkey (id)",
        "copy orders from 's3://bucket/orders.csv' iam_role default csv",
    )
    assert redshift.rows("select count(*) from orders") == [("2",)]

docs/redshift.md says what it knows. An activity gets it by a redirection of its RedshiftDatabase:
`ActivityEnvironment(data=DataSettings(databases={"Db": url}))`.
"""

from __future__ import annotations

from typing import Self

from taskrunner.data.databases.spec import Login, from_url
from taskrunner.data.objects.base import ObjectStore
from taskrunner.data.redshift.session import Rows, Step
from taskrunner.data.redshift.stand_in.database import StandInDatabase


class RedshiftStandIn:
    """One connection; `objects` is what `s3://` is."""

    def __init__(self, url: str, objects: ObjectStore) -> None:
        self._database = StandInDatabase(from_url("RedshiftStandIn", url, Login()), objects)

    def __enter__(self) -> Self:
        self._database.connect()
        return self

    def __exit__(self, *exception: object) -> None:
        self._database.close()

    def run(self, *statements: str) -> list[int]:
        """Run statements in one transaction; returns the number of rows of each (-1: none).

        Raises TaskError, and then nothing of them holds.
        """
        counts: list[int] = []
        steps = [Step(sql=sql, about=f"run {sql[:60]!r}") for sql in statements]
        self._database.transact(steps, lambda _, count: counts.append(count))
        return counts

    def rows(self, query: str) -> Rows:
        """A query's rows; each value is the server's text, or None for NULL."""
        return self._database.rows(query)

    def load_errors(self) -> list[str]:
        """The rows that the last COPY did not take, as Redshift lists them."""
        return [str(error) for error in self._database.load_errors()]
