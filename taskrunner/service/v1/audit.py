"""Who did what: every change of the account's pipelines that somebody asked for.

What is done to access keys on the service's host is told there alone (`taskrunner audit`).
"""

from __future__ import annotations

from datetime import datetime

from taskrunner.errors import InvalidRequest
from taskrunner.service.callers import Caller
from taskrunner.service.engine import Service
from taskrunner.service.store import audit
from taskrunner.service.store.audit import AuditRow
from taskrunner.service.v1.audit_shapes import AuditEntry, AuditList
from taskrunner.service.v1.requests import ListAudit
from taskrunner.service.v1.scope import check_scope, from_marker, to_marker
from taskrunner.wire.operations import OPERATIONS


def list_audit(service: Service, caller: Caller, request: ListAudit) -> AuditList:
    """A page of changes, newest first."""
    unknown = [name for name in request.operation if name not in OPERATIONS]
    if unknown:
        raise InvalidRequest(
            f"operation: wanted one of AWS's API, such as SetStatus, found {unknown[0]!r}"
        )
    check_scope(service, caller, request.pipeline_id)
    before = from_marker(request.marker, datetime, str) if request.marker else None
    with service.store.read() as conn:
        rows = audit.find(
            conn,
            limit=request.limit + 1,
            account=caller.account,
            subject=request.pipeline_id,
            user=request.user,
            operations=request.operation or tuple(OPERATIONS),
            since=request.since,
            before=(before[0], before[1]) if before else None,
        )
    page = rows[: request.limit]
    more = len(rows) > len(page)
    return AuditList(
        entries=tuple(map(_entry, page)),
        marker=to_marker(page[-1].at, page[-1].entry_id) if more else None,
    )


def _entry(row: AuditRow) -> AuditEntry:
    return AuditEntry(
        id=row.entry_id,
        at=row.at,
        user=row.user_id,
        operation=row.operation,
        subject=row.subject,
        key_id=row.key_id,
        address=row.address or None,
        objects=row.objects,
        before=row.before,
        after=row.after,
    )
