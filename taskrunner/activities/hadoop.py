"""HadoopActivity: a jar of MapReduce, on the engine of this agent."""

from __future__ import annotations

from taskrunner.activities.base import Activity, Context
from taskrunner.activities.engines.around import check_config, run_config, warn
from taskrunner.activities.engines.steps import Steps
from taskrunner.errors import ErrorId, PermanentTaskError
from taskrunner.model.steps.reader import read_jar
from taskrunner.model.steps.works import Step
from taskrunner.model.task import TaskObject


class HadoopActivity(Activity):
    """Runs `jarUri`, with `mainClass` and each `argument`, in the queue `hadoopQueue`."""

    type = "HadoopActivity"

    def run(self, ctx: Context) -> None:
        """Find who can run it, and run it."""
        main = ctx.task.main
        check_config(ctx)
        steps = Steps.prepare(ctx, [_step(main)], queue=main.get("hadoopQueue"))
        warn(ctx)
        run_config(ctx, "preActivityTaskConfig", steps.engine)
        steps.run()
        run_config(ctx, "postActivityTaskConfig", steps.engine)


def _step(main: TaskObject) -> Step:
    try:
        return read_jar(main.required("jarUri"), main.get("mainClass"), main.all("argument"))
    except ValueError as error:
        message = f"{main.type} {main.component_id!r}: {error}"
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD) from error
