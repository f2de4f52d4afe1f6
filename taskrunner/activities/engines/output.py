"""What the output of Hadoop's programs says of the work: ids of applications, counters."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from taskrunner.activities.base import CommandResult, Context

_ID = re.compile(r"\b(?:application_[0-9]{5,}_[0-9]{3,}|job_(?:local)?[0-9]{5,}_[0-9]{3,})\b")
_SPARK_LOCAL = re.compile(r"Application Id: (local-[0-9]+)")
_COUNTERS = re.compile(r"\bCounters: [0-9]+\s*$")
_COUNTER = re.compile(r"\s+([A-Za-z_][^=\n]{0,60})=([0-9]+)\s*")
#: How Spark, Hive, Pig, Python and Java say what went wrong, the clearest first.
_CAUSES = (
    re.compile(r"^(\[[A-Z][A-Z_0-9.]+\] .+)$", re.MULTILINE),
    re.compile(r"^((?:FAILED|Error in query|ERROR [0-9]+|Error): .+)$", re.MULTILINE),
    re.compile(
        r"^(?:py4j\.protocol\.Py4JJavaError: .*\n: )?"
        r"((?:[\w$]+\.)*[\w$]*(?:Error|Exception)(?:: .+)?)$",
        re.MULTILINE,
    ),
    re.compile(r'^Exception in thread "[^"]*" (.+)$', re.MULTILINE),
    re.compile(r"^Caused by: (.+)$", re.MULTILINE),
)
_MOST_CAUSE = 600
#: Bytes of one log that are searched: its end.
_MOST = 1 << 20
_MOST_IDS = 20
_MOST_COUNTERS = 60


def ids_in(text: str) -> list[str]:
    """Ids of YARN's applications, MapReduce's jobs and Spark's local runs, each once."""
    found = [*_ID.findall(text), *_SPARK_LOCAL.findall(text)]
    return list(dict.fromkeys(found))[:_MOST_IDS]


def counters_in(text: str) -> dict[str, int]:
    """The counters of the last MapReduce job that printed them."""
    found: dict[str, int] = {}
    counting = False
    for line in text.splitlines():
        if _COUNTERS.search(line):
            found, counting = {}, True
        elif counting and (match := _COUNTER.fullmatch(line)):
            if len(found) < _MOST_COUNTERS:
                found[match[1].strip()] = int(match[2])
        elif counting and line.strip() and line.lstrip() == line:
            counting = False
    return found


def cause_in(text: str) -> str | None:
    """The line that says what went wrong; None where no program's way of saying it is known."""
    for pattern in _CAUSES:
        if found := pattern.findall(text):
            cause = str(found[-1]).strip()
            return cause if len(cause) <= _MOST_CAUSE else f"{cause[:_MOST_CAUSE]}..."
    return None


def run_and_read(
    ctx: Context,
    argv: Sequence[str],
    *,
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
    wrap: Callable[[Sequence[str]], Sequence[str]] | None = None,
) -> CommandResult:
    """Run one of Hadoop's programs; tell the log what its output says of it. Raises TaskError.

    `wrap` makes the command line that is run of the one that is told.
    """
    logs = (ctx.stdout_path, ctx.stderr_path)
    begins = [_size(path) for path in logs]
    ctx.log.info("Running %s", " ".join(argv))
    result = ctx.run_command(wrap(argv) if wrap else argv, env=env, cwd=cwd)
    text = "\n".join(_since(path, begin) for path, begin in zip(logs, begins, strict=True))
    for line in _findings(text):
        ctx.log.info("%s", line)
    ctx.log.info("Command exited with %d", result.exit_code)
    if result.exit_code != 0:
        # What Java and Spark print last is where they were, or how they cleaned up.
        cause = cause_in(text)
        raise (replace(result, stderr_tail=cause) if cause else result).error()
    return result


def _findings(text: str) -> Iterator[str]:
    if ids := ids_in(text):
        yield f"Applications and jobs: {', '.join(ids)}"
    if counters := counters_in(text):
        told = ", ".join(f"{name} {count}" for name, count in counters.items())
        yield f"Counters: {told}"


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _since(path: Path, begin: int) -> str:
    size = _size(path)
    if size < begin:
        begin = 0  # the log was begun anew
    if size == begin:
        return ""
    with path.open("rb") as file:
        file.seek(max(begin, size - _MOST))
        return file.read(_MOST).decode("utf-8", "replace")
