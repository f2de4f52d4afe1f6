"""SqlActivity: a script of SQL statements on a database."""

from __future__ import annotations

from itertools import islice

from taskrunner.activities.base import Activity, Context
from taskrunner.data.databases.base import Target
from taskrunner.data.databases.registry import open_database
from taskrunner.data.databases.script import Statement
from taskrunner.data.databases.script_run import Script, ScriptRun
from taskrunner.data.nodes import TableNode, database_of, node_of
from taskrunner.errors import Canceled, ErrorId, PermanentTaskError
from taskrunner.model.task import TaskObject

_MAX_SCRIPT = 16 << 20
_PIECE = 1 << 20


class SqlActivity(Activity):
    """Runs `script`, or the one at `scriptUri`, in one transaction where the database can."""

    type = "SqlActivity"

    def run(self, ctx: Context) -> None:
        """Run the statements in order; what they answer is dropped."""
        main = ctx.task.main
        with open_database(database_of(main), ctx.data) as database:
            script = database.read_script(_script(ctx), main.all("scriptArgument"))
            if not script.statements:
                raise _invalid(main, "the script holds no statement")
            queue = main.get("queue")
            if queue and not database.use_queue(queue):
                ctx.log.info("No queue is set: %s has none", database.spec)
            _make_output(ctx, main)
            ctx.log.info("Running %d statements on %s", len(script.statements), database.spec)
            _run(ctx, script)


def _run(ctx: Context, script: ScriptRun) -> None:
    def done(statement: Statement, number: int, count: int) -> None:
        rows = f", {count} rows" if count >= 0 else ""
        where = f"{statement.kind}, line {statement.line}"
        ctx.log.info("Statement %d (%s) done%s", number, where, rows)
        # A script that changes how it is read may turn out to have more.
        total = max(number, len(script.statements))
        ctx.progress(statements=number, percent=100 * number // total)
        ctx.check_canceled()

    try:
        script.run(done)
    except Canceled:
        if script.kept:
            ctx.log.warning("Canceled: %s", script.kept)
        raise


def _script(ctx: Context) -> Script:
    """The script, called by its URI, or by the activity that has it."""
    main = ctx.task.main
    script, uri = main.get("script"), main.get("scriptUri")
    if (script is None) == (uri is None):
        raise _invalid(main, "wanted either script or scriptUri")
    if uri is None:
        text = (script or "").removeprefix("\ufeff")
        return Script(text=text, name=f"the script of {main.component_id!r}")
    with ctx.objects.open_read(uri) as reader:
        data = b"".join(islice(iter(lambda: reader.read(_PIECE), b""), _MAX_SCRIPT // _PIECE + 1))
    if len(data) > _MAX_SCRIPT:
        raise _invalid(main, f"the script {uri} is larger than {_MAX_SCRIPT >> 20} MiB")
    try:
        return Script(text=data.decode("utf-8-sig"), name=uri)
    except UnicodeDecodeError as error:
        raise _invalid(main, f"the script {uri} is not UTF-8 text: {error}") from error


def _make_output(ctx: Context, main: TaskObject) -> None:
    """Create the output's table if it is missing and the node says how; rows come by the script."""
    for described in main.related("output"):
        node = node_of(described)
        if isinstance(node, TableNode) and node.create_table_sql:
            target = Target(
                table=node.table, schema=node.schema, create_table_sql=node.create_table_sql
            )
            with open_database(node.database, ctx.data) as database:
                database.ensure_table(target)
                database.commit()


def _invalid(main: TaskObject, problem: str) -> PermanentTaskError:
    message = f"SqlActivity {main.component_id!r}: {problem}"
    return PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
