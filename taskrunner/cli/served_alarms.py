"""Where the alarms of a service go, by its option."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from taskrunner.service.actions.publisher import Publisher

alarms_option = click.option(
    "--alarms",
    type=click.Choice(["auto", "sns", "log"]),
    default="auto",
    help="Where SnsAlarm goes: to SNS, only to the log, or to SNS if there are AWS credentials.",
)


def publisher_of(alarms: str) -> Publisher:
    """What brings alarms to their topics: `sns`, `log`, or `auto`: SNS if there are credentials."""
    from taskrunner.service.actions.publisher import Recorder, SnsPublisher

    if alarms == "sns" or (alarms == "auto" and _have_aws_credentials()):
        return SnsPublisher()
    return Recorder()


def _have_aws_credentials() -> bool:
    from botocore.exceptions import BotoCoreError
    from botocore.session import Session

    try:
        return Session().get_credentials() is not None
    except BotoCoreError:
        return False
