"""Faults of a service, each made in earnest, with what `why` has to say of it.

`python -m tests.contract.why_faults` prints the table of docs/why.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from taskrunner.model.why.causes import Cause, Code
from taskrunner.model.why.pipelines import Why
from taskrunner.service.callers import ANONYMOUS, Caller
from taskrunner.service.resources.base import ResourceBusy, ResourceFailure
from taskrunner.service.resources.rules import Rules, read_rules
from taskrunner.service.roster import RunnerCall
from taskrunner.service.store.rows import RefusedPollRow
from taskrunner.testing import ServiceInProcess
from taskrunner.testing.service import as_definition
from taskrunner.wire.user_agent import DOCTOR, RunnerFacts
from tests.unit.service.worlds import (
    ON_DEMAND,
    FakeProvider,
    Object,
    T,
    check,
    data,
    ec2,
    ref,
    schedule,
    scheduled,
    shell,
)

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
PROD: Object = {**ON_DEMAND, "workerGroup": "prod"}
NONE = Rules.everywhere("none", "--resources")
GROUP = Rules.everywhere("group=prod", "--resources")
#: Matches nothing here.
OTHERS = read_rules('[[resources]]\ntype = "EmrCluster"\nrun = "group=hadoop"\n', "rules.toml")
A, B, R = f"@A_{T}", f"@B_{T}", f"@R_{T}"

#: A pipeline, and what of it is asked about.
Made = tuple[str, str | None]
Make = Callable[[ServiceInProcess], Made]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that is wrong, and what is to be said of it."""

    name: str
    make: Make
    #: The cause at the root, and the beginning of the command; DF and the like stand for ids.
    code: Code
    command: str
    #: What the sentence must name, so that somebody knows what to do.
    names: tuple[str, ...] = ()


FAULTS: list[Fault] = []


def fault(name: str, code: Code, command: str, *names: str) -> Callable[[Make], Make]:
    """Enter a fault in the table."""

    def enter(make: Make) -> Make:
        FAULTS.append(Fault(name=name, make=make, code=code, command=command, names=names))
        return make

    return enter


ACTIVATE = "taskrunner pipelines activate DF"
PUT = "taskrunner pipelines put pipeline.json --pipeline DF"


def one(world: ServiceInProcess, **fields: object) -> str:
    """A pipeline on demand of one activity for the group `prod`, activated."""
    return world.run([PROD, shell("A", **fields)])


def fail(world: ServiceInProcess, group: str = "prod", times: int = 3) -> None:
    """Have the next tasks of a group fail, each retry included."""
    for _ in range(times):
        world.conclude(world.take(group), "FAILED", "CommandFailed", "exit code 3")
        world.advance(11 * MINUTE)


# -- the pipeline as a whole ------------------------------------------------------------------


@fault("nothing was put", Code.NO_DEFINITION, PUT)
def _no_definition(world: ServiceInProcess) -> Made:
    return world.service.create_pipeline(ANONYMOUS, "orders", "1"), None


@fault("stuck PENDING: it was never activated", Code.NOT_ACTIVATED, ACTIVATE)
def _not_activated(world: ServiceInProcess) -> Made:
    return world.put([PROD, shell("A")]), None


@fault(
    "stuck PENDING: the definition has errors",
    Code.DEFINITION_HAS_ERRORS,
    "taskrunner validate pipeline.json",
    "A: ",
    "dependsOn",
)
def _has_errors(world: ServiceInProcess) -> Made:
    return world.put([PROD, shell("A", after="Nobody")]), None


@fault("it was deactivated", Code.INACTIVE, ACTIVATE, "2026-02-13T02:00:00 UTC")
def _inactive(world: ServiceInProcess) -> Made:
    pipeline = one(world)
    world.service.deactivate(pipeline)
    world.settle()
    return pipeline, None


@fault(
    "it is being deactivated, and a task still runs",
    Code.DEACTIVATING,
    "taskrunner pipelines deactivate DF",
)
def _deactivating(world: ServiceInProcess) -> Made:
    pipeline = one(world)
    world.take("prod")
    world.service.deactivate(pipeline, cancel_active=False)
    world.settle()
    return pipeline, None


@fault("on demand: its run is over", Code.PIPELINE_FINISHED, ACTIVATE, "each activation")
def _finished(world: ServiceInProcess) -> Made:
    pipeline = one(world)
    world.work_off("prod")
    return pipeline, None


@fault("its schedule has ended", Code.PIPELINE_FINISHED, PUT, "endDateTime")
def _schedule_ended(world: ServiceInProcess) -> Made:
    pipeline = world.run([scheduled(workerGroup="prod"), schedule(occurrences="1"), shell("A")])
    world.work_off("prod")
    return pipeline, None


@fault(
    "its schedule begins tomorrow",
    Code.NEXT_RUN,
    "taskrunner schedule pipeline.json",
    "2026-02-14T02:00:00 UTC (in 24 h)",
)
def _tomorrow(world: ServiceInProcess) -> Made:
    begins = schedule(startDateTime="2026-02-14T02:00:00")
    return world.run([scheduled(workerGroup="prod"), begins, shell("A")]), None


@fault("a change was put and not activated", Code.CHANGE_NOT_ACTIVATED, ACTIVATE, "version 2")
def _change(world: ServiceInProcess) -> Made:
    pipeline = one(world)
    world.work_off("prod")
    changed = as_definition([PROD, shell("A", stage="false")])
    world.service.put_definition(pipeline, changed)
    return pipeline, None


@fault("somebody has paused the pipeline", Code.PAUSED, "taskrunner pipelines resume DF", "ann")
def _paused_whole(world: ServiceInProcess) -> Made:
    pipeline = one(world)
    _pause(world, pipeline, pipeline)
    return pipeline, None


def _pause(world: ServiceInProcess, pipeline: str, object_id: str) -> None:
    ann = Caller(account=ANONYMOUS.account, user="ann")
    world.service.set_status(pipeline, [object_id], "PAUSE", ann)
    world.settle()


# -- before it begins -------------------------------------------------------------------------


@fault(
    "somebody has paused the component",
    Code.PAUSED,
    "taskrunner pipelines resume DF --object A",
    "ann",
)
def _paused_component(world: ServiceInProcess) -> Made:
    pipeline = one(world)
    _pause(world, pipeline, "A")
    return pipeline, A


@fault(
    "somebody has paused the instance",
    Code.PAUSED,
    f"taskrunner pipelines resume DF --object {A}",
    "ann",
)
def _paused_instance(world: ServiceInProcess) -> Made:
    pipeline = one(world)
    _pause(world, pipeline, A)
    return pipeline, A


@fault(
    "timeseries: its period has not ended",
    Code.SCHEDULE,
    "taskrunner schedule pipeline.json",
    "2026-02-13T03:00:00 UTC",
    "timeseries",
)
def _timeseries(world: ServiceInProcess) -> Made:
    objects = [scheduled("timeseries", workerGroup="prod"), schedule(occurrences="1")]
    pipeline = world.run([*objects, shell("A", runsOn=ref("R")), ec2("R")])
    return pipeline, A


@fault(
    "an earlier run is at work",
    Code.RUN_WAITS,
    "taskrunner why DF",
    T,
    "maxActiveInstances",
)
def _run_waits(world: ServiceInProcess) -> Made:
    pipeline = one(world)
    world.take("prod")
    world.advance(MINUTE)
    world.service.activate(pipeline)
    world.settle()
    return pipeline, "@A_2026-02-13T02:01:00"


@fault(
    "an earlier run waits itself, for no runner is there",
    Code.NO_RUNNER,
    "taskrunner --worker-group prod",
    "'prod'",
)
def _run_behind_one_that_waits(world: ServiceInProcess) -> Made:
    pipeline = one(world)
    world.advance(MINUTE)
    world.service.activate(pipeline)
    world.settle()
    return pipeline, "@A_2026-02-13T02:01:00"


def _backlog(world: ServiceInProcess) -> str:
    """A cron pipeline three periods of which are due, two of which may be active."""
    world.clock.advance(2 * HOUR + MINUTE)
    default = scheduled(workerGroup="prod", maxActiveInstances="2")
    return world.run([default, schedule(), shell("A")])


@fault("maxActiveInstances are at work", Code.MAX_ACTIVE_INSTANCES, PUT, "2 of 2", "'A'", A)
def _max_active(world: ServiceInProcess) -> Made:
    pipeline = _backlog(world)
    world.take("prod")
    world.take("prod")
    return pipeline, "@A_2026-02-13T04:00:00"


@fault(
    "maxActiveInstances wait themselves, for no runner is there",
    Code.NO_RUNNER,
    "taskrunner --worker-group prod",
    "'prod'",
)
def _max_active_waits(world: ServiceInProcess) -> Made:
    return _backlog(world), "@A_2026-02-13T04:00:00"


@fault(
    "third in a chain whose first has no runner",
    Code.NO_RUNNER,
    "taskrunner --worker-group prod",
    "'prod'",
)
def _chain(world: ServiceInProcess) -> Made:
    objects = [PROD, shell("A"), shell("B", after="A"), shell("C", after="B")]
    return world.run(objects), f"@C_{T}"


@fault(
    "its dependency failed, and failureAndRerunMode is not cascade",
    Code.FAILED,
    f"taskrunner rerun DF {A}",
    "CommandFailed",
    "exit code 3",
)
def _dependency_failed(world: ServiceInProcess) -> Made:
    pipeline = world.run([PROD, shell("A"), shell("B", after="A")])
    fail(world)
    return pipeline, B


@fault("its dependency was canceled", Code.CANCELED, f"taskrunner rerun DF {A}", A)
def _dependency_canceled(world: ServiceInProcess) -> Made:
    pipeline = world.run([PROD, shell("A"), shell("B", after="A")])
    world.service.set_status(pipeline, [A], "TRY_CANCEL")
    world.settle()
    return pipeline, B


@fault(
    "its dependency was skipped by an activation from a later start",
    Code.DEPENDENCY_SKIPPED,
    f"taskrunner finish DF {A}",
    A,
)
def _dependency_skipped(world: ServiceInProcess) -> Made:
    objects = [scheduled(workerGroup="prod"), schedule(), shell("A"), shell("B", after="A")]
    pipeline = world.run(objects)
    world.service.deactivate(pipeline)
    world.settle()
    world.advance(2 * HOUR)
    world.service.activate(pipeline, start=world.now)
    world.settle()
    world.service.set_status(pipeline, [B], "RERUN")
    world.settle()
    return pipeline, B


@fault(
    "its precondition does not hold",
    Code.PRECONDITION_NOT_MET,
    f"taskrunner finish DF @P_{T}",
    "'P'",
    "looked at 2 times",
    "last 30 s ago",
    "no object s3://b/k",
    "next look is at 2026-02-13T02:02:00 UTC",
    "it fails at 2026-02-13T03:00:00 UTC",
)
def _precondition(world: ServiceInProcess) -> Made:
    waits = check("P", preconditionTimeout="1 hour")
    pipeline = world.run([PROD, shell("A", precondition=ref("P")), waits])
    for seconds in (60, 30):
        world.conclude(world.take("prod"), "FALSE", None, "no object s3://b/k")
        world.advance(seconds)
    return pipeline, A


@fault(
    "nobody is there to look at its precondition",
    Code.NO_RUNNER,
    "taskrunner --worker-group prod",
    "'prod'",
)
def _precondition_unasked(world: ServiceInProcess) -> Made:
    return world.run([PROD, shell("A", precondition=ref("P")), check("P")]), A


@fault(
    "who looked at its precondition is gone",
    Code.RUNNER_SILENT,
    "taskrunner --worker-group prod",
    "runner.example",
)
def _precondition_left(world: ServiceInProcess) -> Made:
    pipeline = world.run([PROD, shell("A", precondition=ref("P")), check("P")])
    world.conclude(world.take("prod"), "FALSE", None, "no object s3://b/k")
    world.advance(10 * MINUTE)
    return pipeline, A


@fault(
    "its precondition did not come true in time",
    Code.FAILED,
    f"taskrunner rerun DF @P_{T}",
    "preconditionTimeout (3600 s)",
)
def _precondition_timeout(world: ServiceInProcess) -> Made:
    waits = check("P", preconditionTimeout="1 hour")
    pipeline = world.run([PROD, shell("A", precondition=ref("P")), waits])
    world.conclude(world.take("prod"), "FALSE", None, "no object s3://b/k")
    world.advance(2 * HOUR)
    return pipeline, A


@fault(
    "an attempt failed, and the next is to come",
    Code.RETRY_LATER,
    f"taskrunner logs DF {A}_Attempt=1",
    "exit code 3",
    "2026-02-13T02:10:00 UTC (in 10 min)",
    "2 tries are left",
)
def _retry(world: ServiceInProcess) -> Made:
    pipeline = one(world)
    world.conclude(world.take("prod"), "FAILED", "CommandFailed", "exit code 3")
    return pipeline, A


# -- runners ----------------------------------------------------------------------------------


@fault(
    "stuck WAITING_FOR_RUNNER: no agent at all",
    Code.NO_RUNNER,
    "taskrunner --worker-group prod",
    "'prod'",
)
def _nobody(world: ServiceInProcess) -> Made:
    return one(world), A


@fault(
    "only `taskrunner doctor --poll` has asked",
    Code.NO_RUNNER,
    "taskrunner --worker-group prod",
    "'prod'",
)
def _doctor(world: ServiceInProcess) -> Made:
    pipeline = one(world)
    world.poll("prod", facts=RunnerFacts(program=DOCTOR))
    return pipeline, A


def _near(name: str, words: str) -> None:
    @fault(
        f"an agent asks for {name!r} in place of 'prod-a'",
        Code.RUNNER_OF_OTHER_NAME,
        "taskrunner --worker-group prod-a",
        repr(name),
        "host-a",
        words,
    )
    def make(world: ServiceInProcess) -> Made:
        pipeline = world.run([{**PROD, "workerGroup": "prod-a"}, shell("A")])
        world.poll(name, hostname="host-a")
        return pipeline, A


_near("Prod-A", "letter case")
_near("prod_a", "dash, underscore")
_near("Prod_A", "letter case, dash or underscore")
_near("prod", "one begins with the other")
_near("prod-a ", "blank")


@fault(
    "the agent's key is of another account",
    Code.RUNNER_OF_OTHER_ACCOUNT,
    "taskrunner keys create --role runner --worker-group prod",
    "another account",
)
def _other_account(world: ServiceInProcess) -> Made:
    pipeline = one(world)
    call = RunnerCall(caller=Caller(account="999999999999", user="bob"), ip="192.0.2.7")
    world.service.roster.polled(call, "prod", "host-b")
    return pipeline, A


def _refuse(
    world: ServiceInProcess, code: str, message: str, *, group: str = "prod", host: str = ""
) -> None:
    world.service.roster.refused(
        RefusedPollRow(
            ip="192.0.2.9",
            worker_group=group,
            code=code,
            message=message,
            last_at=world.now,
            hostname=host or None,
            key_id="AKIAOLD",
        )
    )


@fault(
    "the agent's key is not known (any more)",
    Code.RUNNER_REFUSED,
    "taskrunner keys create --role runner --worker-group prod",
    "UnrecognizedClientException",
    "AKIAOLD",
    "192.0.2.9",
)
def _unknown_key(world: ServiceInProcess) -> Made:
    pipeline = one(world)
    _refuse(world, "UnrecognizedClientException", "The access key is not known here any more.")
    return pipeline, A


@fault(
    "the agent's key is bound to other groups",
    Code.RUNNER_REFUSED,
    "taskrunner keys create --role runner --worker-group prod",
    "AccessDeniedException",
    "host-a",
    "not authorized for the worker group 'prod'",
)
def _bound_key(world: ServiceInProcess) -> Made:
    pipeline = one(world)
    message = "User: bob is not authorized for the worker group 'prod'"
    _refuse(world, "AccessDeniedException", message, host="host-a")
    return pipeline, A


@fault(
    "the agent's clock is wrong, and for which group it asks is not known",
    Code.RUNNER_REFUSED,
    "taskrunner doctor --worker-group prod",
    "InvalidSignatureException",
    "check the clock",
    "a group that it did not say",
)
def _wrong_clock(world: ServiceInProcess) -> Made:
    pipeline = one(world)
    message = "Signature expired: check the clock of the host that signs."
    _refuse(world, "InvalidSignatureException", message, group="")
    return pipeline, A


@fault(
    "the agent was there and is gone",
    Code.RUNNER_SILENT,
    "taskrunner --worker-group prod",
    "runner.example",
    "10 min ago",
)
def _silent(world: ServiceInProcess) -> Made:
    world.poll("prod")
    pipeline = one(world)
    world.advance(10 * MINUTE)
    return pipeline, A


@fault("the agent is paused", Code.RUNNERS_PAUSED, "taskrunner resume", "host-a", "upgrade")
def _paused_agent(world: ServiceInProcess) -> Made:
    paused = RunnerFacts(runner_id="1", slots=2, busy=0, paused="operator: upgrade")
    world.poll("prod", hostname="host-a", facts=paused)
    pipeline = one(world)
    world.advance(5 * MINUTE)
    return pipeline, A


@fault(
    "all task slots are busy",
    Code.RUNNERS_BUSY,
    "taskrunner --worker-group prod --tasks 2",
    "the one task slot",
    "host-a",
    "1 waits for longer",
    "(3 in 15 min)",
    "about 10 min",
)
def _busy(world: ServiceInProcess) -> Made:
    agent = RunnerFacts(runner_id="1", slots=1, busy=0, paused="")
    for _ in range(3):
        one(world)
        _take(world, agent, finish=True)
        world.advance(MINUTE)
    one(world)
    _take(world, agent, finish=False)
    one(world)
    world.advance(1)
    pipeline = one(world)
    world.service.roster.worked(RunnerCall(caller=ANONYMOUS, facts=replace(agent, busy=1)))
    return pipeline, None


def _take(world: ServiceInProcess, agent: RunnerFacts, *, finish: bool) -> None:
    """Take a task as an agent on host-a does, and finish it."""
    world.poll("prod", hostname="host-a", facts=agent)
    task = world.service.claim("prod", "host-a")
    assert task is not None
    world.service.report_progress(task.task_id, {})
    if finish:
        world.service.set_task_status(task.task_id, "FINISHED")
    world.settle()


@fault(
    "AWS's Task Runner is at work, and asks for no more",
    Code.RUNNERS_BUSY,
    "taskrunner --worker-group prod",
    "runner.example",
)
def _foreign_busy(world: ServiceInProcess) -> Made:
    one(world)
    task = world.take("prod")
    pipeline = one(world)
    for _ in range(5):
        world.advance(4 * MINUTE)
        world.service.report_progress(task.task_id, {})
    return pipeline, A


@fault(
    "an agent asks: it is a matter of moments",
    Code.IN_QUEUE,
    "taskrunner status",
    "runner.example",
)
def _in_queue(world: ServiceInProcess) -> Made:
    world.poll("prod")
    return one(world), A


@fault(
    "an agent was given it and says nothing",
    Code.HANDED_OUT,
    "taskrunner status",
    "runner.example",
    "2026-02-13T02:02:00 UTC",
)
def _handed_out(world: ServiceInProcess) -> Made:
    pipeline = one(world)
    world.take("prod", acknowledge=False)
    return pipeline, A


# -- resources --------------------------------------------------------------------------------

ON_R = [PROD, shell("A", runsOn=ref("R")), ec2("R")]


@fault(
    "no rule says where its resource runs",
    Code.RESOURCE_NO_RULE,
    "taskrunner --worker-group resource:DF_@R_2026-02-13T02:00:00",
    "rules.toml",
    R,
)
def _no_rule(world: ServiceInProcess) -> Made:
    return world.reset(resources=OTHERS).run(ON_R), A


@fault(
    "its resource is to be started by somebody",
    Code.RESOURCE_AWAITED,
    "taskrunner --worker-group resource:DF_@R_2026-02-13T02:00:00",
    R,
)
def _awaited(world: ServiceInProcess) -> Made:
    return world.reset(resources=NONE).run(ON_R), A


@fault(
    "a service without rules: its resource is to be started by somebody",
    Code.RESOURCE_AWAITED,
    "taskrunner --worker-group resource:DF_@R_2026-02-13T02:00:00",
    R,
)
def _external(world: ServiceInProcess) -> Made:
    return world.run(ON_R), A


@fault(
    "the agent for its resource was given another name",
    Code.RUNNER_OF_OTHER_NAME,
    "taskrunner --worker-group resource:DF_@R_2026-02-13T02:00:00",
    "letter case",
    "host-r",
)
def _awaited_elsewhere(world: ServiceInProcess) -> Made:
    pipeline = world.reset(resources=NONE).run(ON_R)
    world.poll(f"resource:{pipeline}_@r_{T}", hostname="host-r")
    return pipeline, A


@fault(
    "its resource could not be launched, and is tried again",
    Code.RESOURCE_LAUNCH_FAILED,
    f"journalctl -u taskrunner-serve --grep {R}",
    "InsufficientInstanceCapacity",
    "1 of 3 tries",
)
def _launch_failed(world: ServiceInProcess) -> Made:
    provider = FakeProvider()
    provider.failures = [ResourceFailure("InsufficientInstanceCapacity", wait=True)]
    return world.reset(provider=provider).run(ON_R), A


@fault(
    "the cloud does not answer",
    Code.RESOURCE_LAUNCH_FAILED,
    f"journalctl -u taskrunner-serve --grep {R}",
    "us-east-1 does not answer",
)
def _cloud_busy(world: ServiceInProcess) -> Made:
    provider = FakeProvider()
    provider.failures = [ResourceBusy("us-east-1 does not answer")] * 3
    world.reset(provider=provider)
    pipeline = world.run(ON_R)
    return pipeline, A


@fault(
    "its machine was launched and does not ask for work",
    Code.RESOURCE_STARTING,
    "aws ec2 get-console-output --latest --output text --instance-id i-1",
    R,
    "5 min ago",
    "2026-02-13T02:30:00 UTC",
)
def _starting(world: ServiceInProcess) -> Made:
    pipeline = world.reset(provider=FakeProvider()).run(ON_R)
    world.advance(5 * MINUTE)
    return pipeline, A


@fault(
    "its machine asked for work once, and not since",
    Code.RUNNER_SILENT,
    "taskrunner --worker-group resource:DF_@R_2026-02-13T02:00:00",
    "runner.example",
)
def _machine_silent(world: ServiceInProcess) -> Made:
    pipeline = world.reset(provider=FakeProvider()).run([*ON_R, shell("B", runsOn=ref("R"))])
    group = f"resource:{pipeline}_@R_{T}"
    world.conclude(world.take(group))
    world.advance(10 * MINUTE)
    return pipeline, B if world.statuses(pipeline)[A] == "FINISHED" else A


@fault(
    "as many resources as may be are up",
    Code.MAX_ACTIVE_INSTANCES,
    PUT,
    "1 of 1",
    "'R'",
)
def _resources_full(world: ServiceInProcess) -> Made:
    world.reset(resources=GROUP)
    world.clock.advance(HOUR + MINUTE)
    pipeline = world.run(
        [
            scheduled(workerGroup="prod"),
            schedule(),
            shell("A", runsOn=ref("R")),
            ec2("R", maxActiveInstances="1"),
        ]
    )
    world.take("prod")
    return pipeline, "@A_2026-02-13T03:00:00"


@fault(
    "a resource that nobody needs yet",
    Code.NO_RUNNER,
    "taskrunner --worker-group prod",
    "'prod'",
)
def _not_needed(world: ServiceInProcess) -> Made:
    objects = [PROD, shell("B"), shell("A", runsOn=ref("R"), after="B"), ec2("R")]
    return world.run(objects), R


@fault(
    "its resource could not be made at all",
    Code.FAILED,
    f"taskrunner rerun DF {R}",
    "no capacity",
)
def _resource_failed(world: ServiceInProcess) -> Made:
    provider = FakeProvider()
    provider.refuse = True
    pipeline = world.reset(provider=provider).run(ON_R)
    world.advance(2 * HOUR)
    return pipeline, A


@fault(
    "its resource was ended by terminateAfter",
    Code.TIMEDOUT,
    f"taskrunner rerun DF {R}",
    "terminateAfter",
)
def _timed_out(world: ServiceInProcess) -> Made:
    provider = FakeProvider()
    objects = [PROD, shell("A", runsOn=ref("R")), ec2("R", terminateAfter="1 hour")]
    pipeline = world.reset(provider=provider).run(objects)
    world.advance(HOUR + MINUTE)
    world.advance(MINUTE)
    return pipeline, R


# -- begun, or ended --------------------------------------------------------------------------


@fault("it is at work", Code.RUNNING, f"taskrunner logs DF {A}", "runner.example", T)
def _running(world: ServiceInProcess) -> Made:
    pipeline = one(world)
    world.take("prod")
    return pipeline, A


@fault(
    "its agent has died at work",
    Code.RUNNER_NOT_REPORTING,
    "taskrunner status",
    "runner.example",
    "2026-02-13T02:05:00 UTC",
)
def _not_reporting(world: ServiceInProcess) -> Made:
    pipeline = one(world)
    world.take("prod")
    world.clock.advance(6 * MINUTE)
    return pipeline, A


@fault(
    "it failed with all of its tries",
    Code.FAILED,
    f"taskrunner rerun DF {A}",
    "after 3 attempts",
    "exit code 3",
)
def _failed(world: ServiceInProcess) -> Made:
    pipeline = one(world)
    fail(world)
    return pipeline, None


@fault(
    "it was drawn along by a failure (cascade)",
    Code.FAILED,
    f"taskrunner rerun DF {A}",
    "exit code 3",
)
def _cascaded(world: ServiceInProcess) -> Made:
    default = {**PROD, "failureAndRerunMode": "cascade"}
    pipeline = world.run([default, shell("A"), shell("B", after="A")])
    fail(world)
    return pipeline, B


@fault("somebody has canceled it", Code.CANCELED, f"taskrunner rerun DF {A}", A)
def _canceled(world: ServiceInProcess) -> Made:
    pipeline = one(world)
    world.service.set_status(pipeline, [A], "TRY_CANCEL")
    world.settle()
    return pipeline, A


@fault("it was skipped", Code.SKIPPED, f"taskrunner rerun DF {A}", A)
def _skipped(world: ServiceInProcess) -> Made:
    pipeline = world.run([scheduled(workerGroup="prod"), schedule(), shell("A")])
    world.service.deactivate(pipeline)
    world.settle()
    world.advance(2 * HOUR)
    world.service.activate(pipeline, start=world.now)
    world.settle()
    return pipeline, A


@fault(
    "wrong order: it ran before what it reads was written",
    Code.FINISHED,
    PUT,
    "no dependsOn",
    "it waits for none",
)
def _wrong_order(world: ServiceInProcess) -> Made:
    pipeline = world.run([PROD, shell("A", input=ref("N")), shell("B"), data("N")])
    world.work_off("prod")
    return pipeline, A


# -- the table --------------------------------------------------------------------------------


def first(found: Why, about: str | None) -> Cause:
    """The cause that is told first."""
    if about is None and found.pipeline:
        return found.pipeline[0]
    return found.waiting[0].causes[0]


def told(text: str, pipeline_id: str) -> str:
    """A text with DF in the place of the pipeline's id."""
    return text.replace(pipeline_id, "DF")


def row_of(fault: Fault, root: Cause, pipeline_id: str) -> str:
    """A line of the table."""
    where = f"{root.where}: " if root.where else ""
    cells = [fault.name, f"`{root.code}`", root.says, f"{where}`{root.command}`"]
    return "| " + " | ".join(_cell(told(cell, pipeline_id)) for cell in cells) + " |"


def table() -> str:
    """The table of docs/why.md: what each fault is answered with."""
    lines = ["| fault | code | what is said | command |", "|---|---|---|---|"]
    with ServiceInProcess() as world:
        for item in FAULTS:
            pipeline, about = item.make(world.reset())
            lines.append(row_of(item, first(world.why(pipeline, about), about).root, pipeline))
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|")


if __name__ == "__main__":
    import sys

    sys.stdout.write(table())
