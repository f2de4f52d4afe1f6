from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from taskrunner.console.views.definitions import DefinitionPage, definition_page, text_of
from taskrunner.console.views.differences import Kind
from taskrunner.service.v1.definition_shapes import (
    Definition,
    DefinitionVersion,
    Finding,
    Severity,
)

PUT = datetime(2026, 11, 30, 2, tzinfo=UTC)
OBJECTS = {
    "objects": [
        {"id": "Default", "name": "Default", "scheduleType": "ondemand"},
        {"id": "A", "name": "A", "type": "ShellCommandActivity", "command": ["a", "b"]},
    ],
    "parameters": [{"id": "myKey", "type": "String"}],
    "values": {"myKey": "v"},
}


def version(number: int, *findings: Finding, active: int = 1, **changes: Any) -> Definition:
    return Definition(
        version=number,
        definition={**OBJECTS, **changes},
        versions=tuple(
            DefinitionVersion(version=one, put=PUT, active=one == active) for one in (3, 2, 1)
        ),
        findings=findings,
    )


def finding(severity: Severity = Severity.ERROR, **about: Any) -> Finding:
    return Finding(severity=severity, code="some-code", message="it is wrong", **about)


def marked(page: DefinitionPage) -> dict[str, list[str]]:
    return {
        line.text.strip(): [mark.message for mark in line.marks]
        for line in page.lines
        if line.marks
    }


def test_what_is_wrong_stands_at_its_line() -> None:
    page = definition_page(
        "df-1",
        version(
            3,
            finding(id="A", field="command"),
            finding(Severity.WARNING, id="Default", field="scheduleType"),
            finding(id="myKey"),
        ),
    )
    assert marked(page) == {
        '"scheduleType": "ondemand"': ["it is wrong"],
        '"a",': ["it is wrong"],
        '"id": "myKey",': ["it is wrong"],
    }
    assert [(sign.word, count) for sign, count in page.counts] == [("error", 2), ("warning", 1)]
    assert [mark.line for mark in page.marks] == [
        next(line.number for line in page.lines if mark in line.marks) for mark in page.marks
    ]


def test_what_stands_nowhere_is_told_with_its_names() -> None:
    page = definition_page(
        "df-1", version(3, finding(id="A", field="type2"), finding(id="Gone"), finding())
    )
    field, gone, whole = page.marks
    # The field is missing: it is said at the object.
    assert field.line > 0
    assert field.message == "type2: it is wrong"
    assert (gone.line, gone.message) == (0, "Gone: it is wrong")
    assert (whole.line, whole.message) == (0, "it is wrong")


def test_another_version_is_what_it_is_compared_with() -> None:
    page = definition_page("df-1", version(3, values={"myKey": "new"}), version(1))
    assert (page.against, page.added, page.removed) == (1, 1, 1)
    assert [line.text.strip() for line in page.differences if line.kind is Kind.ADDED] == [
        '"myKey": "new"'
    ]
    assert [(one.version, one.shown, one.compared) for one in page.choices] == [
        (3, True, False),
        (2, False, False),
        (1, False, True),
    ]


def test_a_draft_leads_to_what_it_changes_and_the_active_one_does_not() -> None:
    draft = definition_page("df-1", version(3))
    assert draft.beside_active == "/p/df-1/definition?version=3&against=1"
    assert draft.download == "/p/df-1/definition/file?version=3"
    assert draft.command.endswith("--pipeline-id df-1 --pipeline-version latest")
    active = definition_page("df-1", version(1))
    assert active.beside_active == ""
    assert active.command.endswith("--pipeline-version active")
    assert definition_page("df-1", version(2)).command == ""
    assert definition_page("df-1", version(3, active=0)).beside_active == ""


def test_a_text_that_is_no_definition_is_shown_all_the_same() -> None:
    page = definition_page("df-1", version(3, finding(id="A"), objects="none"))
    assert [line.text for line in page.lines] == text_of({**OBJECTS, "objects": "none"}).split("\n")
    assert page.marks[0].line == 0
