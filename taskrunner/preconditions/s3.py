"""How S3's preconditions look: in the name of their role, where it is one that can be assumed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from taskrunner.activities.base import Context, Precondition
from taskrunner.data.objects.base import ObjectStore
from taskrunner.data.settings import DataSettings
from taskrunner.errors import TaskError

#: What a name alone does not say is whose role it is: of AWS's own service, which asks there.
_ROLE_ARN = "arn:"
Open = Callable[[DataSettings], ObjectStore]


class S3Precondition(Precondition):
    """A precondition that asks S3."""

    def __init__(self, open_store: Open | None = None) -> None:
        self._open = open_store or _open_store

    def objects(self, ctx: Context) -> ObjectStore:
        """The objects as the precondition's role sees them, else as the agent does."""
        role = (ctx.task.main.get("role") or "").strip()
        if not role.startswith(_ROLE_ARN) or ctx.data.s3_root is not None:
            return ctx.objects
        return self._open(replace(ctx.data, role=role))

    def check(self, ctx: Context) -> bool:
        """Look, and tell which object it is that could not."""
        try:
            return self.look(ctx, self.objects(ctx))
        except TaskError as error:
            where = f"{ctx.task.main.type} {ctx.task.component_id!r}"
            if str(error).startswith(where):
                raise
            raise error.told(f"{where}: {error}") from error

    def look(self, ctx: Context, objects: ObjectStore) -> bool:
        """Whether what is looked for is there."""
        raise NotImplementedError


def _open_store(settings: DataSettings) -> ObjectStore:
    # Here because the S3 library is large.
    from taskrunner.data.objects.store import open_store

    return open_store(settings)
