"""RedshiftCopyActivity: loads a table from S3, DynamoDB or another table, or unloads it into S3.

The plan is `data.redshift`'s; here it is carried out, and said what became of it.
"""

from __future__ import annotations

from taskrunner.activities.base import Activity, Context
from taskrunner.activities.copy import file_name
from taskrunner.data.redshift.load import Load
from taskrunner.data.redshift.nodes import Files, Table, read_request
from taskrunner.data.redshift.sessions import open_session
from taskrunner.data.redshift.unload import UnloadFiles


class RedshiftCopyActivity(Activity):
    """Copies `input` to `output`, at least one of which is a table of Redshift's."""

    type = "RedshiftCopyActivity"

    def run(self, ctx: Context) -> None:
        """Copy, and log what was done."""
        request = read_request(ctx.task.main)
        table = request.target if isinstance(request.target, Table) else request.source
        assert isinstance(table, Table)  # noqa: S101  read_request has seen to it
        with open_session(table.database, ctx.data, ctx.log) as session:
            ctx.log.info("Copying from %s to %s", request.source.id, request.target.id)
            ctx.log.info("The database is the %s", session.spec)
            if session.spec.stands_in_for:
                ctx.log.warning(
                    "This is no Redshift: a PostgreSQL stands in for it, which keeps keys and "
                    "lengths more strictly, and knows fewer options"
                )
            if isinstance(request.target, Files):
                name = file_name(ctx.task.instance_id)
                UnloadFiles(session, request, ctx.objects, ctx).run(name)
            else:
                Load(session, request, ctx.objects, ctx).run(ctx.task)
