"""Which environment variables a task's commands see: a clean set, and what the operator adds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import translate
from pathlib import Path

from taskrunner.agent.ipc.names import MARK
from taskrunner.host.users import User

#: AWS's libraries and tools then leave the instance's metadata, and so its role, alone.
METADATA_DISABLED = "AWS_EC2_METADATA_DISABLED"

_NOTHING = re.compile(r"(?!)")


def _any_of(patterns: Sequence[str]) -> re.Pattern[str]:
    """A regular expression that matches whole names by any of these shell patterns, or nothing."""
    return re.compile("|".join(map(translate, patterns))) if patterns else _NOTHING


# Compiled where they are loaded, in the fork server, and not by each attempt.
_KEPT = _any_of(("PATH", "LANG", "LC_*", "TZ"))
#: Variables of these names hold secrets; AWS_ACCESS_KEY_ID and the like do not.
_SECRET = _any_of(
    ("*SECRET*", "*PASSWORD*", "*PASSWD*", "*TOKEN*", "*_KEY", "*_PWD", "*CREDENTIAL*")
)
#: Where the agent has none: started by cron, systemd or `env -i` it has little or nothing.
_DEFAULTS = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
}
#: What the accounts of services have for a shell, which starts no program.
_NO_SHELLS = {"nologin", "false"}


def command_environment(
    environ: Mapping[str, str],
    *,
    passed: Sequence[str],
    home: Path,
    mark: str,
    own: User,
    run_as: User | None = None,
) -> dict[str, str]:
    """The environment of a command; the agent's own credentials are not in it unless passed.

    Nor are those that programs look for at home: the attempt has a home of its own. Who the command
    is follows from its user (`run_as`, else the agent's `own`), and not from who started the agent.
    """
    added = _any_of(passed)
    kept = {name: value for name, value in environ.items() if value and _KEPT.match(name)}
    user = run_as or own
    person = {"HOME": str(home), "USER": user.name, "LOGNAME": user.name, "SHELL": _shell_of(user)}
    always = {**_DEFAULTS, **person}
    given = {
        name: value
        for name, value in environ.items()
        if added.match(name) and (value or name not in always)
    }
    # What is passed on of the agent's own person is not true of another user.
    together = {**person, **given} if run_as is None else {**given, **person}
    return {**_DEFAULTS, **kept, **together, "TMPDIR": str(home), MARK: mark}


def _shell_of(user: User) -> str:
    return "/bin/sh" if Path(user.shell).name in _NO_SHELLS else user.shell


def passed_secrets(environ: Mapping[str, str], passed: Sequence[str]) -> Iterator[str]:
    """Values of passed variables that look like secrets, to be masked in the logs."""
    added = _any_of(passed)
    for name, value in environ.items():
        if added.match(name) and _SECRET.match(name.upper()):
            yield value
