"""Who did what: the lines of the audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from taskrunner.console.views import addresses
from taskrunner.service.v1.audit_shapes import AuditEntry, AuditList

#: What can be asked for, in the order of how often people ask.
OPERATIONS = (
    "SetStatus",
    "ActivatePipeline",
    "DeactivatePipeline",
    "PutPipelineDefinition",
    "CreatePipeline",
    "DeletePipeline",
    "AddTags",
    "RemoveTags",
)
_PIPELINE_ID = "df-"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLine:
    """A change."""

    at: datetime
    user: str
    #: The access key and where the request came from: `AK1 from 10.0.0.5`.
    source: str
    operation: str
    subject: str
    #: The subject's own audit, where it is a pipeline; nothing: it is none.
    subject_address: str
    objects: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPage:
    """The page."""

    lines: Sequence[AuditLine]
    user: str
    operation: str
    #: The address of what is older, or nothing.
    more: str
    #: The address of the newest, if this is not that page.
    newest: str


def audit_page(found: AuditList, *, path: str, query: Mapping[str, Sequence[str]]) -> AuditPage:
    """The page of an answer."""
    return AuditPage(
        lines=[_line(entry) for entry in found.entries],
        user=(query.get("user") or [""])[0],
        operation=(query.get("operation") or [""])[0],
        more=addresses.with_query(path, query, marker=found.marker) if found.marker else "",
        newest=addresses.with_query(path, query, marker=None) if query.get("marker") else "",
    )


def _line(entry: AuditEntry) -> AuditLine:
    is_pipeline = entry.subject.startswith(_PIPELINE_ID)
    places = [entry.key_id or "", f"from {entry.address}" if entry.address else ""]
    return AuditLine(
        at=entry.at,
        user=entry.user,
        source=" ".join(filter(None, places)),
        operation=entry.operation,
        subject=entry.subject,
        subject_address=addresses.pipeline(entry.subject, "audit") if is_pipeline else "",
        objects=entry.objects or "",
        before=entry.before or "",
        after=entry.after or "",
    )
