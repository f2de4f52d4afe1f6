"""Redshift by its Data API: HTTPS to AWS in place of a route to the cluster.

What is one transaction is one batch, which the service runs, or undoes, as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from threading import Event
from typing import Any

from taskrunner.clock import Clock, SystemClock
from taskrunner.data.databases.base import Batch, Database, Result, StatementDone
from taskrunner.data.databases.dialect import Family
from taskrunner.data.databases.redshift import REDSHIFT_DIALECT, RedshiftDatabase
from taskrunner.data.databases.schemes import REDSHIFT
from taskrunner.data.databases.script import Statement
from taskrunner.data.databases.script_transactions import Role, role_of
from taskrunner.data.databases.spec import DatabaseSpec
from taskrunner.data.redshift.credentials import db_user
from taskrunner.data.redshift.home import Home
from taskrunner.data.redshift.load_errors import LoadErrorQueries
from taskrunner.data.redshift.session import Done, LoadError, Rows, Shape, Step, StepFailed
from taskrunner.data.redshift.tokens import quoted
from taskrunner.data.redshift.transactions import COLUMNS, PRIMARY_KEY, names_in, shape_of
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError

#: So many statements a batch takes.
_MOST = 40
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.2, 5.0
_ENDED = frozenset({"FINISHED", "FAILED", "ABORTED"})
_TIMEOUT_S = 30
_TABLE = (
    "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relname IN ({table}, {lower}) AND c.relkind IN ('r', 'v', 'm', 'f', 'p')"
    " AND {schema} ORDER BY c.relname = {table} DESC LIMIT 1"
)


class RedshiftDataApi(Database):
    """Statements to a cluster or a workgroup, as a user of the database without a password."""

    scheme = REDSHIFT
    dialect = REDSHIFT_DIALECT
    #: The service keeps, and shows, every statement.
    takes_keys = False
    has_savepoints = False
    needs_authorization = True

    def __init__(
        self, spec: DatabaseSpec, *, client: Any = None, clock: Clock | None = None
    ) -> None:
        super().__init__(spec)
        self._client = client
        self._clock = clock or SystemClock()
        self._place: Mapping[str, str] = {}
        self._queue: str | None = None
        self._copied: Mapping[str, Any] = {}

    def connect(self) -> None:
        """Make a client; nothing is asked before there is something to ask."""
        home = Home.of(self.spec)
        if home is None or not self.spec.database:
            message = (
                f"{self.spec}: the Data API needs the clusterId (or an address of a cluster or "
                "workgroup) and the databaseName"
            )
            raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
        place = {"Database": self.spec.database}
        user = db_user(self.spec)
        if home.workgroup:
            place["WorkgroupName"] = home.workgroup
        else:
            place["ClusterIdentifier"] = home.cluster
            if user:
                place["DbUser"] = user
        self._place = place
        if self._client is None:
            self._client = _client(home.region)

    def close(self) -> None:
        """Nothing stays open at the service."""
        if self._client is not None:
            with suppress(Exception):
                self._client.close()

    def literal(self, text: str) -> str:
        """A text as it stands in SQL."""
        return quoted(text)

    def rows(self, query: str) -> Rows:
        """A small answer."""
        with self.stream(query) as result:
            return [tuple(row) for batch in result.batches for row in batch]

    @contextmanager
    def stream(self, query: str) -> Iterator[Result]:
        """A query's rows, page by page."""
        found = self._ended([query.strip().rstrip(";")])
        if found["Status"] != "FINISHED":
            raise self._failed("run the query", found.get("Error"))
        with self._problems("read the rows"):
            page = self._client.get_statement_result(Id=found["Id"])
        columns = tuple(str(column.get("name", "")) for column in page.get("ColumnMetadata", ()))
        yield Result(columns=columns, batches=self._pages(found["Id"], page))

    def find_table(self, table: str, schema: str | None = None) -> str | None:
        """Look a table up as written, and failing that in lower case."""
        schema, table = self.split_name(table, schema)
        visible = "pg_catalog.pg_table_is_visible(c.oid)"
        if schema is not None:
            visible = f"n.nspname IN ({quoted(schema)}, {quoted(schema.lower())})"
        query = _TABLE.format(table=quoted(table), lower=quoted(table.lower()), schema=visible)
        found = self.rows(query)
        return self.quote(*[str(name) for name in found[0]]) if found else None

    def shape(self, name: str) -> Shape:
        """What the catalog knows of a table."""
        schema, table = map(quoted, names_in(name))
        place = {"schema": schema, "table": table}
        of = RedshiftDatabase
        columns = self.rows(COLUMNS.format(identity=of.identity, other=of.other, **place))
        return shape_of(name, columns, self.rows(PRIMARY_KEY.format(**place)))

    def transact(self, steps: Sequence[Step], done: Done) -> None:
        """All statements, or nothing of them; raises StepFailed."""
        found = self._ended([step.sql for step in steps])
        parts = found.get("SubStatements") or [found]
        copies = (part for step, part in zip(steps, parts, strict=False) if step.is_copy)
        self._copied = {**found, **next(copies, {})}
        if found["Status"] != "FINISHED":
            failed = (n for n, part in enumerate(parts) if part.get("Status") == "FAILED")
            number = next(failed, len(steps) - 1)
            reason = parts[number].get("Error") or found.get("Error")
            error = self._failed(steps[number].about, reason)
            raise StepFailed(str(error), step=steps[number], error_id=error.error_id)
        for step, part in zip(steps, parts, strict=False):
            done(step, int(part.get("ResultRows", -1)))

    def load_errors(self) -> list[LoadError]:
        """The rows that the last COPY did not take."""
        process, query = self._copied.get("RedshiftPid"), self._copied.get("RedshiftQueryId") or 0
        if not process:
            return []
        queries = LoadErrorQueries.of(Home.of(self.spec))
        queries.newest = max(0, int(query) - 1)
        try:
            return queries.found(self.rows, session=str(int(process)))
        except TaskError:  # they only explain
            return []

    def use_queue(self, queue: str) -> bool:
        """Begin each transaction with the query group."""
        self._queue = queue
        return True

    def run(
        self, statements: Sequence[Statement], arguments: Sequence[str], done: StatementDone
    ) -> None:
        """Run a script: as one transaction, but for what none may hold."""
        if arguments:
            message = f"{self.spec}: the Data API takes no scriptArgument; write the values out"
            raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
        number = 0
        for group in _groups(statements):
            steps = [Step(sql=s.text, about=f"run the {s.verb} in line {s.line}") for s in group]
            if self._queue and not _is_alone(group[0]):
                queue = f"SET query_group TO {quoted(self._queue)}"
                steps.insert(0, Step(sql=queue, about="set the query group"))
            counts: list[int] = []
            self.transact(steps, lambda _, count, counts=counts: counts.append(count))  # type: ignore[misc]
            for statement, count in zip(group, counts[-len(group) :], strict=True):
                number += 1
                done(statement, number, count)

    def execute(self, statement: Statement, values: Sequence[str] | None, *, alone: bool) -> int:
        """Run one statement in a transaction of its own."""
        counts: list[int] = []
        step = Step(sql=statement.text, about=f"run the {statement.verb} in line {statement.line}")
        self.transact([step], lambda _, count: counts.append(count))
        return counts[0]

    def commit(self) -> None:
        """Each batch is committed by itself."""

    def insert(self, statement: Statement, rows: Iterable[Sequence[object]]) -> None:
        """Rows do not go this way."""
        message = f"{self.spec}: the Data API takes no rows; load them by a RedshiftCopyActivity"
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)

    def prepare_load(self) -> None:
        """Nothing to do."""

    def _ended(self, statements: Sequence[str]) -> dict[str, Any]:
        """Run statements to their end, well or not; what the service says of them."""
        if len(statements) > _MOST:
            message = (
                f"{self.spec}: {len(statements)} statements in one transaction, and the Data API "
                f"takes {_MOST}"
            )
            raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
        with self._problems("send the statement"):
            if len(statements) == 1:
                begun = self._client.execute_statement(Sql=statements[0], **self._place)
            else:
                begun = self._client.batch_execute_statement(Sqls=[*statements], **self._place)
        try:
            return self._waited(str(begun["Id"]))
        except BaseException:
            # Whoever gives up must not leave it running.
            with suppress(Exception):
                self._client.cancel_statement(Id=begun["Id"])
            raise

    def _waited(self, statement_id: str) -> dict[str, Any]:
        wait, never = _FIRST_WAIT_S, Event()
        while True:
            with self._problems("ask for the statement"):
                found: dict[str, Any] = self._client.describe_statement(Id=statement_id)
            if found["Status"] in _ENDED:
                return found
            self._clock.wait(never, wait)
            wait = min(wait * 1.5, _LONGEST_WAIT_S)

    def _pages(self, statement_id: str, first: Mapping[str, Any]) -> Iterator[Batch]:
        page = first
        while True:
            if records := page.get("Records"):
                yield [[_text(field) for field in record] for record in records]
            token = page.get("NextToken")
            if not token:
                return
            with self._problems("read the rows"):
                page = self._client.get_statement_result(Id=statement_id, NextToken=token)

    def _failed(self, doing: str, reason: object) -> TaskError:
        text = " ".join(str(reason or "no reason is given").split())
        missing = "does not exist" in text
        error_id = ErrorId.NOT_FOUND if missing else ErrorId.ACTIVITY_FAILED
        if "permission denied" in text.lower():
            error_id = ErrorId.ACCESS_DENIED
        return TaskError(f"cannot {doing}: {self.spec}: {text}", error_id=error_id)

    @contextmanager
    def _problems(self, doing: str) -> Iterator[None]:
        import botocore.exceptions as aws

        reason, error_id = "", str(ErrorId.CONNECTION_FAILED)
        try:
            yield
        except aws.ClientError as error:
            details = error.response.get("Error", {})
            reason = f"{details.get('Message')} ({details.get('Code')})"
            error_id = ErrorId.ACCESS_DENIED
        except aws.BotoCoreError as error:
            reason = " ".join(str(error).split())
        if reason:
            message = f"cannot {doing} by the Data API: {self.spec}: {reason}"
            raise TaskError(message, error_id=error_id)


def _client(region: str) -> Any:
    import botocore.session
    from botocore.config import Config

    config = Config(
        connect_timeout=_TIMEOUT_S,
        read_timeout=_TIMEOUT_S * 2,
        retries={"mode": "standard", "total_max_attempts": 5},
    )
    session = botocore.session.get_session()
    return session.create_client("redshift-data", region_name=region, config=config)


def _groups(statements: Sequence[Statement]) -> Iterator[list[Statement]]:
    """Statements that go together into one transaction."""
    group: list[Statement] = []
    for statement in statements:
        if _is_alone(statement):
            if group:
                yield group
            yield [statement]
            group = []
        else:
            group.append(statement)
    if group:
        yield group


def _is_alone(statement: Statement) -> bool:
    """Whether no transaction may hold a statement."""
    return role_of(statement, Family.REDSHIFT) is Role.ALONE


def _text(field: Mapping[str, Any]) -> str | None:
    """A value as the server would write it."""
    if field.get("isNull"):
        return None
    (value,) = field.values()
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    return value.hex() if isinstance(value, bytes) else str(value)
