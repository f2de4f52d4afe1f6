"""The AWS keys that sign: from the environment or a plain file at once, from elsewhere by botocore.

botocore is imported here only, and only when neither has them: it would be a third of an agent's
memory and half of its start-up time.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from taskrunner.errors import ConfigError, ServiceUnreachable
from taskrunner.wire.key_file import keys_in_file

if TYPE_CHECKING:
    from botocore.credentials import Credentials


#: The first that is not empty counts.
_TOKENS = ("AWS_SECURITY_TOKEN", "AWS_SESSION_TOKEN")
#: With one of these set, botocore has more to look at than a key and its secret.
_NOT_SO_SIMPLE = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CREDENTIAL_EXPIRATION")


@dataclass(frozen=True, slots=True)
class Keys:
    """What a signature is made with."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


class KeySource(Protocol):
    """Gives the keys that are valid now."""

    @property
    def found_by(self) -> str:
        """Which provider of AWS's chain has them, by botocore's name for it."""
        ...

    def current(self) -> Keys:
        """Raises ServiceUnreachable when they could not be renewed: the next call tries again."""
        ...


@dataclass(frozen=True, slots=True)
class FixedKeys:
    """Keys that never change."""

    keys: Keys
    found_by: str = "env"

    def current(self) -> Keys:
        """The keys."""
        return self.keys


class ChainKeys:
    """Keys that botocore found, and renews when they expire."""

    def __init__(self, credentials: Credentials) -> None:
        self.credentials = credentials
        self._last: Keys | None = None

    @property
    def found_by(self) -> str:
        """The provider's name."""
        return str(self.credentials.method)

    def current(self) -> Keys:
        """The keys that are valid now."""
        from botocore.credentials import RefreshableCredentials

        credentials = self.credentials
        try:
            found = credentials.get_frozen_credentials()
        # What renews them says it as it likes: STS in a ClientError, which is no BotoCoreError, a
        # program that prints no JSON in a ValueError, a file that is not there in an OSError. None
        # of it is a reason to end an agent and its tasks; a denial may be mended meanwhile, too.
        except Exception as error:
            # Renewal begins long before the end: until then a gap in their source costs nothing.
            over = not isinstance(credentials, RefreshableCredentials) or (
                credentials.refresh_needed(refresh_in=0)
            )
            if self._last is None or over:
                message = f"AWS credentials could not be renewed: {_said(error)}"
                raise ServiceUnreachable(message) from error
        else:
            # Whoever left one empty is told so by the service, which refuses the signature.
            self._last = Keys(found.access_key or "", found.secret_key or "", found.token)
        return self._last


def find_keys(
    *, loopback: bool, profile: str | None = None, environ: Mapping[str, str] = os.environ
) -> KeySource | None:
    """The keys that any AWS SDK would find on this host; None when there are none.

    Raises ConfigError for a profile that is not there or a chain that is set up wrongly.
    """
    return (
        (None if profile else _in_environment(environ))
        or _in_file(profile, environ)
        or _in_chain(profile, loopback=loopback)
    )


def _in_environment(environ: Mapping[str, str]) -> FixedKeys | None:
    """What botocore's first provider would find; None: ask botocore itself."""
    key, secret = environ.get("AWS_ACCESS_KEY_ID"), environ.get("AWS_SECRET_ACCESS_KEY")
    if not key or not secret or any(name in environ for name in _NOT_SO_SIMPLE):
        return None
    token = next(filter(None, map(environ.get, _TOKENS)), None)
    return FixedKeys(Keys(key, secret, token))


def _in_file(profile: str | None, environ: Mapping[str, str]) -> FixedKeys | None:
    """What botocore would find in ~/.aws, if it is as simple as that."""
    found = keys_in_file(profile, environ)
    return found and FixedKeys(Keys(*found), "shared-credentials-file")


def _in_chain(profile: str | None, *, loopback: bool) -> ChainKeys | None:
    from botocore.session import Session

    try:
        session = Session(profile=profile)
        if loopback:
            # Nobody waits for the metadata service of EC2 to speak to their own machine.
            session.set_config_variable("metadata_service_num_attempts", 0)
        credentials = session.get_credentials()
    except Exception as error:
        # Not BotoCoreError alone: a program is run here, and may print what is no JSON.
        raise ConfigError(f"AWS credentials cannot be used: {_said(error)}") from error
    return None if credentials is None else ChainKeys(credentials)


def _said(error: Exception) -> str:
    from botocore.exceptions import BotoCoreError, ClientError

    # Of others the text alone may be a bare name: "'AccessKeyId'".
    ours = isinstance(error, BotoCoreError | ClientError)
    return str(error) if ours else f"{type(error).__name__}: {error}"
