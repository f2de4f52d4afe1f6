"""S3PrefixNotEmpty: whether any object's key starts so."""

from __future__ import annotations

from taskrunner.activities.base import Context, Precondition
from taskrunner.preconditions.s3_role import Open, objects_of


class S3PrefixNotEmpty(Precondition):
    """True once an object's URI starts with `s3Prefix`."""

    type = "S3PrefixNotEmpty"

    def __init__(self, open_as: Open | None = None) -> None:
        self._open_as = open_as

    def check(self, ctx: Context) -> bool:
        """Look for the first object."""
        found = objects_of(ctx, self._open_as).list(ctx.task.main.required("s3Prefix"))
        return next(found, None) is not None
