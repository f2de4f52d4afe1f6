"""Where Redshift keeps the rows that a COPY did not take, and how one session's are found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from taskrunner.data.redshift.home import Home
from taskrunner.data.redshift.session import LoadError, Rows

_MOST = 10


@dataclass(slots=True, kw_only=True)
class LoadErrorQueries:
    """Queries on a system table; a COPY that is undone leaves no other trace than its session's."""

    table: str
    query: str
    session: str
    columns: str
    order: str
    #: The newest query of the session before the COPY: ids of sessions come again.
    newest: int = 0

    @classmethod
    def either(cls, home: Home | None) -> tuple[LoadErrorQueries, LoadErrorQueries]:
        """Those for where it seems to be, and the others: an address may be of one's own."""
        likely = cls.of(home)
        cluster, workgroup = cls.of(None), cls.of(Home(workgroup="any", region=""))
        return (likely, cluster if likely.table == workgroup.table else workgroup)

    @classmethod
    def of(cls, home: Home | None) -> LoadErrorQueries:
        """Those for a cluster, or for a workgroup, which has no STL tables."""
        if home is not None and home.workgroup:
            return cls(
                table="sys_load_error_detail",
                query="query_id",
                session="session_id",
                columns="file_name, line_number, column_name, column_type, '', error_message",
                order="start_time",
            )
        return cls(
            table="stl_load_errors",
            query="query",
            session="session",
            columns="filename, line_number, colname, type, raw_field_value, err_reason",
            order="starttime",
        )

    def mark(self, rows: Callable[[str], Rows], session: str = "pg_backend_pid()") -> None:
        """Note what there is before the COPY."""
        self.newest = self._newest(rows, session)

    def found(
        self, rows: Callable[[str], Rows], session: str = "pg_backend_pid()"
    ) -> list[LoadError]:
        """What has come since, the first ones first."""
        query = (
            f"SELECT {self.columns} FROM {self.table} "  # noqa: S608  names of this module
            f"WHERE {self.session} = {session} AND {self.query} > {self.newest} "
            f"ORDER BY {self.order} LIMIT {_MOST}"
        )
        return [load_error(row) for row in rows(query)]

    def _newest(self, rows: Callable[[str], Rows], session: str) -> int:
        query = (
            f"SELECT COALESCE(MAX({self.query}), 0) FROM {self.table} "  # noqa: S608  names of this module
            f"WHERE {self.session} = {session}"
        )
        return int(rows(query)[0][0] or 0)


def load_error(row: tuple[str | None, ...]) -> LoadError:
    """A row of such a table."""
    file, line, column, kind, value, reason = ((text or "").strip() for text in row)
    return LoadError(file=file, line=line, column=column, type=kind, value=value, reason=reason)
