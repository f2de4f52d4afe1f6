"""S3 as a precondition's role sees it, where that is one that can be assumed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from taskrunner.activities.base import Context
from taskrunner.data.objects.base import ObjectStore
from taskrunner.data.settings import DataSettings

Open = Callable[[DataSettings], ObjectStore]


def objects_of(ctx: Context, open_as: Open | None) -> ObjectStore:
    """The objects as the role of the task's `role` sees them; of a name alone, as the agent does.

    A name does not say whose role it is: on AWS, where the service asks, it is the account's own.
    """
    role = (ctx.task.main.get("role") or "").strip()
    if not role.startswith("arn:") or ctx.data.s3_root is not None:
        return ctx.objects
    return (open_as or _open)(replace(ctx.data, role=role))


def _open(settings: DataSettings) -> ObjectStore:
    # Here because the S3 library is large.
    from taskrunner.data.objects.store import open_store

    return open_store(settings)
