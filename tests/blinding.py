"""Hides one field from the program, to see whether a test of it can fail.

A pytest plugin: whatever makes an object of a definition or of a task gets it without the field.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Any

import pytest

from taskrunner.model.catalog import CATALOG
from taskrunner.model.catalog.effect_rows import ROWS
from taskrunner.model.catalog.effects import effect_of
from taskrunner.model.document import PipelineObject


def types_of(scope: str, field: str) -> frozenset[str]:
    """The types whose field a row of the table of effects is about."""
    return frozenset(
        name
        for name, known in CATALOG.items()
        if scope in {name, known.category, "*"} and effect_of(name, field) is ROWS[scope][field]
    )


class Blinding:
    """Hides a field of objects of some types, or (`*`) of all, types or none."""

    def __init__(self, scope: str, field: str) -> None:
        self._types: Set[str] | None = None if scope == "*" else types_of(scope, field)
        self._field = field
        self.failed: list[str] = []
        self.passed: list[str] = []

    def pytest_configure(self) -> None:
        """Put it in place, for good: the process is to end after the test."""
        make = PipelineObject.__init__

        def without(obj: PipelineObject, **given: Any) -> None:
            make(obj, **given)
            kinds = {str(one.value) for one in obj.fields if one.key == "type"}
            if self._types is None or kinds & self._types:
                left = tuple(one for one in obj.fields if one.key != self._field)
                object.__setattr__(obj, "fields", left)

        setattr(PipelineObject, "__init__", without)  # noqa: B010  mypy forbids the plain way

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember what became of each test."""
        if report.failed:
            self.failed.append(report.nodeid)
        elif report.when == "call" and report.passed:
            self.passed.append(report.nodeid)
