"""The statements of a copy, in order: one transaction. Pure.

TRUNCATE would commit what came before it, so DELETE empties the table. What is compared, or changed
by transformSql, goes through temporary tables; transformSql calls the first one `staging`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from taskrunner.data.redshift.nodes import InsertMode, Request
from taskrunner.data.redshift.options import Option
from taskrunner.data.redshift.session import Session, Shape, Step
from taskrunner.data.redshift.tokens import quoted
from taskrunner.errors import ErrorId, PermanentTaskError

STAGING = "staging"
_TRANSFORMED = "staging_transformed"
#: What data formats call types, after Hive, and Redshift does not.
_TYPES = {
    "STRING": "VARCHAR(65535)",
    "DOUBLE": "DOUBLE PRECISION",
    "TINYINT": "SMALLINT",
    "DATETIME": "TIMESTAMP",
}
_TYPE = re.compile(r"[A-Za-z][A-Za-z ]*(?:\(\s*\d+\s*(?:,\s*\d+\s*)?\))?(?: [A-Za-z ]+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """What is needed to say the statements of a load."""

    session: Session
    request: Request
    #: The target.
    shape: Shape
    #: What the rows are found by.
    keys: tuple[str, ...]
    #: Where from: the text behind FROM, or a table's name in SQL.
    source: str
    source_is_table: bool = False
    #: The columns that the values are for; empty: all, in order.
    columns: tuple[str, ...] = ()
    #: The columns of the staging table with their types; empty: those of the target.
    staging_columns: tuple[str, ...] = ()
    #: With whose rights S3 is read, as it stands in the statement.
    authorization: str = field(default="", repr=False)
    options: tuple[Option, ...] = ()

    def steps(self, last: Sequence[Step]) -> list[Step]:
        """The transaction, with `last` at its end."""
        return [*queue_steps(self.session, self.request.queue), *self._steps(), *last]

    @property
    def staged(self) -> bool:
        """Whether the rows come into a table of their own first."""
        return self.request.mode.compares or bool(self.request.transform) or self.source_is_table

    def _steps(self) -> Iterator[Step]:
        if not self.staged:
            if self.request.mode is InsertMode.TRUNCATE:
                yield self._emptied()
            yield self._copied(self.shape.name)
            return
        yield from self._staging()
        incoming = STAGING
        if self.request.transform:
            incoming = _TRANSFORMED
            sql = f"CREATE TEMP TABLE {incoming} AS {self.request.transform}"
            yield Step(sql=sql, about="run transformSql")
        yield from self._merged(incoming)

    def _staging(self) -> Iterator[Step]:
        about = "make the staging table"
        if self.source_is_table:
            sql = f"CREATE TEMP TABLE {STAGING} AS SELECT * FROM {self.source}"  # noqa: S608  quoted
            yield Step(sql=sql, about=f"read the table {self.source}")
            return
        like = f"LIKE {self.shape.name} INCLUDING DEFAULTS"
        described = ", ".join(self.staging_columns) or like
        yield Step(sql=f"CREATE TEMP TABLE {STAGING} ({described})", about=about)
        yield self._copied(STAGING)

    def _copied(self, table: str) -> Step:
        names = "" if self.staging_columns else self._listed
        parts = (f"COPY {table}{names} FROM {self.source}", self.authorization, *self._written)
        return Step(
            sql=" ".join(filter(None, parts)), about="load the data", moves=True, is_copy=True
        )

    @property
    def _written(self) -> Iterator[str]:
        return (option.written for option in self.options)

    @property
    def _listed(self) -> str:
        return f" ({self._names()})" if self.columns else ""

    def _names(self, of: str = "") -> str:
        quote = self.session.quote
        return ", ".join(f"{of}{quote(name)}" for name in self.columns)

    def _emptied(self) -> Step:
        return Step(sql=f"DELETE FROM {self.shape.name}", about="empty the table")  # noqa: S608  quoted

    def _merged(self, incoming: str) -> Iterator[Step]:
        mode, target = self.request.mode, self.shape.name
        if mode is InsertMode.TRUNCATE:
            yield self._emptied()
        if mode is InsertMode.OVERWRITE_EXISTING:
            same = self._same(self.session.quote(self.shape.short_name))
            sql = f"DELETE FROM {target} USING {incoming} AS incoming WHERE {same}"  # noqa: S608  quoted
            yield Step(sql=sql, about="delete the rows that are replaced")
        # What transformSql makes has the table's own columns, in order.
        by_name = bool(self.columns) and incoming == STAGING
        listed, chosen = (self._listed, self._names("incoming.")) if by_name else ("", "incoming.*")
        sql = f"INSERT INTO {target}{listed} SELECT {chosen} FROM {incoming} AS incoming"  # noqa: S608  quoted
        if mode is InsertMode.KEEP_EXISTING:
            same = self._same("existing")
            sql += f" WHERE NOT EXISTS (SELECT 1 FROM {target} AS existing WHERE {same})"  # noqa: S608  quoted
        yield Step(sql=sql, about="insert the rows", moves=True)

    def _same(self, table: str) -> str:
        quote = self.session.quote
        return " AND ".join(f"{table}.{quote(key)} = incoming.{quote(key)}" for key in self.keys)


def queue_steps(session: Session, queue: str | None) -> list[Step]:
    """Send what follows to a queue."""
    if not queue:
        return []
    return [Step(sql=f"SET query_group TO {session.literal(queue)}", about="set the query group")]


def unload_steps(
    session: Session,
    request: Request,
    *,
    table: str,
    prefix: str,
    authorization: str,
    options: Sequence[Option],
) -> list[Step]:
    """Write a table, or what transformSql makes of it, into files."""
    query = f"SELECT * FROM {table}"  # noqa: S608  quoted
    if request.transform:
        query = f"WITH {STAGING} AS ({query}) {request.transform}"
    written = [option.written for option in options]
    parts = (f"UNLOAD ({quoted(query)}) TO {quoted(prefix)}", authorization, *written)
    unload = Step(sql=" ".join(filter(None, parts)), about="unload the data", moves=True)
    return [*queue_steps(session, request.queue), unload]


def key_of(request: Request, shape: Shape, *, node: str, given: Sequence[str]) -> tuple[str, ...]:
    """The columns that rows are found by: the node's, else the table's; raises PermanentTaskError.

    The table's own are its primary key, and where it has none its distribution and sort key.
    """
    if not request.mode.compares:
        return ()
    known = {name.lower(): name for name in shape.columns}
    if missing := [name for name in given if name.lower() not in known]:
        message = (
            f"RedshiftDataNode {node!r}, field 'primaryKeys': the table {shape.name} has no column "
            f"{missing[0]!r} (it has {', '.join(shape.columns)})"
        )
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
    found = tuple(known[name.lower()] for name in given) or shape.primary_key or shape.other_key
    if not found:
        message = (
            f"RedshiftCopyActivity {request.id!r}: insertMode {request.mode} needs a key, and the "
            f"table {shape.name} has none; set primaryKeys of RedshiftDataNode {node!r}, or use "
            "APPEND or TRUNCATE"
        )
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
    return found


def listed_columns(texts: Sequence[str], shape: Shape) -> tuple[str, ...]:
    """The table's columns that a data format lists; none unless all that it lists are columns."""
    known = {name.lower(): name for name in shape.columns}
    names = [name.strip('`"').lower() for name, _ in _described(texts)]
    return tuple(known[name] for name in names) if all(n in known for n in names) else ()


def staging_columns(session: Session, texts: Sequence[str], *, of: str) -> tuple[str, ...]:
    """The columns of the staging table that a data format describes, where each has a type."""
    described = _described(texts)
    if not all(kind for _, kind in described):
        return ()
    columns = []
    for name, kind in described:
        known = _TYPES.get(kind.upper(), kind)
        if not _TYPE.fullmatch(known):
            message = f"S3DataNode {of!r}: the column type {kind!r} of its data format is no type"
            raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
        columns.append(f"{session.quote(name.strip('`').strip(chr(34)))} {known}")
    return tuple(columns)


def _described(texts: Sequence[str]) -> list[tuple[str, str]]:
    """Names and types in `name TYPE`, or `name TYPE, name TYPE`."""
    parts = [part.strip() for text in texts for part in re.split(r",(?![^(]*\))", text)]
    halves = (part.split(None, 1) for part in parts if part)
    return [(half[0], half[1].strip() if len(half) > 1 else "") for half in halves]
