"""HiveActivity: a Hive script, its data nodes staged as tables."""

from __future__ import annotations

from taskrunner.activities.base import Activity, Context
from taskrunner.activities.dynamodb import Connect
from taskrunner.activities.engines.around import variables
from taskrunner.activities.engines.tables import stage_hive
from taskrunner.activities.scripts import run_script, script_of, staged
from taskrunner.model.steps.works import RunHive


class HiveActivity(Activity):
    """Runs `hiveScript`, or the one at `scriptUri`, with each `scriptVariable`."""

    type = "HiveActivity"

    def __init__(self, connect: Connect | None = None) -> None:
        self._connect = connect

    def run(self, ctx: Context) -> None:
        """Stage the tables that the script uses, and run it."""
        uri, text = script_of(ctx, "hiveScript")
        found = staged(ctx, text, stage_hive, connect=self._connect)
        script = found.staged
        work = RunHive(
            script=None if script.changed else uri,
            text=script.text,
            variables=variables(ctx),
            properties=script.properties,
        )
        run_script(ctx, work, suffix="q", elsewhere=found.elsewhere)
