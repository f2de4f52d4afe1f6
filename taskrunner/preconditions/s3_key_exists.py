"""S3KeyExists: whether an object is there."""

from __future__ import annotations

from taskrunner.activities.base import Context, Precondition
from taskrunner.preconditions.s3_role import Open, objects_of


class S3KeyExists(Precondition):
    """True once there is an object at `s3Key`."""

    type = "S3KeyExists"

    def __init__(self, open_as: Open | None = None) -> None:
        self._open_as = open_as

    def check(self, ctx: Context) -> bool:
        """Look for the object."""
        return objects_of(ctx, self._open_as).stat(ctx.task.main.required("s3Key")) is not None
