"""Where the alarms of a service go, by its option."""

from __future__ import annotations

from taskrunner.service.actions.publisher import Publisher, Recorder, SnsPublisher


def publisher_of(alarms: str) -> Publisher:
    """What brings alarms to their topics: `sns`, `log`, or `auto`: SNS if there are credentials."""
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
