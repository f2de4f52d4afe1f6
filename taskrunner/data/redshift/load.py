"""Carrying out a load: what is looked at before, the transaction, and what was loaded."""

from __future__ import annotations

from dataclasses import dataclass, field

from taskrunner.clock import Clock, SystemClock
from taskrunner.data.claims import Verdict, claim_of
from taskrunner.data.databases.redshift import REDSHIFT_DIALECT
from taskrunner.data.databases.script import split
from taskrunner.data.objects.base import ObjectStore
from taskrunner.data.redshift.authorization import Authorization
from taskrunner.data.redshift.carrying_out import Monitor, authorization_for, carry_out
from taskrunner.data.redshift.fence import Fence, table_for
from taskrunner.data.redshift.nodes import DynamoDbTable, Files, InsertMode, Request, Table
from taskrunner.data.redshift.plan import LoadPlan, key_of, listed_columns, staging_columns
from taskrunner.data.redshift.session import Session, Shape, Step
from taskrunner.data.redshift.tokens import quoted
from taskrunner.data.redshift.transactions import names_in
from taskrunner.data.redshift.wanted import Wanted, copy_options
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError
from taskrunner.model.task import Task


@dataclass(frozen=True, slots=True)
class Load:
    """One load into a table."""

    session: Session
    request: Request
    objects: ObjectStore
    monitor: Monitor
    clock: Clock = field(default_factory=SystemClock)

    def run(self, task: Task) -> None:
        """Load, unless this run of the instance has been loaded already; raises TaskError."""
        wanted = copy_options(self.request)
        for remark in wanted.remarks:
            self.monitor.log.warning("%s", remark)
        if self._table.primary_keys and not self.request.mode.compares:
            self.monitor.log.info("primaryKeys have no effect with %s", self.request.mode)
        authorization = authorization_for(self.session, wanted)
        self._look_at_source()
        shape = self._shape()
        plan = self._plan(shape, wanted, authorization)
        fence = Fence(
            table=self.session.quote(names_in(shape.name)[0], table_for(shape.short_name)),
            claim=claim_of(task),
            literal=self.session.literal,
        )
        if not self._may_load(fence):
            return
        self.monitor.log.info(
            "insertMode %s, keys: %s, options: %s, with the rights of %s",
            self.request.mode,
            ", ".join(plan.keys) or "none",
            wanted.shown,
            authorization.about,
        )
        steps = [fence.lock, *plan.steps(fence.take(self.clock.now()))]
        moved = carry_out(self.session, steps, self.monitor, authorization, self._where)
        self.monitor.log.info("Loaded %s rows into %s", moved if moved >= 0 else "the", shape.name)
        if wanted.has("MAXERROR", "IGNOREALLERRORS"):
            for error in self.session.load_errors():
                self.monitor.log.warning("A row was left out: %s", error)

    @property
    def _where(self) -> str:
        return f"RedshiftCopyActivity {self.request.id!r}"

    @property
    def _table(self) -> Table:
        target = self.request.target
        assert isinstance(target, Table)  # noqa: S101  whoever calls has looked
        return target

    def _plan(self, shape: Shape, wanted: Wanted, authorization: Authorization) -> LoadPlan:
        source, request = self.request.source, self.request
        keys = key_of(request, shape, node=self._table.id, given=self._table.primary_keys)
        if isinstance(source, Table):
            return LoadPlan(
                session=self.session,
                request=request,
                shape=shape,
                keys=keys,
                source=self._source_table(source),
                source_is_table=True,
            )
        columns: tuple[str, ...] = ()
        staging: tuple[str, ...] = ()
        if isinstance(source, Files) and source.columns:
            if request.transform:
                staging = staging_columns(self.session, source.columns, of=source.id)
            else:
                columns = listed_columns(source.columns, shape)
            if not staging and not columns:
                self.monitor.log.warning(
                    "The columns of the data format of %s are not used: not all of them are "
                    "columns of %s",
                    source.id,
                    shape.name,
                )
        if shape.identity and not columns and not wanted.has("EXPLICIT_IDS"):
            columns = tuple(name for name in shape.columns if name not in shape.identity)
        return LoadPlan(
            session=self.session,
            request=request,
            shape=shape,
            keys=keys,
            source=quoted(source.location),
            columns=columns,
            staging_columns=staging,
            authorization=authorization.clause,
            options=wanted.options,
        )

    def _source_table(self, source: Table) -> str:
        found = self.session.find_table(source.table, source.schema)
        if found is None:
            raise self._no_table(source, "")
        return found

    def _look_at_source(self) -> None:
        """Before anything is made, see whether there are files."""
        source = self.request.source
        if isinstance(source, DynamoDbTable | Table):
            return
        try:
            found = [info.uri for info in self.objects.list(source.uri)]
        except TaskError as error:
            # Redshift may be let into a bucket that the agent is not.
            self.monitor.log.warning("Not looked for files: %s", error)
            return
        if not found:
            message = f"S3DataNode {source.id!r}: there is no object at {source.uri}"
            raise TaskError(message, error_id=ErrorId.NOT_FOUND)
        if not source.is_directory and len(found) > 1:
            self.monitor.log.warning(
                "COPY takes every object whose key begins so: %d for %s", len(found), source.uri
            )

    def _shape(self) -> Shape:
        """The target, which is made if it is missing and its node says how."""
        table, session = self._table, self.session
        found = session.find_table(table.table, table.schema)
        made = ""
        if found is None and table.create_table_sql:
            made = ", nor does createTableSql make one of that name"
            carry_out(
                session,
                [
                    Step(sql=statement.text, about="run createTableSql")
                    for statement in split(table.create_table_sql, REDSHIFT_DIALECT)
                ],
                self.monitor,
                Authorization(),
                self._where,
            )
            found = session.find_table(table.table, table.schema)
        if found is None:
            raise self._no_table(table, made or "; set createTableSql to have it made")
        return session.shape(found)

    def _no_table(self, table: Table, more: str) -> PermanentTaskError:
        name = f"{table.schema}.{table.table}" if table.schema else table.table
        message = (
            f"RedshiftDataNode {table.id!r}, field 'tableName': {self.session.spec} has no table "
            f"{name!r}{more}"
        )
        return PermanentTaskError(message, error_id=ErrorId.NOT_FOUND)

    def _may_load(self, fence: Fence) -> bool:
        """Whether there is something to do, by the instance's row; makes that if it is missing."""
        session, log = self.session, self.monitor.log
        if not self._has_table(fence):
            self._prepare(fence, fence.create)
        rows = session.rows(fence.look)
        if not rows:
            self._prepare(fence, fence.begin)
            return True
        verdict = fence.judge(rows, repeatable=self.request.mode is not InsertMode.APPEND)
        if verdict is Verdict.LOADED:
            log.warning("Nothing is loaded: an attempt of this run has been, says %s", fence.table)
            return False
        if verdict is Verdict.SUPERSEDED:
            message = f"{self._where}: a later attempt has been loaded, says {fence.table}"
            raise PermanentTaskError(message, error_id=ErrorId.ACTIVITY_FAILED)
        if verdict is Verdict.UNCLEAR:
            message = (
                f"{self._where}: an earlier attempt of {fence.claim.instance} has appended its "
                f"rows, says {fence.table}, and the service does not say whether this is a rerun; "
                "delete the instance's row there to load it again"
            )
            raise PermanentTaskError(message, error_id=ErrorId.ACTIVITY_FAILED)
        return True

    def _prepare(self, fence: Fence, step: Step) -> None:
        """Make the fence's table or row."""
        try:
            carry_out(self.session, [step], self.monitor, Authorization(), self._where)
        except TaskError as error:
            made = step == fence.create and self._has_table(fence)
            if made:  # by another attempt, at the same moment
                return
            hint = f"the user needs the right to make and change {fence.table}"
            raise TaskError(f"{error}; {hint}", error_id=error.error_id) from error

    def _has_table(self, fence: Fence) -> bool:
        schema, table = names_in(fence.table)
        return self.session.find_table(table, schema) is not None
