"""What /v1 answers about definitions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from taskrunner.service.v1.schema import about


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinitionVersion:
    """A version of a definition."""

    version: int = about("Its number.")
    put: datetime = about("When it was put.")
    active: bool = about("Whether it is the one that was activated last.")


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"  # with one it is not activated
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that is wrong in a definition, or has no effect."""

    severity: Severity = about("error: it cannot be activated; warning: it can.")
    code: str = about("Its kind, as `taskrunner validate` has it.")
    message: str = about("What was found, and what is wanted.")
    id: str | None = about("The object or the parameter that it is about.", default=None)
    field: str | None = about("The field of that.", default=None)
    line: int | None = about("In a text that was given: its line, from 1.", default=None)
    column: int | None = about("The column in that line, from 1.", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A version of a definition; secrets are masked."""

    version: int = about("Which it is.")
    definition: Mapping[str, Any] = about(
        "As a file for the AWS CLI has it: objects, parameters, values."
    )
    versions: tuple[DefinitionVersion, ...] = about("Those that are kept, newest first.")
    findings: tuple[Finding, ...] = about(
        "Everything that is wrong in it, or has no effect; errors first.", default=()
    )
