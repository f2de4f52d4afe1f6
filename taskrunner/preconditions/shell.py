"""ShellCommandPrecondition: a command answers whether something is so.

Exit code 0 is yes. Any other is no: the check is made again until preconditionTimeout. A command
that gave no answer, because it could not be run (126, 127) or was killed, is a failed attempt.
"""

from __future__ import annotations

from typing import ClassVar

from taskrunner.activities.base import Context, Precondition
from taskrunner.activities.shell import run_shell

_NOT_RUN = frozenset({126, 127})


class ShellCommandPrecondition(Precondition):
    """Runs `command` or the script at `scriptUri`."""

    type: ClassVar[str] = "ShellCommandPrecondition"

    def check(self, ctx: Context) -> bool:
        """Whether it exits with 0; raises TaskError when it gave no answer."""
        result = run_shell(ctx)
        if result.signal is not None or result.exit_code in _NOT_RUN:
            raise result.error()
        return result.exit_code == 0
