"""What runs inside an attempt's own process: context, wrappers, plugin, verdict.

The process leaves its verdict in a file, written at once and whole, and exits 0. Anything else (a
crash, a signal, an out-of-memory kill) is seen by its parent and becomes a verdict there.
"""

from __future__ import annotations

import json
import os
import resource
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial

from taskrunner.activities.base import Activity, Precondition
from taskrunner.activities.registry import Registry
from taskrunner.agent.attempt_process.attempt_logs import AttemptLogs
from taskrunner.agent.attempt_process.cancellation import Cancellation
from taskrunner.agent.attempt_process.context import AttemptContext, CommandRules
from taskrunner.agent.attempt_process.environment import METADATA_DISABLED, passed_secrets
from taskrunner.agent.attempt_process.folders import make_folders
from taskrunner.agent.attempt_process.named_paths import placed
from taskrunner.agent.attempt_process.proxies import proxy_variables
from taskrunner.agent.attempt_process.result_file import ResultFile
from taskrunner.agent.attempt_process.staging import staged
from taskrunner.agent.ipc import verdicts
from taskrunner.agent.ipc.attempt_roles import AttemptSettings
from taskrunner.agent.ipc.job import Job
from taskrunner.agent.ipc.usage import Usage
from taskrunner.agent.secrets.masking import Masker, secrets_of
from taskrunner.clock import Clock, SystemClock
from taskrunner.data.claims import claim_of
from taskrunner.data.objects.base import ObjectStore
from taskrunner.data.settings import DataSettings
from taskrunner.errors import Canceled, PathNotAllowed
from taskrunner.host.cgroups import Group, Used
from taskrunner.host.process import RunAs
from taskrunner.host.process_tree import kill_descendants
from taskrunner.host.users import User, forbid_new_privileges
from taskrunner.logins import SHORTEST
from taskrunner.model.catalog.effects import without_effect
from taskrunner.wire.api import Verdict

#: The result of an attempt that was told to stop; never sent to the service.
CANCELED = Verdict(status="CANCELED")

Wrapper = Callable[[AttemptContext, Callable[[], Verdict]], Verdict]


def prepare_attempt(
    data: bytes, settings: AttemptSettings, registry: Registry, own: User
) -> Callable[[], None]:
    """Get ready to run an attempt, which what is returned does; the caller exits afterwards.

    Nothing of the task itself is done before that: nobody may have been given it yet. `own` is the
    agent's user, looked up beforehand: a directory service may be slow.
    """
    cancellation = Cancellation()
    cancellation.install()
    job = Job.decode(data)
    set_up = partial(_set_up, job, settings, registry, own, cancellation)
    if job.files.log_dir.exists():
        # The logs of an earlier hand-out of this attempt stay for as long as this one may not run.
        return partial(_in_turn, set_up)
    return set_up()


def _in_turn(set_up: Callable[[], Callable[[], None]]) -> None:
    run = set_up()
    run()


def _set_up(
    job: Job,
    settings: AttemptSettings,
    registry: Registry,
    own: User,
    cancellation: Cancellation,
) -> Callable[[], None]:
    """Make folders and logs, and put together what the attempt runs with."""
    user = settings.users[job.files.user] if job.files.user is not None else None
    settings.limits.limit_attempt()
    make_folders(job.files, user)
    if user is not None:
        forbid_new_privileges()
    result_file = ResultFile(job.files.result)
    known = secrets_of(job.task, settings.data.databases)
    masker = Masker([*known, *passed_secrets(os.environ, settings.pass_env)])
    logs = AttemptLogs(
        job.files.log_dir,
        masker=masker,
        pipeline_id=job.task.pipeline_id,
        limit=settings.max_log_size,
        clock=SystemClock(),
    )
    ctx = AttemptContext(
        job,
        data=_data(settings, job, user),
        rules=_rules(settings, user, own),
        output_filter=logs.output_filter,
        cancellation=cancellation,
        clock=SystemClock(),
        open_store=open_store,
    )
    ctx.mask = masker.text
    if masker.too_short:
        ctx.log.warning(
            "%d secrets of this task are shorter than %d characters, and not kept out of its logs",
            masker.too_short,
            SHORTEST,
        )
    if settings.block_imds:
        ctx.extra_env[METADATA_DISABLED] = "true"
    group = settings.groups.own() if settings.groups else None
    work = partial(perform, ctx, registry, cancellation, SystemClock(), group)
    return partial(_run_attempt, ctx, work, logs, result_file)


def _run_attempt(
    ctx: AttemptContext, work: Callable[[], Verdict], logs: AttemptLogs, result_file: ResultFile
) -> None:
    """The attempt itself, its end and its result; the process needs no other clean-up."""
    verdict = work()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _end_leftovers(ctx)
    ctx.flush_progress()
    logs.close()
    result_file.write(json.dumps(verdicts.to_json(verdict)).encode())


def perform(
    ctx: AttemptContext,
    registry: Registry,
    cancellation: Cancellation,
    clock: Clock,
    group: Group | None = None,
) -> Verdict:
    """Run the task's plugin inside its wrappers; every outcome becomes a verdict.

    `group` is the control group of the attempt, which counts what it uses.
    """
    started = clock.monotonic()
    kind = "task"
    try:
        kind = ctx.task.main.type
        ctx.log.info("Executing %s %s", kind, ctx.task.attempt_id)
        _tell_what_is_ignored(ctx)
        _use_proxy(ctx)
        with cancellation:
            verdict = _compose(ctx, registry)()
    except Canceled:
        ctx.log.warning("Canceled: the attempt was told to stop")
        verdict = CANCELED
    except BaseException as error:
        if isinstance(error, PathNotAllowed):
            error = placed(error, ctx.task)
        ctx.log.error("%s failed: %s", kind, error, exc_info=error)  # noqa: TRY400
        verdict = verdicts.from_exception(error, ctx.mask)
    minutes, seconds = divmod(int(clock.monotonic() - started), 60)
    ctx.log.info("Work %s took %d:%02d to complete", kind, minutes, seconds)
    used = group.used() if group else None
    usage = _usage(used)
    ctx.log.info("Result %s; %s", verdict.status, usage)
    return verdicts.with_bounds_met(verdict, used, usage)


def _tell_what_is_ignored(ctx: AttemptContext) -> None:
    """Say in the attempt's log which fields have no effect."""
    for object_id, field, effect in without_effect(ctx.task.objects):
        found = ctx.task.object(object_id)
        ctx.log.warning(
            "%s %s, field %s: %s", found.type, found.component_id, field, effect.message
        )


def _use_proxy(ctx: AttemptContext) -> None:
    """Have commands, and this process, go by the HttpProxy of the task's resource."""
    variables = proxy_variables(ctx.task, os.environ, ctx.data)
    if variables:
        ctx.log.info("Going by the proxy of the resource")
        ctx.extra_env.update(variables)
        os.environ.update(variables)


def _compose(ctx: AttemptContext, registry: Registry) -> Callable[[], Verdict]:
    """The plugin's work inside the wrappers of its kind, the first one outermost."""
    plugin = registry.get(ctx.task.main.type).load()
    work: Callable[[], Verdict]
    wrappers: tuple[Wrapper, ...]
    if issubclass(plugin, Activity):
        work = partial(_run, plugin, ctx)
        wrappers = (staged,) if plugin.stages else ()
    else:
        work = partial(_check, plugin, ctx)
        wrappers = ()
    for wrapper in reversed(wrappers):
        work = partial(wrapper, ctx, work)
    return work


def _run(plugin: type[Activity], ctx: AttemptContext) -> Verdict:
    plugin().run(ctx)
    return verdicts.FINISHED


def _check(plugin: type[Precondition], ctx: AttemptContext) -> Verdict:
    return verdicts.FINISHED if plugin().check(ctx) else verdicts.NOT_MET


def _rules(settings: AttemptSettings, user: User | None, own: User) -> CommandRules:
    run_as = None
    if user is not None:
        run_as = RunAs(user=user, most_processes=settings.limits.command_processes)
    return CommandRules(
        pass_env=settings.pass_env, grace_s=settings.grace_s, run_as=run_as, own=own
    )


def _data(settings: AttemptSettings, job: Job, user: User | None) -> DataSettings:
    """The data plane's settings for one attempt: local files are its user's, or are bounded."""
    local = replace(settings.data.local, own=(job.files.work_dir,), user=user)
    # Without its own object the task is wrong, which is told when it runs.
    claim = None
    if user is not None:
        # What stages files has need of it, when it is the user who reads: he may have no right to
        # the folders of this Python.
        import hashlib  # noqa: F401
    if job.task.attempt_id in job.task.objects:
        claim = claim_of(job.task, job.handout)
    return replace(settings.data, local=local, claim=claim, instance_uri=job.files.instance_uri)


def open_store(settings: DataSettings) -> ObjectStore:
    """The store that the settings describe."""
    # Here because the S3 library is large: most shell commands need none of it.
    from taskrunner.data.objects import store

    return store.open_store(settings)


def _end_leftovers(ctx: AttemptContext) -> None:
    """Nothing of a task outlives it: end what it left in the background."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue
        if count := kill_descendants():
            ctx.log.warning("Ended %d processes that the task had left running", count)


def _usage(used: Used | None) -> Usage:
    both = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return Usage.of(*(resource.getrusage(who) for who in both), used=used)
