"""Where the alarms of a service go, by its option."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from taskrunner.errors import ConfigError

if TYPE_CHECKING:
    from taskrunner.service.actions.publisher import Publisher
    from taskrunner.service.actions.targets import MailServer, Target

alarms_option = click.option(
    "--alarms",
    metavar="auto|sns|log|FILE",
    default="auto",
    help="Where SnsAlarm goes: to SNS, only to the log, to SNS if there are AWS credentials, or by "
    "the rules of a TOML file to webhooks, mailboxes and commands; see docs/operate.md.",
)

#: What commands get of the service's own variables, in which keys may stand.
_PASSED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "USER", "LOGNAME", "SHELL")


def publisher_of(alarms: str) -> Publisher:
    """What brings alarms to whom they are for. Raises ConfigError for rules that are wrong."""
    from taskrunner.service.actions.publisher import Recorder, SnsPublisher

    if alarms == "log":
        return Recorder()
    if alarms == "sns":
        return SnsPublisher()
    if alarms == "auto":
        return SnsPublisher() if _have_aws_credentials() else Recorder()
    from taskrunner.service.actions.routing import Router, read_rules
    from taskrunner.service.actions.targets import Published

    rules = read_rules(Path(alarms), target_of)
    return Router(rules, Published(name="log", publisher=Recorder()))


def target_of(text: str, mail: MailServer | None) -> Target:
    """A target by its text. Raises ConfigError, which tells nothing of a URL but its host."""
    from taskrunner.service.actions.publisher import Recorder, SnsPublisher
    from taskrunner.service.actions.targets import Command, Mailbox, Published

    if text in {"sns", "log"}:
        publisher = SnsPublisher() if text == "sns" else Recorder()
        return Published(name=text, publisher=publisher)
    kind, _, rest = text.partition(":")
    if kind in {"https", "http"}:
        return _webhook(text)
    if kind == "mailto":
        if mail is None:
            raise ConfigError(f"{text!r} wants a table [mail] with the mail server")
        if "@" not in rest or not rest.isprintable() or set(rest) & set(" ,;<>"):
            raise ConfigError(f"{text!r}: wanted one address, as in mailto:ops@example.com")
        return Mailbox(address=rest, server=mail)
    if kind == "exec":
        return Command(
            argv=_argv(rest), environ={k: os.environ[k] for k in _PASSED if k in os.environ}
        )
    raise ConfigError(f"a target {kind!r}: wanted https://..., mailto:..., exec:..., sns or log")


def _argv(text: str) -> tuple[str, ...]:
    try:
        argv = tuple(shlex.split(text))
    except ValueError as error:
        raise ConfigError(f"a target exec:...: {error}") from None
    if not argv or not Path(argv[0]).is_absolute():
        program = argv[0] if argv else ""
        raise ConfigError(f"exec:{program}: wanted the whole path of a program, and its arguments")
    return argv


def _webhook(text: str) -> Target:
    from taskrunner.clock import SystemClock
    from taskrunner.service.actions.targets import Webhook, transport_of
    from taskrunner.wire.endpoint import parse_endpoint

    query = urlsplit(text).query
    endpoint = parse_endpoint(text.partition("?")[0])
    if endpoint.scheme == "http" and not endpoint.loopback:
        raise ConfigError(f"a webhook of {endpoint.host} by plain http: wanted https")
    transport = transport_of(endpoint, SystemClock(), os.environ)
    return Webhook(endpoint=endpoint, query=query, transport=transport)


def _have_aws_credentials() -> bool:
    from botocore.exceptions import BotoCoreError
    from botocore.session import Session

    try:
        return Session().get_credentials() is not None
    except BotoCoreError:
        return False
