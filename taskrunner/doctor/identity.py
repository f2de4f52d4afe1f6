"""Who calls: whether there are credentials, and whether the service takes them.

A refusal of the caller is told once, under its cause, and not for each call.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from taskrunner.doctor.case import Case, Finding, failed, passed
from taskrunner.doctor.service import Way, heartbeat
from taskrunner.errors import ConfigError, NotAuthorized, ServiceUnreachable, WireError
from taskrunner.wire.signing import find_signer

_GIVE_CREDENTIALS = (
    "give the instance a role, or set AWS_PROFILE, AWS_SHARED_CREDENTIALS_FILE, AWS_ACCESS_KEY_ID "
    "and AWS_SECRET_ACCESS_KEY, or access_id and secret_key, for the user that the agent runs as; "
    "for a service of systemd see docs/install.md, Credentials"
)
_MEND_FILES = (
    "put the file there, readable by the agent's user; what LoadCredential= of a unit gives is "
    "there only while the unit runs: `taskrunner doctor --unit` looks as the unit does"
)


#: Code -> what mends it. Other refusals are of one call.
_ABOUT_THE_CALLER: dict[str, str] = {}


def _about(remedy: str, *codes: str) -> None:
    _ABOUT_THE_CALLER.update(dict.fromkeys(codes, remedy))


_about(
    _GIVE_CREDENTIALS,
    *("NoCredentials", "MissingAuthenticationToken", "MissingAuthenticationTokenException"),
)
_about(
    "they were temporary: have them renewed by what gave them, or use a source that renews them by "
    "itself (the instance's role, credential_process, a web identity)",
    *("ExpiredToken", "ExpiredTokenException"),
)
_about(
    "this key is not known there: check that it is of the account and partition of the service and "
    "not deleted or switched off; temporary keys need their session token, too",
    *("InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClientException"),
)
_about(
    "check the access key id and the secret access key, letter by letter; where `taskrunner serve` "
    "is the service, they are one of the keys in its --credentials-file",
    *("InvalidSignatureException", "SignatureDoesNotMatch"),
    *("IncompleteSignature", "IncompleteSignatureException"),
)
_about("set the clock right: `timedatectl set-ntp true`, or chrony", "RequestExpired")
_about(
    "AWS Data Pipeline takes no new customers: use an account that has it, or `taskrunner serve`",
    *("OptInRequired", "SubscriptionRequiredException"),
)
_SCOPED = re.compile(r"scoped to")
_ITS_REGION = re.compile(r"region is ([a-z0-9-]+)")


def check_credentials(case: Case, way: Way) -> Iterator[Finding]:
    """Which provider of the SDK's chain has some; files that are named must be there."""
    lacking = list(_lacking_files(case))
    if own := case.settings.service_access_id:
        yield passed("credentials", f"access key {own}, for the service alone")
        return
    try:
        signer = find_signer(
            way.endpoint, region=way.region, clock=case.clock, environ=case.environ
        )
        who = signer.describe() if signer is not None else None
    except (ConfigError, ServiceUnreachable) as error:
        yield failed("credentials", str(error), _GIVE_CREDENTIALS)
        return
    if who is not None:
        given = case.origins["access_id"]
        source = "" if given == "default" else f", set by {given}"
        yield passed("credentials", who + source)
    elif lacking:
        yield failed("credentials", f"none: {'; '.join(lacking)}", _MEND_FILES)
    elif way.endpoint.loopback:
        yield passed("credentials", "none; a service on this machine may ask for none")
    else:
        yield failed(
            "credentials", "none in any of the places where AWS SDKs look", _GIVE_CREDENTIALS
        )


def _lacking_files(case: Case) -> Iterator[str]:
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        path = case.environ.get(name)
        if path and path != os.devnull and not os.access(path, os.R_OK):
            what = "cannot be read" if Path(path).exists() else "is not there"
            yield f"{path}, which {name} names, {what}"


def check_identity(case: Case, way: Way) -> Iterator[Finding]:
    """A finding if the service refuses the caller whatever is called; else none."""
    try:
        heartbeat(case, way)
    except NotAuthorized as error:
        if error.code in _ABOUT_THE_CALLER:
            yield _refused(case, way, error)
    except WireError:
        return  # what is wrong with the call itself, the check of that call tells


def _refused(case: Case, way: Way, error: NotAuthorized) -> Finding:
    text = str(error)
    # Only to say it better: a wrong region has no code of its own.
    if _SCOPED.search(text):
        found = _ITS_REGION.search(text)
        wanted = f"to {found[1]!r}, that of the service" if found else "to that of the service"
        remedy = f"set region {wanted}; {way.region!r} comes from {case.origins['region']}"
        return failed("authentication", text, remedy)
    return failed("authentication", text, _ABOUT_THE_CALLER[error.code])
