"""The steps of one activity, on the engine that can do them all.

Whatever is wrong with them, or with this host for them, is said before anything starts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from taskrunner.activities.base import Context
from taskrunner.activities.dynamodb import run_step
from taskrunner.activities.engines.base import Call, Engine
from taskrunner.activities.engines.placed import placed_engine
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError
from taskrunner.model.steps.works import RunDynamoDb, RunNothing, Step, Work

Native = Callable[[Context, Work], None]


def _do_nothing(ctx: Context, work: Work) -> None:
    ctx.log.info("Nothing to do: %s", work)


def _use_dynamodb(ctx: Context, work: Work) -> None:
    if isinstance(work, RunDynamoDb):
        run_step(ctx, work, field="step")


#: What this program does itself, whatever the engine is.
NATIVE: Mapping[type[Work], Native] = {RunDynamoDb: _use_dynamodb, RunNothing: _do_nothing}


def available(ctx: Context) -> Sequence[Engine]:
    """The engines that the operator allows, the best first.

    What the service has placed the resource on is meant, whatever the agent's settings are.
    """
    from taskrunner.activities.engines.command import CommandEngine
    from taskrunner.activities.engines.emr import EmrEngine
    from taskrunner.activities.engines.emr_client import cluster_of
    from taskrunner.activities.engines.local import LocalEngine

    placed = placed_engine(ctx)
    if placed is not None:
        return (placed,)

    def emr() -> Engine:
        return EmrEngine(ctx, cluster=cluster_of(ctx.data))

    makers: dict[str, Callable[[], Engine]] = {
        "emr": emr,
        "command": lambda: CommandEngine(ctx),
        "local": lambda: LocalEngine(ctx),
    }
    wanted = ctx.data.emr_engine
    if wanted != "auto":
        return (makers[wanted](),)
    # A cluster that is named is meant. That of the host needs a role that may add steps.
    order = ("emr", "command", "local") if ctx.data.emr_cluster else ("command", "emr", "local")
    return [makers[name]() for name in order]


class Steps:
    """Steps that can be run here, in order."""

    def __init__(
        self,
        ctx: Context,
        calls: Sequence[Call],
        engine: Engine,
        native: Mapping[type[Work], Native],
    ) -> None:
        self._ctx = ctx
        self._calls = calls
        self._native = native
        self.engine = engine

    @classmethod
    def prepare(
        cls,
        ctx: Context,
        steps: Sequence[Step],
        *,
        queue: str | None = None,
        engines: Sequence[Engine] | None = None,
        native: Mapping[type[Work], Native] = NATIVE,
    ) -> Steps:
        """Find the engine; raises PermanentTaskError that says why there is none."""
        calls = [
            Call(step=step, number=number, count=len(steps), queue=queue)
            for number, step in enumerate(steps, 1)
        ]
        reasons = []
        for engine in available(ctx) if engines is None else engines:
            reason = _objection(engine, calls, native)
            if reason is None:
                if any(type(call.step.work) not in native for call in calls):
                    _warn(ctx, engine)
                return cls(ctx, calls, engine, native)
            reasons.append(reason)
        main = ctx.task.main
        message = f"{main.type} {main.component_id!r} cannot run here: {'; '.join(reasons)}"
        raise PermanentTaskError(message, error_id=ErrorId.UNSUPPORTED_TYPE)

    def run(self) -> None:
        """Run one step after the other; raises TaskError that names the one that failed."""
        for call in self._calls:
            work = call.step.work
            self._ctx.check_canceled()
            self._tell(call, done=call.number - 1)
            self._ctx.log.info("Running %s (%s)", call.where, self._who(work))
            try:
                if run := self._own(work):
                    run(self._ctx, work)
                else:
                    self.engine.run(call)
            except TaskError as error:
                raise call.failed(error) from error
        if self._calls:
            self._tell(self._calls[-1], done=len(self._calls))

    def _who(self, work: Work) -> str:
        return "taskrunner" if self._own(work) else f"engine {self.engine.name}"

    def _own(self, work: Work) -> Native | None:
        """What this program does itself; an old cluster may need to have Hive or Pig installed."""
        if isinstance(work, RunNothing) and self.engine.is_remote:
            return None
        return self._native.get(type(work))

    def _tell(self, call: Call, *, done: int) -> None:
        percent = 100 * done // call.count
        self._ctx.progress(step=call.number, steps=call.count, percent=percent)


def _objection(
    engine: Engine, calls: Sequence[Call], native: Mapping[type[Work], Native]
) -> str | None:
    for call in calls:
        work = call.step.work
        if type(work) in native:
            continue
        reason = engine.objection(work)
        if reason is not None:
            return f"engine {engine.name}, {call.where}: {reason}"
    return None


def _warn(ctx: Context, engine: Engine) -> None:
    if engine.name in {"command", "spark"} and ctx.data.s3_root is not None:
        ctx.log.warning(
            "Commands of this host reach s3:// as they are configured, and not in %s, which "
            "stands for S3 otherwise",
            ctx.data.s3_root,
        )
