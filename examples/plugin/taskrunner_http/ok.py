"""HttpOkPrecondition: whether a URL has something."""

from __future__ import annotations

from taskrunner.activities.base import (
    Context,
    ErrorId,
    FieldGroup,
    FieldSpec,
    PermanentTaskError,
    Precondition,
)
from taskrunner_http.client import get

__all__ = ["HttpOkPrecondition"]


class HttpOkPrecondition(Precondition):
    """True once `url` is answered with success; a server that does not know it yet says no."""

    type = "HttpOkPrecondition"
    api_version = 1
    fields = (
        FieldSpec(name="url", group=FieldGroup.REQUIRED, note="What to ask for."),
        FieldSpec(name="bearerToken", encrypted=True, note="As *bearerToken: who we are."),
    )

    def check(self, ctx: Context) -> bool:
        """Ask once: the service has it asked again until preconditionTimeout."""
        try:
            with get(ctx.task.main) as reply:
                ctx.log.info("Answered %d", reply.status)
        except PermanentTaskError as error:
            if error.error_id != ErrorId.NOT_FOUND:
                raise
            ctx.log.info("Not yet: %s", error)
            return False
        return True
