"""`taskrunner doctor`: what an agent needs, looked at in turn, with a remedy for what is wrong."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import click

from taskrunner.agent.control import ask
from taskrunner.cli.agent import export_credentials
from taskrunner.cli.config_options import FORMAT, settings_options
from taskrunner.clock import SystemClock
from taskrunner.config import Loaded, examine, load, missing
from taskrunner.doctor.case import Case, Finding, Result, failed, passed, warned
from taskrunner.doctor.groups import check_groups
from taskrunner.doctor.host import check_agent, check_disk, check_drivers, check_user
from taskrunner.doctor.permissions import check_permissions
from taskrunner.doctor.service import (
    Way,
    check_credentials,
    check_endpoint,
    check_proxy,
    check_region,
    find_way,
    unusable,
)
from taskrunner.doctor.storage import check_log_uri
from taskrunner.errors import ConfigError, TaskrunnerError

__all__ = ["command", "examination"]

_EXIT_FAILED = 1
_ON_THE_WAY: tuple[Callable[[Case, Way], Iterator[Finding]], ...] = (
    check_region,
    check_credentials,
    check_proxy,
    check_endpoint,
)
_WITH_AN_ANSWER: tuple[Callable[[Case, Way], Iterator[Finding]], ...] = (
    check_permissions,
    check_groups,
)
_HERE: tuple[Callable[[Case], Iterator[Finding]], ...] = (
    check_log_uri,
    check_drivers,
    check_disk,
    check_agent,
    check_user,
)


def _run(config: str | None, form: str, *, poll: bool, **flags: object) -> int:
    findings = _RENDER[form](_all(config, poll=poll, flags=flags))
    return _EXIT_FAILED if any(f.result is Result.FAIL for f in findings) else 0


def _all(config: str | None, *, poll: bool, flags: Mapping[str, object]) -> Iterator[Finding]:
    found = examine(flags, os.environ, file=config)
    if errors := [*found.errors, *missing(found)]:
        for error in errors:
            yield failed("settings", error, "correct it; config.example.toml explains each setting")
        yield warned("the rest", "not looked at: it depends on the settings")
        return
    loaded = load(flags, os.environ, file=config)
    given = sum(origin != "default" for origin in loaded.origins.values())
    yield passed("settings", f"right: {given} given, the others have their defaults")
    for warning in loaded.warnings:
        yield warned("secrets", warning)
    environ = dict(os.environ)
    yield from examination(_case(loaded, environ, poll=poll))


def _case(loaded: Loaded, environ: dict[str, str], *, poll: bool) -> Case:
    settings = loaded.settings
    # As the agent does: the SDK reads them in this process.
    export_credentials(settings, os.environ)
    export_credentials(settings, environ)
    return Case(
        settings=settings,
        origins=loaded.origins,
        environ=environ,
        clock=SystemClock(),
        hostname=settings.hostname or socket.gethostname(),
        poll=poll,
        agent=_agent(loaded),
    )


def _agent(loaded: Loaded) -> dict[str, Any] | None:
    try:
        status: dict[str, Any] = ask(loaded.settings.work_dir, "status")
    except TaskrunnerError:
        return None
    return status


def examination(case: Case) -> Iterator[Finding]:
    """Every check in turn; what depends on an answer of the service comes only after one."""
    try:
        way = find_way(case)
    except ConfigError as error:
        yield unusable(error)
    else:
        reached = True
        for look in _ON_THE_WAY:
            for finding in look(case, way):
                reached = reached and (finding.name, finding.result) != ("endpoint", Result.FAIL)
                yield finding
        if reached:
            for look in _WITH_AN_ANSWER:
                yield from look(case, way)
        else:
            yield warned("permissions", "not looked at: the service cannot be reached")
    for check in _HERE:
        yield from check(case)


def _as_text(findings: Iterable[Finding]) -> list[Finding]:
    """Print each as it comes: some take seconds."""
    shown = []
    for finding in findings:
        shown.append(finding)
        click.echo(f"{finding.result}  {finding.name}: {finding.found}")
        if finding.remedy:
            click.echo(f"      -> {finding.remedy}")
    return shown


def _as_json(findings: Iterable[Finding]) -> list[Finding]:
    shown = list(findings)
    worst = next((r for r in reversed(Result) if any(f.result is r for f in shown)), Result.PASS)
    checks = [
        {"name": f.name, "result": f.result, "found": f.found, "remedy": f.remedy} for f in shown
    ]
    click.echo(json.dumps({"result": worst, "checks": checks}, indent=2))
    return shown


_RENDER = {"text": _as_text, "json": _as_json}

command = click.Command(
    "doctor",
    callback=_run,
    params=[
        click.Option(
            ["--poll"],
            is_flag=True,
            help="Poll for the worker groups too (up to 90 s each). A task that comes is not "
            "acknowledged: the service offers it again within 2 minutes.",
        ),
        FORMAT,
        *settings_options(hidden=True),
    ],
    help="Check what an agent with these settings needs: settings, region, credentials, proxy, "
    "endpoint and clock, the permission for each call, worker groups, the log URI, drivers, disk, "
    "and how the agent runs. Run it as the agent's user, with the flags, variables and file of the "
    "agent. Nothing is changed and no task is taken: calls name a made-up task and worker group. "
    "Exit code 0 when nothing fails, else 1.",
)
