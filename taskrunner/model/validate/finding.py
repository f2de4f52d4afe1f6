"""What validation reports."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One mistake: which object and field, a stable code, what was found and what is wanted.

    `id` is that of an object or parameter; none where the mistake is of the whole definition.
    """

    id: str | None
    field: str | None
    code: str
    message: str
    line: int | None
    column: int | None

    def __str__(self) -> str:
        where = f"object {self.id!r}" if self.id is not None else ""
        if self.field is not None:
            where += (", " if where else "") + f"field {self.field!r}"
        return f"{where}: {self.message}" if where else self.message

    def to_json(self) -> dict[str, str | int | None]:
        """The finding as `taskrunner validate --format json` prints it."""
        return {
            "id": self.id,
            "field": self.field,
            "code": self.code,
            "message": self.message,
            "line": self.line,
            "column": self.column,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that is wrong (errors) or will probably bite (warnings), in the text's order."""

    errors: tuple[Finding, ...] = ()
    warnings: tuple[Finding, ...] = ()

    @property
    def valid(self) -> bool:
        """Whether the definition may run."""
        return not self.errors

    def to_json(self) -> dict[str, object]:
        """The report as `taskrunner validate --format json` prints it."""
        return {
            "valid": self.valid,
            "errors": [finding.to_json() for finding in self.errors],
            "warnings": [finding.to_json() for finding in self.warnings],
        }

    @classmethod
    def of(cls, errors: Iterable[Finding], warnings: Iterable[Finding] = ()) -> Report:
        """A report with its findings in the text's order; those without a place come last."""
        return cls(
            errors=tuple(sorted(errors, key=_order)), warnings=tuple(sorted(warnings, key=_order))
        )


def _order(finding: Finding) -> tuple[bool, int, int]:
    return (finding.line is None, finding.line or 0, finding.column or 0)
