"""EmrActivity: steps of EMR, one after the other, on the engine of this agent."""

from __future__ import annotations

from collections.abc import Sequence

from taskrunner.activities.base import Activity, Context
from taskrunner.activities.engines.around import run_commands, warn
from taskrunner.activities.engines.steps import Steps
from taskrunner.errors import ErrorId, PermanentTaskError
from taskrunner.model.steps.reader import read_step
from taskrunner.model.steps.works import Step
from taskrunner.model.task import TaskObject


class EmrActivity(Activity):
    """Runs each `step`, after each `preStepCommand` and before each `postStepCommand`."""

    type = "EmrActivity"

    def run(self, ctx: Context) -> None:
        """Read all steps, find who can run them, and run them."""
        main = ctx.task.main
        steps = Steps.prepare(ctx, read_steps(main))
        warn(ctx)
        run_commands(ctx, "preStepCommand", steps.engine)
        steps.run()
        run_commands(ctx, "postStepCommand", steps.engine)


def read_steps(main: TaskObject) -> Sequence[Step]:
    """The steps of an EmrActivity; raises PermanentTaskError for the first that cannot be read."""
    texts = main.all("step")
    if not texts and not main.all("preStepCommand") and not main.all("postStepCommand"):
        raise _invalid(main, "wanted at least one step: JAR,ARGUMENT,...")
    steps = []
    for number, text in enumerate(texts, 1):
        try:
            steps.append(read_step(text))
        except ValueError as error:
            which = f" {number} of {len(texts)}" if len(texts) > 1 else ""
            raise _invalid(main, f"field 'step'{which}: {error}") from error
    return steps


def _invalid(main: TaskObject, problem: str) -> PermanentTaskError:
    message = f"{main.type} {main.component_id!r}: {problem}"
    return PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
