"""Fakes for the tests of plugins and of clients: public, and stable within a major version.

Names are imported when they are first asked for, so that whoever needs only one of them does not
load the rest.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taskrunner.model.document import Ref
    from taskrunner.testing.activity_environment import (
        ActivityEnvironment,
        new_object,
        new_task,
    )
    from taskrunner.testing.clock import FakeClock
    from taskrunner.testing.ec2 import Ec2Server
    from taskrunner.testing.redshift import RedshiftStandIn
    from taskrunner.testing.service import NotSettled, ServiceInProcess

__all__ = [
    "ActivityEnvironment",
    "Ec2Server",
    "FakeClock",
    "NotSettled",
    "RedshiftStandIn",
    "Ref",
    "ServiceInProcess",
    "new_object",
    "new_task",
]

_HOMES = {
    "ActivityEnvironment": "taskrunner.testing.activity_environment",
    "Ec2Server": "taskrunner.testing.ec2",
    "FakeClock": "taskrunner.testing.clock",
    "NotSettled": "taskrunner.testing.service",
    "RedshiftStandIn": "taskrunner.testing.redshift",
    "Ref": "taskrunner.model.document",
    "ServiceInProcess": "taskrunner.testing.service",
    "new_object": "taskrunner.testing.activity_environment",
    "new_task": "taskrunner.testing.activity_environment",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return __all__
