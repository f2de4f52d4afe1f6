"""The agent's settings as options of a command, for all that read the same settings."""

from __future__ import annotations

from typing import Any

import click

from taskrunner.config.kinds import switch
from taskrunner.config.setting import Setting
from taskrunner.config.settings import SETTINGS


def settings_options(*, hidden: bool = False) -> list[click.Parameter]:
    """An option for every setting, and --config; `hidden` leaves them out of --help."""
    options: list[click.Parameter] = []
    for setting in SETTINGS:
        options.append(_option(setting, hidden=hidden))
        if setting.file_name is not None:
            options.append(_file_option(setting, setting.file_name, hidden=hidden))
    return [*options, CONFIG_FILE]


def named(*names: str) -> list[click.Parameter]:
    """The options of a few settings, and --config."""
    chosen: list[click.Parameter] = [_option(s) for s in SETTINGS if s.name in names]
    return [*chosen, CONFIG_FILE]


def _option(setting: Setting, *, hidden: bool = False) -> click.Option:
    note = ", ".join(f"${variable}" for variable in setting.variables)
    # The bare flag of a switch turns it on.
    bare: dict[str, Any] = {"flag_value": "true"} if setting.kind is switch else {}
    return click.Option(
        [setting.flag, *setting.aliases, setting.name],
        help=f"{setting.help} [{note}]",
        multiple=setting.multiple,
        metavar=setting.metavar,
        default=None,
        hidden=hidden,
        is_flag=False,
        **bare,
    )


def _file_option(setting: Setting, name: str, *, hidden: bool) -> click.Option:
    return click.Option(
        [setting.file_flag, name],
        help=f"File with what {setting.flag} would say. [${setting.file_variable}; under systemd "
        f"LoadCredential={setting.name}:PATH]",
        metavar="FILE",
        default=None,
        hidden=hidden,
    )


CONFIG_FILE = click.Option(
    ["--config"],
    metavar="FILE",
    help="Settings in TOML, or AWS's credentials.json. [$TASKRUNNER_CONFIG]",
)

FORMAT = click.Option(
    ["--format", "form"],
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="For people, or for programs.",
)
