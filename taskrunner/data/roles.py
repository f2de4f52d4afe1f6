"""Credentials of a role that a definition names, renewed before they end."""

from __future__ import annotations

from typing import Any

import botocore.exceptions as aws
import botocore.session
from botocore.config import Config
from botocore.credentials import Credentials, RefreshableCredentials

from taskrunner.errors import ErrorId, TaskError

_SESSION_NAME = "taskrunner"
_TIMEOUT_S = 10


def assumed(
    session: botocore.session.Session,
    own: Credentials,
    role: str,
    region: str,
    *,
    who: str = "agent",
) -> Credentials:
    """The credentials of a role that our own ones may assume; raises TaskError when they may not.

    `role` is its ARN, `who` the program whose credentials assume it.
    """

    def assume() -> dict[str, str]:
        # With the newest of our own: these may be ones that end, too.
        keys = own.get_frozen_credentials()
        client: Any = session.create_client(
            "sts",
            region_name=region,
            aws_access_key_id=keys.access_key,
            aws_secret_access_key=keys.secret_key,
            aws_session_token=keys.token,
            config=Config(
                connect_timeout=_TIMEOUT_S, retries={"mode": "standard", "total_max_attempts": 3}
            ),
        )
        reply = client.assume_role(RoleArn=role, RoleSessionName=_SESSION_NAME)
        client.close()
        found = reply["Credentials"]
        return {
            "access_key": found["AccessKeyId"],
            "secret_key": found["SecretAccessKey"],
            "token": found["SessionToken"],
            "expiry_time": found["Expiration"].isoformat(),
        }

    try:
        metadata = assume()
    except (aws.ClientError, aws.BotoCoreError) as error:
        message = (
            f"the role {role!r} may not be assumed: {error}; let its trust policy name the "
            f"{who}'s own role or user"
        )
        raise TaskError(message, error_id=ErrorId.ACCESS_DENIED) from error
    made: Credentials = RefreshableCredentials.create_from_metadata(
        metadata=metadata, refresh_using=assume, method="sts-assume-role"
    )
    return made
