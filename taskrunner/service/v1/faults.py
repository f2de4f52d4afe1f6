"""Faults that only /v1 answers with."""

from __future__ import annotations

from taskrunner.errors import ServiceFault


class NotFound(ServiceFault):
    """There is no such resource: a wrong path, or something that is not there."""

    code = "NotFoundException"
    status = 404


class WrongMethod(ServiceFault):
    """The resource is there, and does not take this method."""

    code = "MethodNotAllowedException"
    status = 405


class NotKept(ServiceFault):
    """What is asked for is not where the service can read it."""

    code = "NotKeptException"
    status = 404
