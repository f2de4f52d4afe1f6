"""`taskrunner doctor`: what an agent needs, looked at in turn, with a remedy for what is wrong."""

from __future__ import annotations

import collections
import json
import os
import shutil
import socket
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from taskrunner.agent.operations.control import ask
from taskrunner.cli.agent import data_settings, export_credentials
from taskrunner.cli.doctor_unit import examine_unit
from taskrunner.clock import SystemClock
from taskrunner.config.load import Examined, examine, half_a_key, missing
from taskrunner.config.options import FORMAT, settings_options
from taskrunner.doctor.case import Case, Finding, Result, failed, passed, warned
from taskrunner.doctor.groups import check_groups
from taskrunner.doctor.host import check_disk, check_drivers, check_local_files, check_user
from taskrunner.doctor.identity import check_credentials, check_identity
from taskrunner.doctor.permissions import check_permissions
from taskrunner.doctor.resource_limits import check_limits
from taskrunner.doctor.running import check_agent
from taskrunner.doctor.service import (
    Way,
    check_endpoint,
    check_proxy,
    check_region,
    find_way,
    unusable,
)
from taskrunner.doctor.storage import check_log_uri
from taskrunner.errors import ConfigError, TaskrunnerError, UsageError
from taskrunner.host.units import agent_units

_EXIT_FAILED = 1
#: In this order: where one of _IN_THE_WAY fails, what comes after it would fail for that reason.
_ON_THE_WAY: tuple[Callable[[Case, Way], Iterator[Finding]], ...] = (
    check_region,
    check_credentials,
    check_proxy,
    check_endpoint,
    check_identity,
)
_IN_THE_WAY = ("proxy", "endpoint", "credentials", "region", "clock", "authentication")
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
    check_local_files,
    check_limits,
)


def _run(
    config: str | None,
    form: str,
    *,
    poll: bool,
    unit: str | None,
    as_unit: str | None,
    **flags: object,
) -> int:
    found: Iterable[Finding]
    if unit is not None:
        if config is not None or any(value not in (None, ()) for value in flags.values()):
            raise UsageError("--unit: the unit has its settings; other flags do not go with it")
        found = examine_unit(unit, poll=poll)
    else:
        found = _all(config, poll=poll, unit=as_unit, flags=flags)
    findings = _RENDER[form](found)
    return _EXIT_FAILED if any(f.result is Result.FAIL for f in findings) else 0


def _all(
    config: str | None, *, poll: bool, unit: str | None, flags: Mapping[str, object]
) -> Iterator[Finding]:
    found = examine(flags, os.environ, file=config)
    errors = [*found.errors, *missing(found)]
    for error in errors:
        yield failed("settings", error, _CORRECT)
    hint = _units_hint() if errors and not unit else None
    if found.errors or any(half_a_key(found.values)):
        yield warned("the rest", "not looked at: it depends on the settings", hint)
        return
    if hint is not None:
        yield warned("unit", "looked at is what is set here, not what a unit has", hint)
    if not errors:
        given = sum(origin != "default" for origin in found.origins.values())
        yield passed("settings", f"right: {given} given, the others have their defaults")
    for warning in found.warnings:
        yield warned("secrets", warning)
    environ = dict(os.environ)
    yield from examination(_case(found, environ, poll=poll, unit=unit))


_CORRECT = "correct it; `taskrunner config check` looks again, config.example.toml explains each"


def _units_hint() -> str | None:
    """For who means the agent that systemd runs here, and has named none."""
    names = [name.removesuffix(".service") for name in agent_units()]
    return f"for the agent of systemd: `taskrunner doctor --unit {names[0]}`" if names else None


def _case(found: Examined, environ: dict[str, str], *, poll: bool, unit: str | None) -> Case:
    settings = found.settings
    # As the agent does: the SDK reads them in this process.
    export_credentials(settings, os.environ)
    export_credentials(settings, environ)
    return Case(
        settings=settings,
        data=data_settings(settings),
        origins=found.origins,
        environ=environ,
        clock=SystemClock(),
        hostname=settings.hostname or socket.gethostname(),
        poll=poll,
        unit=unit,
        agent=_agent(settings.work_dir),
    )


def _agent(work_dir: Path) -> dict[str, Any] | None:
    try:
        status: dict[str, Any] = ask(work_dir, "status")
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
        yield from _by_the_way(case, way)
    for check in _HERE:
        yield from check(case)


def _by_the_way(case: Case, way: Way) -> Iterator[Finding]:
    for look in _ON_THE_WAY:
        stopped = False
        for finding in look(case, way):
            stopped = stopped or (finding.result is Result.FAIL and finding.name in _IN_THE_WAY)
            yield finding
        if stopped:
            yield warned("permissions", "not looked at: the service is not reached, or refuses all")
            return
    for look in _WITH_AN_ANSWER:
        yield from look(case, way)


def _as_text(findings: Iterable[Finding]) -> list[Finding]:
    """Print each as it comes: some take seconds."""
    shown = []
    for finding in findings:
        shown.append(finding)
        click.echo(f"{_colored(finding.result)}  {_fitted(f'{finding.name}: {finding.found}')}")
        if finding.remedy:
            click.echo(f"      -> {_fitted(finding.remedy, more=3)}")
    count = collections.Counter(finding.result for finding in shown)
    if not count[Result.FAIL]:
        click.echo(f"Nothing fails; {count[Result.WARN]} warnings.")
    else:
        click.echo(
            f"{count[Result.FAIL]} failed, {count[Result.WARN]} warnings. "
            "Begin with the first failure: it may explain others."
        )
    return shown


_COLORS = {Result.PASS: "green", Result.WARN: "yellow", Result.FAIL: "red"}


def _colored(result: Result) -> str:
    """On a terminal; click takes the color out elsewhere."""
    if os.environ.get("NO_COLOR"):
        return str(result)
    return click.style(result, fg=_COLORS[result], bold=result is Result.FAIL)


def _fitted(text: str, more: int = 0) -> str:
    """Wrapped to the terminal; in a file or pipe each is one line, for grep."""
    if not sys.stdout.isatty():
        return text
    indent = " " * (6 + more)
    width = max(shutil.get_terminal_size().columns, 40)
    lines = textwrap.wrap(text, width - len(indent), break_long_words=False, break_on_hyphens=False)
    return f"\n{indent}".join(lines)


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
        click.Option(
            ["--unit"],
            metavar="NAME",
            help="Look as this service of systemd does (taskrunner, taskrunner@NAME): as its user, "
            "with its settings, variables, credentials and sandbox. For root.",
        ),
        click.Option(["--as-unit"], hidden=True),
        FORMAT,
        *settings_options(hidden=True),
    ],
    help="Check what an agent with these settings needs: settings, region, credentials, proxy, "
    "endpoint and clock, the permission for each call, worker groups, the log URI, drivers, disk, "
    "and how the agent runs. Run it with --unit, or as the agent's user with the flags, variables "
    "and file of the agent. Nothing is changed and no task is taken: calls name a made-up task and "
    "worker group. Exit code 0 when nothing fails, else 1.",
)
