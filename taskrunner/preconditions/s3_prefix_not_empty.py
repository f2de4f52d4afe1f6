"""S3PrefixNotEmpty: whether any object's key starts so."""

from __future__ import annotations

from taskrunner.activities.base import Context, Precondition


class S3PrefixNotEmpty(Precondition):
    """True once an object's URI starts with `s3Prefix`."""

    type = "S3PrefixNotEmpty"

    def check(self, ctx: Context) -> bool:
        """Look for the first object."""
        found = ctx.objects.list(ctx.task.main.required("s3Prefix"))
        return next(found, None) is not None
