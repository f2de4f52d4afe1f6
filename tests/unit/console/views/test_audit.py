"""The page's model of the audit: who, what, from where, and the ways to the rest."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from taskrunner.console.views.audit import OPERATIONS, audit_page
from taskrunner.service.v1.audit_shapes import AuditEntry, AuditList
from taskrunner.wire.operations import OPERATIONS as KNOWN

AT = datetime(2026, 2, 13, 2, tzinfo=UTC)


def entry(**fields: Any) -> AuditEntry:
    given: dict[str, Any] = {
        "id": "1",
        "at": AT,
        "user": "mia",
        "operation": "SetStatus",
        "subject": "df-1",
    }
    return AuditEntry(**{**given, **fields})


def test_a_change_says_by_which_key_and_from_where() -> None:
    found = AuditList(
        entries=(
            entry(key_id="AK1", address="10.0.0.5", after="RERUN"),
            entry(subject="host-7/agent"),
        )
    )
    first, second = audit_page(found, path="/audit", query={}).lines
    assert (first.source, first.after) == ("AK1 from 10.0.0.5", "RERUN")
    assert first.subject_address == "/p/df-1/audit"
    assert (second.source, second.subject_address) == ("", "")


def test_pages_keep_the_filter() -> None:
    query = {"user": ["mia"], "marker": ["one"]}
    page = audit_page(AuditList(entries=(), marker="two"), path="/audit", query=query)
    assert page.more == "/audit?user=mia&marker=two"
    assert page.newest == "/audit?user=mia"
    assert page.user == "mia"


def test_what_can_be_chosen_is_an_operation() -> None:
    assert set(OPERATIONS) <= KNOWN.keys()
