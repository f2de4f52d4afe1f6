"""What EMR answers when it makes no cluster, in one sentence: object, field and remedy.

Pure: from the code and the words of an answer to what is to be done about it. EMR has hardly more
than one code for a wrong request; what is wrong stands in its words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from taskrunner.service.resources.base import ResourceBusy, ResourceFailure


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer that is no cluster."""

    code: str
    message: str
    #: The call that was answered so, as IAM names it.
    call: str
    #: The status of the HTTP reply.
    status: int = 400

    @property
    def is_undecided(self) -> bool:
        """Whether it may have been carried out: EMR failed, or said nothing that is known."""
        return self.status >= 500 or self.code in _FAILED


_BUSY = frozenset(
    {
        "LimitExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_FAILED = frozenset({"InternalFailure", "InternalServerError", "InternalServerException"})
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_CREDENTIALS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
#: What an answer is about, by words in it: the field, and what to do. The first that fits counts.
_ABOUT = (
    (("release label", "releaselabel"), "releaseLabel", "name a release that the region has"),
    (("ami version", "amiversion"), "amiVersion", "name a releaseLabel in its place"),
    (("serviceaccesssecuritygroup",), "serviceAccessSecurityGroupId", "name one of the VPC"),
    (
        ("emrmanagedmastersecuritygroup",),
        "emrManagedMasterSecurityGroupId",
        "name both managed groups, of the subnet's VPC",
    ),
    (
        ("emrmanagedslavesecuritygroup",),
        "emrManagedSlaveSecurityGroupId",
        "name both managed groups, of the subnet's VPC",
    ),
    (("additionalmastersecurity",), "additionalMasterSecurityGroupIds", "name those of the VPC"),
    (("additionalslavesecurity",), "additionalSlaveSecurityGroupIds", "name those of the VPC"),
    (("security group",), "emrManagedMasterSecurityGroupId", "name groups of the subnet's VPC"),
    (("instanceprofile", "instance profile", "jobflowrole"), "resourceRole", "name a profile"),
    (("service role", "servicerole"), "role", "name a role that elasticmapreduce may assume"),
    (("subnet",), "subnetId", "name a subnet of the resource's region"),
    (("availability zone", "availabilityzone"), "availabilityZone", "name a zone of the region"),
    (("key pair", "ec2keyname", "keypair"), "keyPair", "name one that the region has"),
    (("bid price", "bidprice", "spot"), "coreInstanceBidPrice", "correct the bid price"),
    (("application",), "applications", "name those that the release has"),
    (("classification", "configuration"), "configuration", "correct the EmrConfigurations"),
    (("bootstrap",), "bootstrapAction", "correct it"),
    (("ebs", "volume"), "coreEbsConfiguration", "correct the EbsConfiguration"),
    (("log uri", "loguri"), "emrLogUri", "name a folder on S3"),
    (("instance type", "instancetype"), "masterInstanceType", "name types that EMR has there"),
)
#: Words of limits, which others may free.
_LIMITS = ("quota", "limit", "exceed")
_LONGEST = 300


def failure(
    answer: Answer, *, name: str, region: str, fields: Mapping[str, str]
) -> ResourceFailure | ResourceBusy:
    """What an answer means; `fields` are the values that the resource's fields had."""
    if answer.code in _BUSY or answer.is_undecided:
        return ResourceBusy(f"EMR in {region} is busy ({answer.code}); it is asked again")
    said = " ".join(answer.message.split()).rstrip(". ")[:_LONGEST]
    told = f"({answer.code} in {region}{f': {said}' if said else ''})"
    if answer.code in _DENIED:
        return _denied(answer, name, told)
    if answer.code in _CREDENTIALS:
        text = "the service's AWS credentials are not taken: renew them"
        return ResourceFailure(f"{name}: {text} {told}", wait=True)
    lower = answer.message.lower()
    if any(word in lower for word in _LIMITS):
        text = "a limit of the account is reached: have it raised, or end others"
        return ResourceFailure(f"{name}: {text} {told}", wait=True)
    for words, field, remedy in _ABOUT:
        if any(word in lower for word in words):
            value = fields.get(field)
            shown = f"{value!r} is not taken" if value else "it is not taken as it is"
            return ResourceFailure(
                f"{name}, field {field}: {shown}: {remedy} {told}", permanent=True
            )
    return ResourceFailure(f"{name}: EMR does not take it as it is {told}", permanent=True)


def _denied(answer: Answer, name: str, told: str) -> ResourceFailure:
    lower = answer.message.lower()
    if "passrole" in lower:
        text = "they may not be passed to EMR: allow iam:PassRole on both to the service"
        return ResourceFailure(
            f"{name}, fields role and resourceRole: {text} {told}", permanent=True
        )
    text = f"the service may not do this: allow {answer.call} to its AWS credentials"
    return ResourceFailure(f"{name}: {text} {told}", permanent=True)
