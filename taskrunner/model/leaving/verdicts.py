"""Whether a pipeline runs here as it is, and what it needs otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from taskrunner.model.validate import Finding, Report

#: Warnings of validation that mean that nothing will run.
_FATAL = frozenset({"no-runner"})
#: Warnings that are the subject of other columns.
_SAID = frozenset({"masked-secret", "missing-role", "resource-nowhere"})
#: Findings about a parameter's value, which of a mask say nothing.
_OF_VALUES = frozenset({"wrong-parameter-type", "value-not-allowed"})


class Verdict(StrEnum):
    """What stands between a pipeline and its first run."""

    RUNS = "runs as is"
    RULE = "needs a rule"
    SECRET = "needs a secret"  # noqa: S105 - no password
    BOTH = "needs a rule and a secret"
    CANNOT = "cannot run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What was found of one pipeline."""

    #: Why it cannot run.
    errors: tuple[Finding, ...]
    #: What will be otherwise than its author may think.
    notes: tuple[Finding, ...]
    #: Resources that no rule says the place of: id -> type.
    resources: Mapping[str, str]
    #: Secrets that are not given: place -> why.
    secrets: Mapping[str, str]

    @property
    def verdict(self) -> Verdict:
        """The verdict on it."""
        if self.errors:
            return Verdict.CANNOT
        if self.resources and self.secrets:
            return Verdict.BOTH
        if self.resources:
            return Verdict.RULE
        return Verdict.SECRET if self.secrets else Verdict.RUNS


def assess(
    report: Report,
    *,
    masked: Iterable[str],
    resources: Mapping[str, str],
    secrets: Mapping[str, str],
    more: Iterable[Finding] = (),
) -> Assessment:
    """Sort the findings of a validation; `masked` are the places whose values are not known.

    `more` are warnings about where resources run.
    """
    places = frozenset(masked)
    errors = [f for f in report.errors if not (f.id in places and f.code in _OF_VALUES)]
    errors += [f for f in report.warnings if f.code in _FATAL]
    notes = [f for f in (*report.warnings, *more) if f.code not in _FATAL | _SAID]
    return Assessment(
        errors=tuple(errors),
        notes=tuple(dict.fromkeys(notes)),
        resources=dict(resources),
        secrets=dict(secrets),
    )
