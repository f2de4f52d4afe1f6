"""What is examined, and what the examination says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from taskrunner.clock import Clock
from taskrunner.config.settings import Settings
from taskrunner.data.settings import DataSettings


class Result(StrEnum):
    """How a check came out."""

    PASS = "PASS"  # noqa: S105  no password
    WARN = "WARN"  # works, or cannot be known from here
    FAIL = "FAIL"  # an agent would not work


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check: what was found, and what mends it."""

    name: str
    result: Result
    found: str
    remedy: str | None = None


def passed(name: str, found: str) -> Finding:
    """All is well."""
    return Finding(name=name, result=Result.PASS, found=found)


def warned(name: str, found: str, remedy: str | None = None) -> Finding:
    """Something is odd, or could not be looked at."""
    return Finding(name=name, result=Result.WARN, found=found, remedy=remedy)


def failed(name: str, found: str, remedy: str) -> Finding:
    """An agent would not work."""
    return Finding(name=name, result=Result.FAIL, found=found, remedy=remedy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One host and its settings."""

    settings: Settings
    #: The part of them that the data plane sees.
    data: DataSettings
    origins: Mapping[str, str]
    environ: Mapping[str, str] = field(repr=False)
    clock: Clock
    hostname: str
    #: Poll for the real worker groups too, which may take a task.
    poll: bool = False
    #: The systemd unit that is looked at; None: whatever is installed.
    unit: str | None = None
    #: What the agent of this host says of itself; None: none runs.
    agent: Mapping[str, Any] | None = None
