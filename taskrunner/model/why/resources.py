"""Why a resource is not up, or not down."""

from __future__ import annotations

from datetime import datetime, timedelta

from taskrunner.model.states import InstanceStatus
from taskrunner.model.why import remedies
from taskrunner.model.why.causes import Cause, Code
from taskrunner.model.why.facts import Known
from taskrunner.model.why.words import ago, ahead, quoted, span

#: How long a launched runner may take to ask for work where initTimeout does not say.
INIT_TIMEOUT = timedelta(minutes=30)


def starting_causes(known: Known, now: datetime) -> tuple[Cause, ...]:
    """The cause of a resource that is CREATING or ACTIVATING."""
    row = known.row
    if known.awaited is not None:
        return (_awaited(known, ruled=known.awaited),)
    if row.status is InstanceStatus.ACTIVATING:
        return (_starting(known, now),)
    if row.error_message:
        return (_not_launched(known),)
    cause = Cause(
        code=Code.RESOURCE_CREATING,
        object_id=row.instance_id,
        says=f"the resource {row.instance_id} is being launched",
        command=remedies.service_log(row.instance_id),
        where="on the service's host, if it stays so",
    )
    return (cause,)


def _awaited(known: Known, *, ruled: bool) -> Cause:
    row, group = known.row, known.row.worker_group or ""
    nobody = f"an agent of the worker group {group!r}, started by hand, is waited for"
    return Cause(
        code=Code.RESOURCE_AWAITED if ruled else Code.RESOURCE_NO_RULE,
        object_id=row.instance_id,
        says=f"the resource {row.instance_id} is not there: "
        f"{quoted(row.error_message) if row.error_message else nobody}",
        command=remedies.serve_group(group),
        where="on a host that is to do its work"
        + ("" if ruled else ", or start the service with a rule for it (--resources)"),
    )


def _not_launched(known: Known) -> Cause:
    row, tries = known.row, 1 + known.policy.maximum_retries
    count = f" ({row.failures} of {tries} tries have failed)" if row.failures else ""
    return Cause(
        code=Code.RESOURCE_LAUNCH_FAILED,
        object_id=row.instance_id,
        says=f"the resource {row.instance_id} could not be launched{count}: "
        f"{quoted(row.error_message)}",
        command=remedies.service_log(row.instance_id),
        where="on the service's host",
    )


def _starting(known: Known, now: datetime) -> Cause:
    row = known.row
    handle = row.resource_handle or "what was launched"
    since = f"{ago(row.actual_start, now)}" if row.actual_start else "a while ago"
    limit = known.policy.init_timeout or INIT_TIMEOUT
    until = f" until {ahead(row.actual_start + limit, now)}" if row.actual_start else ""
    trouble = f"; {quoted(row.error_message)}" if row.error_message else ""
    return Cause(
        code=Code.RESOURCE_STARTING,
        object_id=row.instance_id,
        says=f"the resource {row.instance_id} ({handle}) was launched {since} and its runner has "
        f"not asked for work yet; that is waited for{until}{trouble}",
        command=_look_at(row.type, handle),
    )


def _look_at(type_name: str, handle: str) -> str:
    named = handle.rpartition(":")[2].rpartition("/")[2]
    if type_name == "EmrCluster" and named.startswith("j-"):
        return f"aws emr describe-cluster --cluster-id {named}"
    if named.startswith("i-"):
        return f"aws ec2 get-console-output --latest --output text --instance-id {named}"
    return remedies.service_log(handle)


def shutting_down(known: Known, now: datetime) -> Cause:
    """The cause of a resource that is on its way out."""
    row = known.row
    why = f" ({quoted(row.error_message)})" if row.error_message else ""
    return Cause(
        code=Code.SHUTTING_DOWN,
        object_id=row.instance_id,
        says=f"the resource {row.instance_id} is being ended{why}",
        command=remedies.service_log(row.resource_handle or row.instance_id),
        where="on the service's host, if it stays so",
    )


def ends_after(known: Known, now: datetime) -> str:
    """Until when a resource that is up may stay."""
    after, begun = known.policy.terminate_after, known.row.actual_start
    if after is None or begun is None:
        return ""
    return f"; terminateAfter ({span(after)}) ends it at {ahead(begun + after, now)}"
