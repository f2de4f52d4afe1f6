"""What EC2 answers when it makes no instance, in one sentence: object, field and remedy.

Pure: from the code and the words of an answer to what is to be done about it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from taskrunner.service.resources.base import ResourceBusy, ResourceFailure


class Then(StrEnum):
    """What an answer means for the launch."""

    NEVER = "never"  # the definition, or what is allowed, is at fault: no retry would mend it
    LATER = "later"  # it may be mended, or end by itself: a retry, after retryDelay
    BUSY = "busy"  # nothing was decided: the same call again, at no charge


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer that is no instance."""

    code: str
    message: str
    #: The call that was answered so, as IAM names it.
    call: str = "ec2:RunInstances"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Meaning:
    then: Then
    #: What is wrong, and what to do.
    text: str
    field: str = ""


def _never(field: str, text: str) -> _Meaning:
    return _Meaning(then=Then.NEVER, field=field, text=text)


def _later(field: str, text: str) -> _Meaning:
    return _Meaning(then=Then.LATER, field=field, text=text)


_NO_IMAGE = _never("imageId", "names no image that may be used: name one of the region, or none")
_NO_SUBNET = _never("subnetId", "names no subnet there: name one of the resource's region")
_NO_GROUP = _never("securityGroupIds", "names a group that is not there: name those of the VPC")
_CAPACITY = _later("instanceType", "has no capacity there now: name another type or zone")
_LIMIT = _later("instanceType", "would exceed the account's limit: have it raised, or end others")
_MEANINGS: Mapping[str, _Meaning] = {
    "InvalidAMIID.Malformed": _NO_IMAGE,
    "InvalidAMIID.NotFound": _NO_IMAGE,
    "InvalidAMIID.Unavailable": _NO_IMAGE,
    "InvalidSubnetID.NotFound": _NO_SUBNET,
    "InvalidSubnetId.Malformed": _NO_SUBNET,
    "InvalidSubnet": _NO_SUBNET,
    "InvalidGroup.NotFound": _NO_GROUP,
    "InvalidGroupId.Malformed": _NO_GROUP,
    "InvalidSecurityGroupID.NotFound": _NO_GROUP,
    "InvalidKeyPair.NotFound": _never("keyPair", "is no key pair there: make it, or name none"),
    "InvalidInstanceType": _never("instanceType", "is no type there: name one of the region"),
    "Unsupported": _never("instanceType", "cannot be made so: name another type, zone or image"),
    "InsufficientFreeAddressesInSubnet": _later("subnetId", "has no address left: name another"),
    "InsufficientCapacity": _CAPACITY,
    "InsufficientHostCapacity": _CAPACITY,
    "InsufficientInstanceCapacity": _CAPACITY,
    "InstanceLimitExceeded": _LIMIT,
    "VcpuLimitExceeded": _LIMIT,
    "MaxSpotInstanceCountExceeded": _LIMIT,
    "SpotMaxPriceTooLow": _later("spotBidPrice", "is below the price of spot instances: raise it"),
}
_BUSY = frozenset(
    {
        "InternalError",
        "InternalFailure",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "Throttling",
        "ThrottlingException",
        "Unavailable",
    }
)
#: What an answer of a general code is about, by a word in its text.
_ABOUT = (
    ("iaminstanceprofile", "resourceRole"),
    ("instance profile", "resourceRole"),
    ("availability zone", "availabilityZone"),
    ("availabilityzone", "availabilityZone"),
    ("instancetype", "instanceType"),
    ("instance type", "instanceType"),
    ("spot", "spotBidPrice"),
    ("price", "spotBidPrice"),
    ("subnet", "subnetId"),
    ("security group", "securityGroups"),
    ("image", "imageId"),
)
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_CREDENTIALS = frozenset(
    {
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_LONGEST = 300


def failure(
    answer: Answer, *, name: str, region: str, fields: Mapping[str, str]
) -> ResourceFailure | ResourceBusy:
    """What an answer means; `fields` are the values that the resource's fields had."""
    if answer.code in _BUSY:
        return ResourceBusy(f"EC2 in {region} is busy ({answer.code}); it is asked again")
    meaning = _meaning(answer, fields)
    where = f"{name}, field {meaning.field}" if meaning.field else name
    value = fields.get(meaning.field)
    shown = f"{value!r} " if value else ""
    said = _said(answer.message)
    message = f"{where}: {shown}{meaning.text} ({answer.code} in {region}{said})"
    never = meaning.then is Then.NEVER
    return ResourceFailure(message, permanent=never, wait=not never)


def _meaning(answer: Answer, fields: Mapping[str, str]) -> _Meaning:
    if answer.code in _DENIED:
        return _denied(answer)
    if answer.code in _CREDENTIALS:
        return _later("", "the service's AWS credentials are not taken: renew them")
    found = _MEANINGS.get(answer.code)
    if found is _NO_GROUP and "securityGroupIds" not in fields:
        return _never("securityGroups", found.text)
    if found is not None:
        return found
    lower = answer.message.lower()
    about = next((field for word, field in _ABOUT if word in lower and field in fields), "")
    if answer.code.startswith(("Invalid", "Missing", "Unknown")):
        return _never(about, "is not taken: correct it" if about else "is not taken as it is")
    return _later(about, "could not be made")


def _denied(answer: Answer) -> _Meaning:
    if "passrole" in answer.message.lower() or "iam:pass" in answer.message.lower():
        return _never(
            "resourceRole",
            "may not be passed to an instance: allow iam:PassRole on it to the service",
        )
    return _never("", f"the service may not do this: allow {answer.call} to its AWS credentials")


def _said(message: str) -> str:
    """EC2's own words, without the long code in which it hides what was denied."""
    text = re.split(r"\s*Encoded authorization failure message", " ".join(message.split()))[0]
    text = text.rstrip(". ")
    return f": {text[:_LONGEST]}" if text else ""
