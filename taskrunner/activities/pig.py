"""PigActivity: a Pig script, its data nodes loaded before it and stored after it."""

from __future__ import annotations

from taskrunner.activities.base import Activity, Context
from taskrunner.activities.dynamodb import Connect
from taskrunner.activities.engines.around import variables
from taskrunner.activities.engines.tables import stage_pig
from taskrunner.activities.scripts import run_script, script_of, staged
from taskrunner.model.steps.works import RunPig


class PigActivity(Activity):
    """Runs `script`, or the one at `scriptUri`, with each `scriptVariable`."""

    type = "PigActivity"

    def __init__(self, connect: Connect | None = None) -> None:
        self._connect = connect

    def run(self, ctx: Context) -> None:
        """Load what the script uses, run it, and store what it makes."""
        uri, text = script_of(ctx, "script")
        found = staged(ctx, text, stage_pig, pig=True, connect=self._connect)
        script = found.staged
        work = RunPig(
            script=None if script.changed else uri, text=script.text, parameters=variables(ctx)
        )
        run_script(ctx, work, suffix="pig", elsewhere=found.elsewhere)
