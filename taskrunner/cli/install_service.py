"""`taskrunner install-service`: a systemd unit for this installation."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click

from taskrunner.config import load as config
from taskrunner.config.file import read_entries
from taskrunner.config.setting import Setting
from taskrunner.config.settings import BY_NAME
from taskrunner.errors import UsageError
from taskrunner.installer import carry_out as installer
from taskrunner.installer.plan import CONFIG_FOLDER, SETTABLE, Target, check_kept, install_plan
from taskrunner.logins import hide_passwords


def _option(setting: Setting) -> click.Option:
    return click.Option(
        [setting.flag, setting.name],
        help=f"{setting.help} Goes into a new settings file.",
        multiple=setting.multiple,
        metavar=setting.metavar,
    )


def _run(
    *,
    instance: str | None,
    serve: bool,
    start: bool,
    dry_run: bool,
    checks: Sequence[installer.Check] = installer.CHECKS,
    **flags: object,
) -> int:
    target = Target(instance=instance, serve=serve)
    settings = _settings(target, flags)
    may = installer.check_host(checks, dry_run=dry_run)
    if not serve:
        _check_config(target, settings, start=start)
    steps = install_plan(
        target,
        installer.host_facts(),
        settings,
        start=start,
        kept_from_metadata=() if serve else _kept_from_metadata(target.config),
    )
    installer.Installer(dry_run=dry_run).carry_out(steps)
    if not may:
        return 1
    if serve:
        click.echo(f"access keys are in {CONFIG_FOLDER / 'keys.toml'}; each agent needs one")
    if not start:
        click.echo(f"next: look through {target.config}, then systemctl start {target.unit}")
    return 0


def _settings(target: Target, flags: dict[str, object]) -> dict[str, object]:
    """The settings that were given, parsed; raises UsageError."""
    given = {name: raw for name, raw in flags.items() if raw not in (None, ())}
    if target.serve and given:
        flag = BY_NAME[next(iter(given))].flag
        raise UsageError(f"{flag} is a setting of the agent; the service's are in {target.config}")
    parsed: dict[str, object] = {}
    for name, raw in given.items():
        try:
            parsed[name] = BY_NAME[name].kind(raw)
        except ValueError as error:
            shown = hide_passwords(repr(raw))
            raise UsageError(f"{BY_NAME[name].flag}: found {shown}, wanted {error}") from None
    return parsed


def _check_config(target: Target, settings: dict[str, object], *, start: bool) -> None:
    """Find what would keep the agent from starting before anything is changed."""
    path = target.config
    if not path.exists():
        if start and "worker_group" not in settings:
            raise UsageError(f"{path} is not there yet: give --worker-group NAME, or leave --start")
        return
    found = {key: entry.value for key, entry in read_entries(path).items()}
    check_kept(path, found, settings)
    if target.instance is not None and "work_dir" not in found:
        # Files of older versions; `taskrunner status --config` would ask the host's main agent.
        click.echo(f'{path} has no work_dir: add the line work_dir = "{target.state}"', err=True)
    if start:
        config.load({}, {}, file=os.fspath(path))


def _kept_from_metadata(path: Path) -> tuple[str, ...]:
    """The users of tasks that the settings file wants to be kept from the instance's metadata."""
    found = config.examine({}, {}, file=os.fspath(path)).values if path.exists() else {}
    users = found.get("run_as_user")
    if found.get("block_imds") is not True or not isinstance(users, dict):
        return ()
    return tuple(sorted(set(users.values())))


command = click.Command(
    "install-service",
    callback=_run,
    params=[
        *(_option(BY_NAME[name]) for name in SETTABLE),
        click.Option(
            ["--instance"],
            metavar="NAME",
            help="One of several agents on this host: taskrunner@NAME, /etc/taskrunner/NAME.toml.",
        ),
        click.Option(["--serve"], is_flag=True, help="The service's unit in place of the agent's."),
        click.Option(["--start"], is_flag=True, help="Start it now, and wait until it is ready."),
        click.Option(["--dry-run"], is_flag=True, help="Say what would be done, and do nothing."),
    ],
    help="Install this taskrunner as a systemd service: its users and folders, a settings file "
    "unless there is one, the unit; then enable it. Safe to repeat, after an upgrade too.",
)
