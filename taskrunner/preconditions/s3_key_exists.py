"""S3KeyExists: whether an object is there."""

from __future__ import annotations

from taskrunner.activities.base import Context, Precondition


class S3KeyExists(Precondition):
    """True once there is an object at `s3Key`."""

    type = "S3KeyExists"

    def check(self, ctx: Context) -> bool:
        """Look for the object."""
        return ctx.objects.stat(ctx.task.main.required("s3Key")) is not None
