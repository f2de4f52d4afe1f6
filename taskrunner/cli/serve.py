"""`taskrunner serve`: AWS Data Pipeline's API over a database, until it is told to stop."""

from __future__ import annotations

import gc
import os
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from taskrunner.agent.lifecycle import ExitCode
from taskrunner.cli.console_options import ConsoleOptions, console_options
from taskrunner.cli.ec2_options import Ec2Options, ec2_options
from taskrunner.cli.log_options import LogOptions, log_options
from taskrunner.cli.served_alarms import alarms_option, publisher_of
from taskrunner.cli.served_greeting import announce
from taskrunner.cli.served_keys import authenticator_of, know_stored_keys
from taskrunner.cli.served_metrics import metrics_option, metrics_token
from taskrunner.cli.served_preconditions import Checker, preconditions_option, types_for
from taskrunner.cli.served_tls import both, certificate_of
from taskrunner.cli.store_options import (
    StoreOptions,
    default_database,
    state_folder,
    store_options,
)
from taskrunner.errors import StoreLost, UsageError
from taskrunner.host.process import raise_descriptor_limit

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from taskrunner.cli.served_resources import ServedResources
    from taskrunner.service.auth import Authenticator
    from taskrunner.service.engine import Service
    from taskrunner.service.resources.rules import Rules
    from taskrunner.service.server import ServiceServer
    from taskrunner.service.settings import ServiceSettings
    from taskrunner.service.tls import Certificate


_DEFAULT_LISTEN = "127.0.0.1:8484"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line said."""

    listen: str
    store: StoreOptions
    no_auth: bool
    credentials_file: Path | None
    stored_keys: bool
    region: str
    host_name: tuple[str, ...]
    tls_cert: Path | None
    tls_key: Path | None
    metrics_token_file: Path | None
    resources: str | None
    run_as_user: str | None
    tasks_as_service_user: bool
    ec2: Ec2Options
    alarms: str
    preconditions: str
    work_dir: Path | None
    logs: LogOptions
    ack_timeout: float
    lease_timeout: float
    max_connections: int | None
    console: ConsoleOptions
    log_level: str
    log_format: str


@click.command(context_settings={"max_content_width": 100, "show_default": True})
@click.option(
    "--listen",
    metavar="HOST:PORT",
    default=_DEFAULT_LISTEN,
    help="Address to serve on; port 0 takes a free one.",
)
@store_options
@click.option("--no-auth", is_flag=True, help="Take calls unsigned; on a loopback address only.")
@click.option(
    "--credentials-file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    envvar="TASKRUNNER_CREDENTIALS_FILE",
    help="TOML or JSON with the access keys that may call; see docs/protocol.md.",
)
@click.option(
    "--stored-keys",
    is_flag=True,
    help="Have those keys alone call that `taskrunner keys` has made, with no credentials file. "
    "Beside one they count in any case.",
)
@click.option(
    "--region", default="us-east-1", envvar=["AWS_REGION", "AWS_DEFAULT_REGION"], metavar="REGION"
)
@click.option(
    "--host-name",
    multiple=True,
    metavar="NAME",
    help="A name that clients know this service by (repeatable); loopback names, addresses and "
    "this host's own name are always answered, '*' answers any.",
)
@click.option(
    "--tls-cert",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Speak HTTPS, by the certificate in this PEM file, those of its authorities behind it. "
    "Read anew when it changes, and on SIGHUP.",
)
@click.option(
    "--tls-key",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The certificate's key, in PEM; without it it stands in the file of the certificate.",
)
@metrics_option
@click.option(
    "--resources",
    metavar="WHERE|FILE",
    help="Where what runs on an Ec2Resource or EmrCluster goes: group=NAME (the agents of that "
    "worker group), local (an agent process of this host), ec2 or emr (an instance, a cluster made "
    "for it), emr-serverless=ID, spark=MASTER, none (an agent that you start for it), or a TOML "
    "file of rules; see docs/resources.md.",
)
@click.option(
    "--run-as-user",
    metavar="USER",
    help="User that tasks of local resources run as; the service needs the rights to change users.",
)
@click.option(
    "--tasks-as-service-user",
    is_flag=True,
    help="Let tasks of local resources run as this service's own user, who can read its keys and "
    "its store.",
)
@ec2_options
@alarms_option
@preconditions_option
@click.option(
    "--work-dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where local resources work and log.",
)
@log_options
@click.option(
    "--ack-timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=120.0,
    metavar="SECONDS",
    help="How long a runner may take to acknowledge a task.",
)
@click.option(
    "--lease-timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=300.0,
    metavar="SECONDS",
    help="How long a runner may be silent before its task is handed out again.",
)
@click.option(
    "--max-connections",
    type=click.IntRange(min=16),
    metavar="N",
    show_default="as the limit of open files allows, at most 10000",
    help="How many connections are held at once. Half of them may be waiting polls of one key.",
)
@console_options
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info"
)
@click.option(
    "--log-format",
    type=click.Choice(["auto", "text", "json"]),
    default="auto",
    help="Text at a terminal and in systemd's journal, JSON elsewhere; or always one of them.",
)
def command(**given: Any) -> int:
    """Serve AWS Data Pipeline's API.

    boto3, the AWS CLI and any AWS SDK work against it once AWS_ENDPOINT_URL_DATA_PIPELINE names it.
    A definition may run any command on the hosts whose agents poll its worker group: who may put
    definitions rules those hosts.
    """
    store, others = StoreOptions.of(given)
    ec2, others = Ec2Options.of(others)
    logs, others = LogOptions.of(others)
    console, others = ConsoleOptions.of(others)
    parts: dict[str, Any] = {"store": store, "ec2": ec2, "logs": logs, "console": console}
    return _serve(Options(**parts, **others), os.environ)


def _serve(options: Options, environ: Mapping[str, str]) -> int:
    from taskrunner import logs
    from taskrunner.service.server import Address, bind

    logs.configure(level=options.log_level, form=options.log_format)
    address = Address.parse(options.listen)
    authenticator, reload = authenticator_of(options, address)
    # The store and its neighbours hold secrets of pipelines.
    os.umask(0o077)
    _know_what_definitions_say()
    certificate = certificate_of(options.tls_cert, options.tls_key)
    reload = both(reload, certificate)
    resources = _resources(options, environ)
    if certificate is not None and resources.local is not None:
        raise UsageError(
            "--tls-cert with local resources: their agents know the service by its address alone; "
            "have it on loopback, and a proxy with TLS before it"
        )
    _take_descriptors(options, resources)
    # Until there are keys to be reloaded, SIGHUP would end us.
    with _on_signals({signal.SIGHUP: lambda: None}), closing(bind(address)) as sock:
        try:
            return _serve_on(sock, options, resources, authenticator, environ, reload, certificate)
        except StoreLost as error:
            click.echo(f"taskrunner serve: {error}", err=True)
            return ExitCode.STORE_LOST


def _resources(options: Options, environ: Mapping[str, str]) -> ServedResources:
    from taskrunner.cli.local_agents import LocalAgents
    from taskrunner.cli.served_resources import served_resources

    local = LocalAgents(
        folder=(options.work_dir or state_folder(environ) / "resources").absolute(),
        region=options.region,
        s3_root=options.logs.s3_root,
        s3_endpoint=options.logs.s3_endpoint,
        run_as_user=options.run_as_user,
        as_service_user=options.tasks_as_service_user,
    )
    keys = options.credentials_file
    return served_resources(options.resources, local, options.ec2, environ, keys=keys)


def _take_descriptors(options: Options, resources: ServedResources) -> None:
    """Have as many open files as there may be, and no more connections than fit into them."""
    from taskrunner.service.connections import most_connections

    # Agents of local resources would hand a high limit on to commands, which may not bear it.
    if resources.local is None:
        raise_descriptor_limit()
    most = most_connections()
    if options.max_connections is not None and options.max_connections > most:
        raise UsageError(
            f"--max-connections {options.max_connections}: with this limit of open files "
            f"(ulimit -n, LimitNOFILE=) there can be {most}"
        )


def _serve_on(
    sock: socket.socket,
    options: Options,
    resources: ServedResources,
    authenticator: Authenticator,
    environ: Mapping[str, str],
    reload: Callable[[], None],
    certificate: Certificate | None,
) -> int:
    from taskrunner.service.engine import Service
    from taskrunner.service.server import ServiceServer, url_of

    ended: list[tuple[str, BaseException]] = []

    def failed(name: str, error: BaseException) -> None:
        ended.append((name, error))
        if len(ended) == 1:  # a second time would cut short what is being answered
            server.stop()

    url = url_of(sock, secured=certificate is not None)
    with ExitStack() as stack:
        local = resources.processes(url, environ)
        if local is not None:
            stack.callback(local.close)
        settings = _settings(options, resources.rules, environ)
        stack.callback(settings.tracing.close)
        service = Service(
            settings,
            provider=resources.provider(local, url),
            publisher=publisher_of(options.alarms),
            check=Checker(options.region, options.logs.s3_root, options.logs.s3_endpoint),
            failed=failed,
        )
        stack.callback(service.stop)
        resources.check_private(options.credentials_file, service.settings.database_url)
        know_stored_keys(authenticator, service.store, options.store.database_url)
        app = _app(options, service, authenticator, resources, certificate)
        server = ServiceServer(app, sock, certificate=certificate)
        service.start()
        _run_until_signalled(
            server, reload, started=lambda: announce(options, resources, server, service.store)
        )
    return _ended(*ended[0]) if ended else _ended()


def _app(
    options: Options,
    service: Service,
    authenticator: Authenticator,
    resources: ServedResources,
    certificate: Certificate | None,
) -> Starlette:
    from taskrunner.service.app import EdgeSettings, create_app
    from taskrunner.service.handlers import HANDLERS

    return create_app(
        service,
        handlers=HANDLERS,
        authenticator=authenticator,
        settings=EdgeSettings(
            host_names=_host_names(options),
            connections=options.max_connections,
            metrics_token=metrics_token(options.metrics_token_file, os.environ),
            refresh=certificate.refresh if certificate else lambda: None,
            tracing=service.settings.tracing,
        ),
        routes=resources.know_machines(authenticator, service.store),
        pages=options.console.pages(keys=not options.no_auth),
    )


def _know_what_definitions_say() -> None:
    """Let definitions name types of plugins, and have what they say of databases looked at."""
    from taskrunner.data.databases.validation import know_connections
    from taskrunner.plugins.types import know_plugin_types

    know_plugin_types()
    know_connections()


def _ended(name: str = "", error: BaseException | None = None) -> int:
    """Say how it ended: by a signal, or since a background loop did. Raises StoreLost."""
    if error is None:
        click.echo("taskrunner serve: stopped")
        return ExitCode.OK
    if isinstance(error, StoreLost):
        raise error
    click.echo(f"taskrunner serve: a background loop died: {name}: {error}", err=True)
    return ExitCode.LOOP_DIED


def _settings(options: Options, rules: Rules, environ: Mapping[str, str]) -> ServiceSettings:
    from taskrunner.service.settings import ServiceSettings
    from taskrunner.tracing import tracing_of

    return ServiceSettings(
        database_url=options.store.database_url or default_database(environ),
        opening=options.store.opening(environ),
        retention=options.store.retention,
        ack_timeout_s=options.ack_timeout,
        lease_timeout_s=options.lease_timeout,
        logs=options.logs.settings(options.region),
        resources=rules,
        checks=types_for(options.preconditions),
        tracing=tracing_of("taskrunner-service", environ),
    )


def _host_names(options: Options) -> tuple[str, ...]:
    return (*options.host_name, socket.gethostname(), socket.getfqdn())


def _run_until_signalled(
    server: ServiceServer, reload: Callable[[], None], *, started: Callable[[], None]
) -> None:
    """Serve; SIGTERM and SIGINT stop it cleanly, a second one at once. SIGHUP has keys reloaded."""
    stop = server.stop
    # What is there now stays: to look through it for garbage again and again would hold up every
    # answer for a tenth of a second.
    gc.freeze()
    with _on_signals({signal.SIGTERM: stop, signal.SIGINT: stop, signal.SIGHUP: reload}):
        # Whoever reads that may stop us at once.
        started()
        server.run()


@contextmanager
def _on_signals(actions: Mapping[signal.Signals, Callable[[], None]]) -> Iterator[None]:
    """Have signals do something else for a while."""

    def handler(number: int, _frame: FrameType | None) -> None:
        actions[signal.Signals(number)]()

    before = {number: signal.signal(number, handler) for number in actions}
    try:
        yield
    finally:
        for number, was in before.items():
            signal.signal(number, was)
