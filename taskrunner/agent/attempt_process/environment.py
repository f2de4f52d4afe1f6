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
    """What fits one of some shell patterns, whole; without any, nothing does."""
    return re.compile("|".join(map(translate, patterns))) if patterns else _NOTHING


# Compiled where they are loaded, in the fork server, and not by each attempt.
_KEPT = _any_of(("PATH", "USER", "LOGNAME", "SHELL", "LANG", "LC_*", "TZ"))
#: Variables of these names hold secrets; AWS_ACCESS_KEY_ID and the like do not.
_SECRET = _any_of(
    ("*SECRET*", "*PASSWORD*", "*PASSWD*", "*TOKEN*", "*_KEY", "*_PWD", "*CREDENTIAL*")
)
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def command_environment(
    environ: Mapping[str, str],
    *,
    passed: Sequence[str],
    home: Path,
    mark: str,
    user: User | None = None,
) -> dict[str, str]:
    """The environment of a command; the agent's own credentials are not in it unless passed.

    Nor are those that programs look for at home: the attempt has a home of its own.
    """
    added = _any_of(passed)
    kept = {
        name: value for name, value in environ.items() if _KEPT.match(name) or added.match(name)
    }
    kept.setdefault("PATH", _DEFAULT_PATH)
    kept.setdefault("HOME", str(home))
    if user is not None:
        kept |= {"HOME": str(home), "USER": user.name, "LOGNAME": user.name, "SHELL": user.shell}
    return {**kept, "TMPDIR": str(home), MARK: mark}


def passed_secrets(environ: Mapping[str, str], passed: Sequence[str]) -> Iterator[str]:
    """What of the agent's environment commands see that had better not be in their logs."""
    added = _any_of(passed)
    for name, value in environ.items():
        if added.match(name) and _SECRET.match(name.upper()):
            yield value
