"""`taskrunner --worker-group G`: the agent's command line and composition root."""

from __future__ import annotations

import errno
import gc
import os
import socket
import sys
import uuid
import zlib
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import click

from taskrunner.agent.forks.children import Children
from taskrunner.agent.ipc.attempt_roles import AttemptSettings
from taskrunner.agent.isolation.isolation import Isolation
from taskrunner.agent.isolation.users import open_way, users_by_group
from taskrunner.agent.lifecycle import ExitCode
from taskrunner.cli.start_checks import Process, check_start
from taskrunner.clock import Clock, SystemClock
from taskrunner.config.load import Loaded, load
from taskrunner.config.options import settings_options
from taskrunner.config.settings import Settings
from taskrunner.data.settings import DataSettings
from taskrunner.errors import ConfigError, TaskrunnerError, UsageError
from taskrunner.host.cgroups import Bounds
from taskrunner.host.local_files import LocalFiles
from taskrunner.host.process import become_subreaper, raise_descriptor_limit
from taskrunner.host.program import REMEDY, closed_to
from taskrunner.host.users import User
from taskrunner.wire.proxies import METADATA, never_through_proxy

if TYPE_CHECKING:
    from taskrunner.agent.agent import Notices
    from taskrunner.agent.agent_settings import AgentSettings
    from taskrunner.agent.ec2.host import Ec2Host
    from taskrunner.agent.forks.forkserver import Role
    from taskrunner.agent.logs.agentlog import HourlyLog
    from taskrunner.wire.runner import RunnerApi

_UNSUPPORTED = ("--proxyDomain", "--proxyWorkstation")


def _run(config: str | None, exit_with_parent: int | None, **flags: object) -> int:
    # What a start loads stays: to look for garbage in it meanwhile takes an eighth of the start.
    gc.disable()
    try:
        return _start(config, exit_with_parent, flags)
    except TaskrunnerError as error:
        # For `systemctl status`; who reads stderr is told by the command's caller.
        from taskrunner.host.systemd import Notifier

        wrong = isinstance(error, ConfigError | UsageError)
        code = int(ExitCode.USAGE if wrong else ExitCode.FAILED)
        Notifier.from_environment(os.environ).send(STATUS=f"ended with exit code {code}: {error}")
        raise
    finally:
        gc.enable()


def _start(config: str | None, exit_with_parent: int | None, flags: dict[str, object]) -> int:
    from taskrunner.data.objects.location import log_places

    parent = _expected_parent(exit_with_parent)
    if any(flags.pop(flag.lstrip("-").lower()) for flag in _UNSUPPORTED):
        raise UsageError(f"{' and '.join(_UNSUPPORTED)}: NTLM proxies are not supported")
    loaded = load(flags, os.environ, file=config)
    settings = loaded.settings
    check_start(settings, Process.this())
    environ = dict(os.environ)
    export_credentials(settings, os.environ)
    make_work_dir(settings.work_dir)
    users = _users(settings)
    closed = tuple(_closed_to_tasks(users))
    isolation = _isolation(settings)
    attempts = AttemptSettings(
        data=data_settings(settings),
        pass_env=settings.pass_env,
        block_imds=settings.block_imds,
        grace_s=settings.kill_grace / 2,
        limits=isolation.limits,
        groups=isolation.groups,
        max_log_size=settings.max_log_size,
        log_places=log_places(settings.log_uri, settings.allow_log_uris),
        users={user.name: user for user in users.values()},
    )
    # Before any thread, and before what only the agent itself needs is imported.
    children = Children.start(partial(_roles, attempts), isolation.groups)
    become_subreaper()
    raise_descriptor_limit()
    setup = Setup(
        loaded=loaded,
        reread=lambda: load(flags, environ, file=config),
        isolation=isolation,
        users=users,
        warnings=(*loaded.warnings, *closed),
        parent=parent,
    )
    try:
        return _serve(setup, children)
    finally:
        children.close()


def _expected_parent(given: int | None) -> int | None:
    """The process with which the agent is to end: the one named, or for 1 whatever started it."""
    return os.getppid() if given == 1 else given


def _roles(attempts: AttemptSettings) -> Mapping[str, Role]:
    """Called in the fork server: what it loads, the agent need not."""
    from taskrunner.agent.roles import make_roles

    return make_roles(attempts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What an agent is started with."""

    loaded: Loaded
    #: Reads the settings once more.
    reread: Callable[[], Loaded]
    isolation: Isolation
    #: The user of each worker group's commands.
    users: Mapping[str, User]
    warnings: tuple[str, ...]
    #: The process with which the agent is to end.
    parent: int | None


def _users(settings: Settings) -> Mapping[str, User]:
    """Who tasks run as, by worker group; raises ConfigError when that cannot be."""
    users = users_by_group(
        settings.worker_group, settings.run_as_user, allow_root=settings.allow_root
    )
    open_way(settings.work_dir, users)
    return users


def _closed_to_tasks(
    users: Mapping[str, User], closed_to: Callable[[User], str] = closed_to
) -> Iterator[str]:
    """What of this program the users of tasks cannot read; for a process of one thread."""
    for user in {user.uid: user for user in users.values()}.values():
        if closed := closed_to(user):
            yield (
                f"run_as_user: {closed}, so that a task fails which needs a part of the program "
                f"that is not loaded yet; {REMEDY}"
            )


def _isolation(settings: Settings) -> Isolation:
    bounds = Bounds(
        memory=settings.task_memory, cpus=settings.task_cpus, processes=settings.task_processes
    )
    return Isolation.prepare(bounds, file_size=settings.task_file_size, work_dir=settings.work_dir)


def _serve(setup: Setup, children: Children) -> int:
    from taskrunner import logs
    from taskrunner.agent.agent import Agent
    from taskrunner.agent.ec2.host import find_host
    from taskrunner.agent.journal.journal import Journal
    from taskrunner.cli.reload import Reloader
    from taskrunner.host.systemd import Notifier
    from taskrunner.tracing import tracing_of

    settings = setup.loaded.settings
    clock = SystemClock()
    logs.configure(level=settings.log_level, form=settings.log_format)
    # The work folder is ours from here on, and with it the log in it.
    journal = Journal(settings.work_dir / "journal")
    own_log = _own_log(settings, clock)
    _warn(setup)
    host = find_host(settings.ec2, os.environ, clock)
    api, endpoint = _connect(settings, clock, host)
    tracing = tracing_of("taskrunner-agent", os.environ, clock)
    told = _agent_settings(setup, endpoint=endpoint, host=host, own_log=own_log)
    agent = Agent(
        replace(told, tracing=tracing),
        api=api,
        children=children,
        journal=journal,
        clock=clock,
        notifier=Notifier.from_environment(os.environ),
        notices=_notices(settings, host, clock),
        reload=Reloader(settings, setup.reread),
    )
    gc.freeze()
    gc.enable()
    with _closed_metadata(setup, host), closing(tracing):
        return agent.run()


def _closed_metadata(setup: Setup, host: Ec2Host | None) -> AbstractContextManager[None]:
    """On an instance, keep tasks from its role if that is asked for; elsewhere there is none."""
    settings = setup.loaded.settings
    if host is None or not settings.block_imds:
        return nullcontext()
    from taskrunner.agent.isolation.metadata_block import TABLE, closed_metadata

    # Another agent of this host has a table, and users, of its own.
    table = f"{TABLE}_{zlib.crc32(str(settings.work_dir).encode()):08x}"
    return closed_metadata(setup.users, settings.worker_group, table=table)


def _own_log(settings: Settings, clock: Clock) -> HourlyLog | None:
    """Have what is logged from now on written to files as well, if that is wanted."""
    if not settings.agent_log:
        return None
    from taskrunner import logs
    from taskrunner.agent.logs.agentlog import HourlyLog

    hourly = HourlyLog(settings.work_dir / "output" / "logs", clock)
    logs.also_to(hourly.write)
    return hourly


def _connect(settings: Settings, clock: Clock, host: Ec2Host | None) -> tuple[RunnerApi, str]:
    """The service's operations, with second tries, and the service's address."""
    import random

    from taskrunner.wire.connect import ClientSettings, connect, service_keys
    from taskrunner.wire.retrying import RetryingCalls
    from taskrunner.wire.runner import RunnerApi

    wire = ClientSettings(
        endpoint=settings.endpoint,
        region=settings.region,
        allow_http=settings.allow_http,
        ca_bundle=settings.ca_bundle,
        keys=service_keys(settings.service_access_id, settings.service_secret_key),
        environ=os.environ,
    )
    client = connect(wire, clock)
    tried = RetryingCalls(client.call, clock=clock, fraction=random.random)
    api = RunnerApi(
        tried.call,
        give_up=client.give_up,
        hurry=tried.hurry,
        identity=host.identity if host else lambda: None,
        introduction=client.introduction,
    )
    return api, str(client.endpoint)


def _agent_settings(
    setup: Setup, *, endpoint: str, host: Ec2Host | None, own_log: HourlyLog | None
) -> AgentSettings:
    from taskrunner.agent.agent_settings import AgentSettings
    from taskrunner.agent.handouts.allowance import Allowance
    from taskrunner.agent.handouts.attempt import AttemptRules
    from taskrunner.agent.logs.janitor import Retention
    from taskrunner.agent.logs.logcare import LogSettings
    from taskrunner.agent.operations.operations import OperationsSettings, runtime_dir

    settings = setup.loaded.settings
    return AgentSettings(
        config=settings,
        taskrunner_id=settings.taskrunner_id or uuid.uuid4().hex,
        hostname=settings.hostname or (host and host.hostname) or socket.gethostname(),
        parent=setup.parent,
        groups=setup.isolation.groups,
        users={group: user.name for group, user in setup.users.items()},
        operations=OperationsSettings(
            endpoint=endpoint,
            min_free_disk=settings.min_free_disk,
            health_listen=settings.health_listen,
            runtime_dir=runtime_dir(os.environ),
        ),
        logs=LogSettings(
            interval_s=settings.log_interval,
            retention=Retention.of(settings),
            own=own_log,
        ),
        rules=AttemptRules(
            progress_interval_s=settings.progress_interval,
            lease_s=settings.lease_timeout,
            kill_grace_s=settings.kill_grace,
            longest_s=settings.task_time,
            allowance=Allowance.of(settings, with_user=setup.users),
        ),
    )


def _notices(settings: Settings, host: Ec2Host | None, clock: Clock) -> Notices | None:
    if host is None:
        return None
    from taskrunner.agent.ec2.notices import NoticePolicy, NoticeWatch

    policy = NoticePolicy(
        assumed_s=settings.scale_in_notice, hold_on_rebalance=settings.on_rebalance == "hold"
    )
    return NoticeWatch(host, clock, policy).loop


def _warn(setup: Setup) -> None:
    settings = setup.loaded.settings
    unheld = setup.isolation.warnings(other_users=bool(settings.run_as_user))
    for warning in (*setup.warnings, *unheld):
        _say(f"warning: {warning}")
    if len(settings.worker_group) > settings.tasks:
        _say(
            f"warning: {len(settings.worker_group)} worker groups share {settings.tasks} task "
            "slots; a group's task may wait until one of another group is done"
        )


def _say(text: str) -> None:
    print(f"taskrunner: {text}", file=sys.stderr)  # noqa: T201


def export_credentials(settings: Settings, environ: MutableMapping[str, str]) -> None:
    """Hand credentials and proxy to the libraries by the variables that all of them read."""
    if settings.access_id and settings.secret_key:
        environ["AWS_ACCESS_KEY_ID"] = settings.access_id
        environ["AWS_SECRET_ACCESS_KEY"] = settings.secret_key
        for other in ("AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_CREDENTIAL_EXPIRATION"):
            environ.pop(other, None)
    if settings.proxy_host:
        names = ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy")
        environ.update(dict.fromkeys(names, _proxy_url(settings)))
    # Were it asked through a proxy, the proxy's own host would answer, and lend us its role.
    never_through_proxy(environ, METADATA)
    if settings.ca_bundle is not None:
        # For S3; the variable itself may name another file for it.
        environ.setdefault("AWS_CA_BUNDLE", str(settings.ca_bundle))


def data_settings(settings: Settings) -> DataSettings:
    """The part that the data plane sees."""
    return DataSettings(
        s3_root=settings.s3_root,
        s3_endpoint=settings.s3_endpoint,
        s3_etags=settings.s3_etags,
        region=settings.region,
        databases=settings.databases,
        emr_engine=settings.emr_engine,
        emr_cluster=settings.emr_cluster,
        local=LocalFiles(folders=settings.local_paths),
    )


def _proxy_url(settings: Settings) -> str:
    user = quote(settings.proxy_username or "", safe="")
    if settings.proxy_password:
        user += ":" + quote(settings.proxy_password, safe="")
    address = f"{settings.proxy_host}:{settings.proxy_port or 8080}"
    return f"http://{user}@{address}" if user else f"http://{address}"


#: What passes, or is mended from elsewhere: whoever starts agents may try again, as systemd does.
_PASSING = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE}


def make_work_dir(path: Path) -> None:
    """Raises ConfigError where it cannot be, TaskrunnerError where it only cannot be now."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = path / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        message = f"work folder {path}: cannot be written to ({error.strerror})"
        if error.errno in _PASSING:
            raise TaskrunnerError(f"{message}: look at its disk (df, df -i, dmesg)") from None
        raise ConfigError(f"{message}; set --work-dir") from None


#: For programs that start agents: `taskrunner run` does, and may be killed.
_EXIT_WITH_PARENT = click.Option(
    ["--exit-with-parent"],
    type=click.IntRange(min=1),
    envvar="TASKRUNNER_EXIT_WITH_PARENT",
    hidden=True,
)

command = click.Command(
    "taskrunner",
    callback=_run,
    params=[
        *settings_options(),
        _EXIT_WITH_PARENT,
        *(click.Option([flag, flag.lstrip("-").lower()], hidden=True) for flag in _UNSUPPORTED),
    ],
    help="Take tasks of a worker group from AWS Data Pipeline, or from `taskrunner serve`, "
    "run them and report. Each option can also be given by the environment variable named "
    "in brackets, or in the configuration file; see config.example.toml. Exit codes: 0 "
    "drained, 1 the work folder cannot be used now, 2 wrong settings, 70 and 71 a part of the "
    "agent died, 77 not authorized.",
)
