"""Which engine the service has placed a resource on: it stands in the resource's @resourceId.

`emr:REGION:CLUSTER`, `emr-serverless:REGION:APPLICATIONS:ROLE` and `spark:MASTER`, and after them
who uses it: `#GROUP`, or `@process:NUMBER`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from taskrunner.activities.base import Context
from taskrunner.activities.engines.base import Engine
from taskrunner.model.task import Task

_FORM = re.compile(r"(emr|emr-serverless|spark):([^#]+?)(?:@process:\d+|#.*)?", re.DOTALL)


def resource_id(task: Task) -> str | None:
    """The @resourceId of the resource that a task runs on."""
    ref = task.main.object.ref("runsOn")
    resource = task.objects.get(ref.id) if ref is not None else None
    return resource.string("@resourceId") if resource is not None else None


def placed_engine(ctx: Context) -> Engine | None:
    """The engine that the service means; None: the agent's settings say which."""
    found = _FORM.fullmatch(resource_id(ctx.task) or "")
    return _MAKERS[found[1]](ctx, found[2]) if found is not None else None


def _emr(ctx: Context, rest: str) -> Engine:
    from taskrunner.activities.engines.emr import EmrEngine

    region, _, cluster = rest.partition(":")
    return EmrEngine(ctx, cluster=cluster, region=region, is_made=True)


def _serverless(ctx: Context, rest: str) -> Engine:
    from taskrunner.activities.engines.serverless import ServerlessEngine

    region, applications, role = rest.split(":", 2)
    return ServerlessEngine(ctx, region=region, applications=applications.split(","), role=role)


def _spark(ctx: Context, rest: str) -> Engine:
    from taskrunner.activities.engines.spark import SparkEngine

    return SparkEngine(ctx, master=rest)


_MAKERS: Mapping[str, Callable[[Context, str], Engine]] = {
    "emr": _emr,
    "emr-serverless": _serverless,
    "spark": _spark,
}
