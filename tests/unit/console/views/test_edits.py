from __future__ import annotations

from datetime import UTC, datetime, timedelta

from taskrunner.console.views.edits import checked_page, mark_of, new_page
from taskrunner.service.v1.definition_shapes import Finding, Severity
from taskrunner.service.v1.edit_shapes import (
    ChangeKind,
    DefinitionChange,
    DefinitionPut,
    PeriodChange,
    PeriodKind,
)

AT = datetime(2026, 11, 30, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)


def period(kind: PeriodKind, start: datetime) -> PeriodChange:
    return PeriodChange(kind=kind, schedule_id="S", start=start, end=start + HOUR, runs_at=start)


def test_every_kind_has_a_sign_and_the_first_run_is_one_that_comes() -> None:
    found = DefinitionPut(
        dry_run=True,
        changes=tuple(DefinitionChange(kind=kind, what="x") for kind in ChangeKind),
        periods=(
            period(PeriodKind.REMOVED, AT),
            period(PeriodKind.SAME, AT + HOUR),
            period(PeriodKind.ADDED, AT + 2 * HOUR),
        ),
    )
    page = checked_page("df-1", "a", 1, found)
    assert len({sign for sign, _ in page.changes}) == len(ChangeKind)
    assert len({one.sign for one in page.periods}) == len(PeriodKind)
    assert page.first == AT + HOUR
    assert page.command == "taskrunner pipelines put pipeline.json --pipeline df-1"


def test_what_is_wrong_stands_at_its_line_or_at_none() -> None:
    findings = (
        Finding(
            severity=Severity.ERROR, code="c", message="m", id="A", field="f", line=2, column=5
        ),
        Finding(severity=Severity.WARNING, code="c", message="whole"),
    )
    page = checked_page("df-1", "one\ntwo\n", 1, DefinitionPut(dry_run=True, findings=findings))
    assert [mark.message for mark in page.marks] == ["A, f: m", "whole"]
    assert {line.number: len(line.marks) for line in page.lines} == {1: 0, 2: 1, 3: 0}
    assert page.errors == 1


def test_a_text_that_nobody_has_looked_at_has_no_mark() -> None:
    assert new_page("df-1", "a", 1).mark == ""
    page = checked_page("df-1", "a", 1, DefinitionPut(dry_run=True))
    assert page.mark == mark_of("a") != mark_of("b")
    assert page.lines == ()
