"""Commands that pages show, as they are to be given in a shell that knows nothing of the service.

The service does not know by which address it is reached; the visitor's browser does.
"""

from __future__ import annotations

import shlex

#: What stands behind `taskrunner` in commands that ask a service; `--worker-group` is the agent.
_ASK = {"--worker-group", "agents", "backfill", "cancel", "doctor", "finish", "logs"} | {
    *("pipelines", "rerun", "runs", "why")
}


def for_shell(command: str, endpoint: str) -> str:
    """The command with the service's address, where it takes one.

    Without an address no shell reaches the service: of what would ask it, nothing is left.
    """
    option = _option(command)
    if not option:
        return command
    return f"{command} {option} {shlex.quote(endpoint)}" if endpoint else ""


def _option(command: str) -> str:
    """By what a command is told the service's address; nothing for one that asks no service."""
    program, _, rest = command.partition(" ")
    verb = rest.partition(" ")[0]
    if program == "aws":
        return "--endpoint-url" if verb == "datapipeline" else ""
    return "--endpoint" if program == "taskrunner" and verb in _ASK else ""
