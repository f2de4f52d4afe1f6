"""`taskrunner config show` and `config check`: the settings as the agent would take them."""

from __future__ import annotations

import json
import os
import pwd
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import click

from taskrunner.cli.start_checks import Process, refusals
from taskrunner.config.load import DEFAULT_FILE, Examined, examine, missing
from taskrunner.config.options import FORMAT, settings_options
from taskrunner.config.setting import Setting
from taskrunner.config.settings import SETTINGS
from taskrunner.errors import ConfigError, UsageError
from taskrunner.host.units import Unit, show_unit
from taskrunner.installer.plan import Target
from taskrunner.logins import MASK, hide_passwords
from taskrunner.wire.endpoint import resolve_endpoint, resolve_region


def _show(config: str | None, form: str, *, origin: bool, **flags: object) -> int:
    found = examine(flags, os.environ, file=config)
    right = [setting for setting in SETTINGS if setting.name in found.values]
    if not found.unread:
        values = {s.name: masked(s, found.values[s.name]) for s in right}
        # All that is there, before what is wrong: whoever looks is often looking for that.
        print(_RENDER[form](values, found.origins if origin else None), flush=True)  # noqa: T201
    return _tell([*found.errors, *missing(found)])


def _tell(errors: Sequence[str]) -> int:
    """What is wrong, each in a line, and the exit code for it."""
    for error in errors:
        print(f"taskrunner: {error}", file=sys.stderr)  # noqa: T201
    return 2 if errors else 0


def masked(setting: Setting, value: object) -> object:
    """The value as JSON knows it, with nothing in it that is secret."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): MASK if setting.secret else str(item) for key, item in value.items()}
    if setting.secret:
        return MASK
    if isinstance(value, Sequence) and not isinstance(value, str) and setting.multiple:
        return [str(item) for item in value]
    return hide_passwords(str(value))


def _as_json(values: Mapping[str, object], origins: Mapping[str, str] | None) -> str:
    if origins is None:
        return json.dumps(values, indent=2)
    both = {key: {"value": value, "origin": origins[key]} for key, value in values.items()}
    return json.dumps(both, indent=2)


def _as_text(values: Mapping[str, object], origins: Mapping[str, str] | None) -> str:
    """TOML, so that it can be kept as a file once the masks are replaced."""
    lines = [f"{key} = {_toml(v)}" if v is not None else f"# {key} =" for key, v in values.items()]
    if origins is not None:
        # A few long values must not push every origin off the screen.
        width = min(max(map(len, lines)), 48)
        names = [origins[key] for key in values]
        lines = [f"{line:<{width}}  # {name}" for line, name in zip(lines, names, strict=True)]
    return "\n".join(lines)


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {_toml(v)}" for k, v in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)


_RENDER = {"text": _as_text, "json": _as_json}


def _check(config: str | None, **flags: object) -> int:
    found = examine(flags, os.environ, file=config)
    file = Path(config or os.environ.get("TASKRUNNER_CONFIG") or DEFAULT_FILE).absolute()
    refused = refusals(found, agent_process(file, Process.this()))
    errors = [*found.errors, *missing(found), *refused, *_wrong_endpoint(found)]
    for warning in found.warnings:
        print(f"taskrunner: warning: {warning}", file=sys.stderr)  # noqa: T201
    if not errors:
        given = sum(origin != "default" for origin in found.origins.values())
        print(f"the settings are right: {given} given, the others have their defaults")  # noqa: T201
    return _tell(errors)


def agent_process(
    file: Path, this: Process, *, show: Callable[[str], Unit | None] = show_unit
) -> Process:
    """As whom an agent with this settings file runs: the unit's user, where root asks for one.

    Root edits the files of units, and is not who runs their agents.
    """
    try:
        target = Target(instance=None if file == DEFAULT_FILE else file.stem)
    except UsageError:
        return this
    unit = show(target.unit) if this.uid == 0 and target.config == file else None
    try:
        user = pwd.getpwnam(unit.facts.get("User", "")) if unit is not None else None
    except KeyError:
        return this
    return this if user is None else Process(uid=user.pw_uid, gid=user.pw_gid)


def _wrong_endpoint(found: Examined) -> list[str]:
    values = found.values
    if not {"endpoint", "region", "allow_http"} <= values.keys():
        return []
    endpoint, region = values["endpoint"], values["region"]
    try:
        resolve_endpoint(
            endpoint if isinstance(endpoint, str) else None,
            region=resolve_region(region if isinstance(region, str) else None, os.environ),
            environ=os.environ,
            allow_http=values["allow_http"] is True,
        )
    except ConfigError as error:
        return [f"{found.origins['endpoint']}: {error}"]
    return []


show = click.Command(
    "show",
    short_help="Print the settings in force.",
    callback=_show,
    params=[
        click.Option(["--origin"], is_flag=True, help="Say where each value came from."),
        FORMAT,
        *settings_options(hidden=True),
    ],
    help="Print the settings that an agent started with the same flags, variables and file would "
    "have, as TOML or JSON, with secrets masked. Takes every flag of the agent. A value that is "
    "wrong is left out; what is wrong or missing follows on stderr, with exit code 2.",
)

check = click.Command(
    "check",
    short_help="Say all that is wrong with the settings.",
    callback=_check,
    params=settings_options(hidden=True),
    help="Say everything that is wrong with the settings, each with its place: exit code 2; "
    "0 when nothing is. Takes --config FILE and every flag of the agent. What depends on the "
    "agent's user is checked for yours, or for that of the unit whose file root names.",
)

command = click.Group(
    "config",
    commands={"show": show, "check": check},
    help="The agent's settings: what they are, where they come from, what is wrong with them.",
)
