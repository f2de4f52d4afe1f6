"""What carries out a call of either API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

#: (service, caller, typed request) -> typed reply; raises ServiceFault. PollForTask's takes a
#: `runner_operations.Keep` besides, where there is something to keep.
Handler = Callable[..., Any]
