"""The engine `emr`: steps of a cluster, by EMR's API.

A step's name holds a mark of the instance and of the hand-out. By it a step that was added is found
when the answer was lost, and those that an earlier attempt left running are canceled before a new
one starts its own.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from taskrunner.activities.base import Context
from taskrunner.activities.dynamodb import Connect
from taskrunner.activities.engines.base import Call
from taskrunner.activities.engines.command import jar_arguments, queue_flags
from taskrunner.activities.engines.emr_client import Cluster, EmrClient, NewStep, StepState
from taskrunner.activities.engines.far_scripts import (
    digest,
    mark_of,
    script_uri,
    why_no_place,
)
from taskrunner.activities.engines.resize import Resize
from taskrunner.clock import Clock, SystemClock
from taskrunner.errors import ErrorId, TaskError
from taskrunner.model.steps.reader import COMMAND_RUNNER
from taskrunner.model.steps.works import (
    Pairs,
    RunHive,
    RunJar,
    RunPig,
    RunSpark,
    RunStreaming,
    Work,
)

#: Seconds between two looks at a step: the first, and the longest.
_FIRST_LOOK_S = 2.0
_LONGEST_LOOK_S = 30.0
_MOST_NAME = 256


class EmrEngine:
    """Adds steps to one cluster, and follows them."""

    name = "emr"
    is_remote = True

    def __init__(
        self,
        ctx: Context,
        *,
        cluster: str | None,
        region: str | None = None,
        client: EmrClient | None = None,
        clock: Clock | None = None,
        first_look_s: float = _FIRST_LOOK_S,
        is_made: bool = False,
        connect: Connect | None = None,
    ) -> None:
        """`region` is the cluster's, where it is not the agent's.

        A cluster that was made for the activity's resource may grow for it; `connect` leads to the
        tables that it grows for.
        """
        self._ctx = ctx
        self._cluster_id = cluster
        self._region = region or ctx.data.region
        self._made = client
        self._clock = clock or SystemClock()
        self._first_look_s = first_look_s
        self._is_made, self._connect = is_made, connect
        self._begun = False
        #: How many steps this hand-out has had; it makes their names differ.
        self._added = 0

    def objection(self, work: Work) -> str | None:
        """Why it cannot do this."""
        if self._cluster_id is None:
            return "no cluster is named (emr_cluster), and this host is no cluster's master node"
        return why_no_place(self._ctx, work, "the cluster")

    def run(self, call: Call) -> None:
        """Add the step, and wait until it is over; raises TaskError if it did not succeed."""
        client = self._client
        if not self._begun:
            self._begin(client)
        cluster = client.cluster()
        cluster.check_alive()
        step_id = client.add(self._new_step(call))
        log = cluster.log_of(step_id)
        self._ctx.log.info("Step %s was added to the cluster %s", step_id, self._cluster_id)
        if log and (jobs := cluster.job_logs):
            self._ctx.log.info("Step log: %s", log)
            self._ctx.log.info("Logs of its Hadoop jobs: %s", jobs)
            self._ctx.progress(emrStepLog=log, hadoopJobLog=jobs)
        try:
            state = self._wait(client, step_id)
        except BaseException:
            self._cancel(client, step_id)
            raise
        if state.name != "COMPLETED":
            raise _failure(state, client.cluster(), log)

    def _begin(self, client: EmrClient) -> None:
        """What is done before the first step."""
        self._end_earlier(client)
        if self._is_made:
            Resize(
                ctx=self._ctx,
                client=client,
                clock=self._clock,
                region=self._region,
                connect=self._connect,
            ).run()
        elif self._ctx.task.main.flag("resizeClusterBeforeRunning"):
            self._ctx.log.warning(
                "resizeClusterBeforeRunning has no effect: the cluster %s was not made for this "
                "activity's resource",
                self._cluster_id,
            )
        self._begun = True

    @property
    def _client(self) -> EmrClient:
        if self._made is None:
            self._made = EmrClient.connect(
                self._cluster_id or "", region=self._region, clock=self._clock
            )
        return self._made

    def _cancel(self, client: EmrClient, step_id: str) -> None:
        try:
            client.cancel([step_id])
        except TaskError as error:
            self._ctx.log.warning("Step %s could not be canceled: %s", step_id, error)
        else:
            self._ctx.log.info("Step %s was told to end", step_id)

    def _end_earlier(self, client: EmrClient) -> None:
        """Cancel what an earlier attempt of the instance left on the cluster."""
        left = [step.id for step in client.active() if f"[{mark_of(self._ctx)}." in step.step_name]
        if not left:
            return
        self._ctx.log.warning("Canceling %s of an earlier attempt", ", ".join(left))
        client.cancel(left)
        for step_id in left:
            self._wait(client, step_id)

    def _wait(self, client: EmrClient, step_id: str) -> StepState:
        never, pause, said = threading.Event(), self._first_look_s, ""
        while True:
            state = client.state(step_id)
            if state.name != said:
                said = state.name
                self._ctx.log.info("Step %s is %s", step_id, said)
            self._ctx.progress(state=state.name)
            self._ctx.check_canceled()
            if state.is_over:
                return state
            self._clock.wait(never, pause)
            pause = min(pause * 1.5, _LONGEST_LOOK_S)

    def _new_step(self, call: Call) -> NewStep:
        task = self._ctx.task
        which = f"step {call.number} of {call.count}"
        self._added += 1
        mark = f"[{mark_of(self._ctx)}.{digest(task.task_id)}.{self._added}]"
        name = f"{task.pipeline_id} {task.attempt_id.removeprefix('@')}"
        room = _MOST_NAME - len(which) - len(mark) - 2
        jar, main_class, arguments = self._jar(call)
        return NewStep(
            name=f"{name[:room]} {which} {mark}",
            jar=jar,
            main_class=main_class,
            arguments=tuple(arguments),
        )

    def _jar(self, call: Call) -> tuple[str, str | None, Sequence[str]]:
        """The step as EMR takes it: as it is written, but for what is ours to add."""
        step, work = call.step, call.step.work
        if isinstance(work, RunHive) and not step.arguments:
            queue = (("mapreduce.job.queuename", call.queue),) if call.queue else ()
            given = [
                *_flags("--hiveconf", (*queue, *work.properties)),
                *_flags("-d", work.variables),
            ]
            script = script_uri(self._ctx, call, work, "q")
            words = ["hive-script", "--run-hive-script", "--args", "-f", script]
            return COMMAND_RUNNER, None, [*words, *given]
        if isinstance(work, RunPig) and not step.arguments:
            script = script_uri(self._ctx, call, work, "pig")
            words = ["pig-script", "--run-pig-script", "--args", "-f", script]
            return COMMAND_RUNNER, None, [*words, *_flags("-p", work.parameters)]
        if isinstance(work, RunStreaming) and "://" not in work.jar:
            # Clusters of today have the jar elsewhere than those that definitions were made for.
            words = ["hadoop-streaming", *queue_flags(call.queue), *work.arguments]
            return COMMAND_RUNNER, None, words
        if call.queue and isinstance(work, RunJar):
            return work.jar, None, jar_arguments(work, call.queue)
        if call.queue and isinstance(work, RunSpark):
            words = ["spark-submit", "--queue", call.queue, *work.arguments]
            return COMMAND_RUNNER, None, words
        return step.jar, step.main_class, step.arguments


def _failure(state: StepState, cluster: Cluster, log: str | None) -> TaskError:
    if not cluster.is_alive and state.name != "FAILED":
        return TaskError(f"{cluster.end}, and with it its step", error_id=ErrorId.RESOURCE_FAILED)
    reason = f": {state.reason}" if state.reason else ""
    where = f"; its log is in {state.log_file or log}" if state.log_file or log else ""
    return TaskError(
        f"the step {state.id} is {state.name}{reason}{where}", error_id=ErrorId.COMMAND_FAILED
    )


def _flags(flag: str, pairs: Pairs) -> list[str]:
    return [text for name, value in pairs for text in (flag, f"{name}={value}")]
