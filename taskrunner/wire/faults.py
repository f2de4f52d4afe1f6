"""Faults that any operation may answer with, beside the ones that the service model declares."""

from __future__ import annotations

from taskrunner.errors import ServiceFault


class BadSerialization(ServiceFault):
    """The body is not the JSON of the operation."""

    code = "SerializationException"
    status = 400


class UnknownOperation(ServiceFault):
    """X-Amz-Target is absent or names no operation."""

    code = "UnknownOperationException"
    status = 400


class MissingAuthentication(ServiceFault):
    """The request is not signed."""

    code = "MissingAuthenticationTokenException"
    status = 400


class IncompleteSignature(ServiceFault):
    """The Authorization header is not that of Signature Version 4, or signs too little."""

    code = "IncompleteSignatureException"
    status = 400


class BadSignature(ServiceFault):
    """The signature is not that of a key over this request, at this time, for this service."""

    code = "InvalidSignatureException"
    status = 400


class UnknownClient(BadSignature):
    """There is no such key, or no more."""

    code = "UnrecognizedClientException"


class Throttled(ServiceFault):
    """Not now: the same call, signed anew, may be taken in a moment. SDKs do so by themselves."""

    code = "ThrottlingException"
    status = 400


class AccessDenied(ServiceFault):
    """The key may not make this call."""

    code = "AccessDeniedException"
    status = 400


class BodyTooLarge(ServiceFault):
    """The body is larger than the operation takes."""

    code = "RequestEntityTooLargeException"
    status = 413


class BodyTooSlow(ServiceFault):
    """The body did not arrive in time."""

    code = "RequestTimeoutException"
    status = 408


class WrongHost(ServiceFault):
    """The Host header is not a name of this service: DNS rebinding, or a name to be allowed."""

    code = "MisdirectedRequestException"
    status = 421
