"""What carries out a call of either API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from taskrunner.service.callers import Caller
from taskrunner.service.engine import Service

#: (service, caller, typed request) -> typed reply; raises ServiceFault.
Handler = Callable[[Service, Caller, Any], Any]
