"""The command line: a table of verbs, each loaded when named, and the one place of exit codes.

Without a verb the flags are the agent's own, as they were for AWS's Task Runner:
`taskrunner --worker-group prod`.
"""

from __future__ import annotations

import importlib
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

#: Verb -> (module that holds its click command as `command` or under the name after the colon,
#: one line for --help).
COMMANDS = {
    "agent": ("taskrunner.cli.agent", "Poll for tasks of a worker group and run them (default)."),
    "run": ("taskrunner.cli.run", "Run a definition here: service, agent and result in one."),
    "ui": ("taskrunner.cli.ui", "Show a run that is over in the console."),
    "copy": ("taskrunner.cli.copy", "Copy rows or files from one place to another."),
    "serve": ("taskrunner.cli.serve", "Serve AWS Data Pipeline's API."),
    "keys": (
        "taskrunner.cli.keys",
        "Make, list, revoke keys of a service's callers; rotate its store's.",
    ),
    "backup": ("taskrunner.cli.backup:backup", "Copy the service's store, while it goes on."),
    "restore": ("taskrunner.cli.backup:restore", "Put such a copy in the store's place."),
    "ps": ("taskrunner.cli.operators.runs:ps", "What runs and waits now, in a service."),
    "pipelines": (
        "taskrunner.cli.operators.pipelines:pipelines",
        "Pipelines of a service: list, show, put, activate, pause, stop, delete.",
    ),
    "runs": ("taskrunner.cli.operators.runs:runs", "The runs of a pipeline, and their instances."),
    "logs": (
        "taskrunner.cli.operators.logs:logs",
        "The log of an attempt, followed while it runs.",
    ),
    "rerun": ("taskrunner.cli.operators.changes:rerun", "Begin ended instances again."),
    "bulk": (
        "taskrunner.cli.operators.bulk:bulk",
        "Pause, resume, activate or rerun many pipelines at once.",
    ),
    "backfill": (
        "taskrunner.cli.operators.backfills:backfill",
        "Run periods that lie in the past.",
    ),
    "cancel": ("taskrunner.cli.operators.changes:cancel", "End instances that have not ended."),
    "agents": ("taskrunner.cli.operators.agents:agents", "Who asks a service for work."),
    "groups": (
        "taskrunner.cli.operators.agents:groups",
        "Worker groups: what waits in each, and who serves it.",
    ),
    "finish": ("taskrunner.cli.operators.changes:finish", "Take instances for finished."),
    "pull": ("taskrunner.cli.leaving.pull:pull", "Write an account's pipelines to files."),
    "assess": ("taskrunner.cli.leaving.assess", "Say which pulled pipelines run here."),
    "apply": ("taskrunner.cli.leaving.apply:apply", "Have a service hold what files say."),
    "diff": ("taskrunner.cli.leaving.diff:diff", "What differs between files and a service."),
    "login": ("taskrunner.cli.login", "Sign a browser in to a service's console."),
    "audit": ("taskrunner.cli.audit", "List who changed what in a service."),
    "alarms": ("taskrunner.cli.alarms", "List a service's alarms, and send dead ones again."),
    "config": ("taskrunner.cli.config", "Show the agent's settings and where they come from."),
    "why": ("taskrunner.cli.operators.why:why", "Say why a pipeline waits, and what mends it."),
    "status": ("taskrunner.cli.status", "Say what the agent of this host does."),
    "pause": ("taskrunner.cli.control:pause", "Have the agent take no more tasks."),
    "resume": ("taskrunner.cli.control:resume", "Have a paused agent take tasks again."),
    "drain": ("taskrunner.cli.control:drain", "Have the agent finish what runs, and end."),
    "doctor": ("taskrunner.cli.doctor", "Check what an agent needs, and say how to mend it."),
    "plugins": ("taskrunner.cli.plugins", "List what is installed to do work, and from where."),
    "validate": ("taskrunner.cli.validate", "Report everything that is wrong in a definition."),
    "explain": ("taskrunner.cli.explain", "Describe an object type or one of its fields."),
    "eval": ("taskrunner.cli.eval", "Print the value of an expression."),
    "schedule": ("taskrunner.cli.schedule", "Print the occurrences of a definition's schedules."),
    "graph": ("taskrunner.cli.graph", "Print a definition's dependency graph."),
    "install-service": ("taskrunner.cli.install_service", "Make this a systemd service."),
    "uninstall-service": ("taskrunner.cli.uninstall_service", "Take that service away again."),
}

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code (0 done, 1 failed, 2 wrong usage or settings)."""
    args = list(sys.argv[1:] if argv is None else argv)
    if sys.stdout is None:  # closed by who called us: `>&-`
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Ids are free text: one that the terminal's encoding lacks must not end a run.
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _dispatch(args)
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        code = EXIT_FAILED
    except OSError as error:
        # A full disk behind stdout, a working folder that is gone: said, not traced.
        where = f"{error.filename}: " if error.filename else ""
        _complain(f"{where}{error.strerror or error}")
        code = EXIT_FAILED
    return _delivered(code)


def _delivered(code: int) -> int:
    """The exit code once all output is written; what cannot be written is given up."""
    try:
        sys.stdout.flush()
    except OSError as error:
        # Otherwise Python would try once more at its end, and exit with a code of its own.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if code == EXIT_OK and not isinstance(error, BrokenPipeError):
            _complain(str(error.strerror))
        return code or EXIT_FAILED
    return code


def _dispatch(args: list[str]) -> int:
    if args == ["--version"]:
        from taskrunner import __version__

        print(f"taskrunner {__version__}")  # noqa: T201
        return EXIT_OK
    if not args or args[0] in {"--help", "-h", "help"}:
        _print_overview()
        return EXIT_OK if args else EXIT_USAGE
    name, rest = ("agent", args) if args[0].startswith("-") else (args[0], args[1:])
    if name not in COMMANDS:
        import difflib

        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        _complain(f"no command {name!r}{hint} See taskrunner --help.")
        return EXIT_USAGE
    return _run(name, rest)


def _run(name: str, args: list[str]) -> int:
    import click

    from taskrunner.errors import ConfigError, TaskrunnerError, UsageError

    module, _, attribute = COMMANDS[name][0].partition(":")
    command: click.Command = getattr(importlib.import_module(module), attribute or "command")
    prog = "taskrunner" if name == "agent" else f"taskrunner {name}"
    try:
        result = command.main(args, prog_name=prog, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.exceptions.Abort:
        return EXIT_INTERRUPTED
    except (UsageError, ConfigError) as error:
        _complain(str(error))
        return EXIT_USAGE
    except TaskrunnerError as error:
        _complain(str(error))
        return EXIT_FAILED
    return result if isinstance(result, int) else EXIT_OK


def _complain(message: str) -> None:
    print(f"taskrunner: {message}", file=sys.stderr)  # noqa: T201


def _print_overview() -> None:
    width = max(map(len, COMMANDS))
    lines = [
        "Usage: taskrunner COMMAND [OPTIONS]",
        "       taskrunner --worker-group NAME [OPTIONS]     the agent",
        "",
        "Commands:",
        *(f"  {name:<{width}}  {text}" for name, (_, text) in COMMANDS.items()),
        "",
        "taskrunner COMMAND --help tells the options of each; taskrunner --version the version.",
    ]
    print("\n".join(lines))  # noqa: T201
