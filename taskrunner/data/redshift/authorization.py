"""With whose rights Redshift goes to S3 and DynamoDB: a role's, else the agent's own.

Keys are written into the one statement that needs them, and into nothing else: whatever else is
made of such a statement, an error above all, goes through `hidden`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from taskrunner.data.redshift.tokens import quoted
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError
from taskrunner.logins import MASK

_ARN = re.compile(r"arn:aws[\w-]*:iam::\d{12}:role/\S+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """A clause of COPY and UNLOAD."""

    clause: str = field(default="", repr=False)
    #: What it is, for the log.
    about: str = ""
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def hidden(self, text: str) -> str:
        """A text without the keys."""
        for secret in self.secrets:
            text = text.replace(secret, MASK)
        return text


def of_role(role: str) -> Authorization:
    """`default`, an ARN, or several with commas between; raises PermanentTaskError."""
    if role.lower() == "default":
        return Authorization(clause="IAM_ROLE default", about="the cluster's default role")
    for arn in role.split(","):
        if not _ARN.fullmatch(arn.strip()):
            message = (
                f"the property iamRole is {role!r}, wanted default or arn:aws:iam::...:role/..."
            )
            raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
    return Authorization(clause=f"IAM_ROLE {quoted(role)}", about=f"the role {role}")


def of_agent() -> Authorization:
    """The agent's own keys, as on AWS those of the resource's role; raises TaskError."""
    import botocore.exceptions as aws
    import botocore.session

    reason = "none are configured"
    found = None
    try:
        credentials = botocore.session.get_session().get_credentials()
        found = credentials.get_frozen_credentials() if credentials is not None else None
    except aws.BotoCoreError as error:
        reason = " ".join(str(error).split())
    if found is None or not found.access_key or not found.secret_key:
        message = (
            f"Redshift cannot be let into S3: the agent has no AWS credentials ({reason}); set "
            "iamRole in the RedshiftDatabase's jdbcProperties, or give the agent credentials"
        )
        raise TaskError(message, error_id=ErrorId.ACCESS_DENIED)
    return of_keys(found.access_key, found.secret_key, found.token)


def of_keys(access_key: str, secret_key: str, token: str | None) -> Authorization:
    """Keys; the access key's id is no secret, but nobody needs it in a log either."""
    clause = f"ACCESS_KEY_ID {quoted(access_key)} SECRET_ACCESS_KEY {quoted(secret_key)}"
    if token:
        clause += f" SESSION_TOKEN {quoted(token)}"
    secrets = tuple(text for text in (token, secret_key, access_key) if text)
    return Authorization(clause=clause, about="the agent's own credentials", secrets=secrets)
