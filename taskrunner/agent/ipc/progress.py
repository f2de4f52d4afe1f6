"""What an attempt's process says of its progress, as the agent reads it."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from taskrunner.agent.ipc.names import AttemptFiles
from taskrunner.agent.ipc.untrusted import read_object

#: What is still of use when the attempt is over: where its logs are, and what a copy has to show.
LASTING = (
    *("emrStepLog", "hadoopJobLog"),
    *("sourceRows", "targetRows", "sourceChecksum", "targetChecksum"),
)
_MOST_FIELDS = 20


def progress_of(files: AttemptFiles) -> dict[str, str]:
    """What an attempt is doing: what its process says, and how much its commands have written."""
    fields = read_progress(files.progress)
    if output := files.size_of("StdOutput") + files.size_of("StdError"):
        fields["outputBytes"] = str(output)
    summary = ", ".join(f"{key} {value}" for key, value in fields.items())
    return {**fields, "attemptStatus": summary} if fields else {}


def read_progress(path: Path) -> dict[str, str]:
    """What the attempt's process says of its progress."""
    told = islice(read_object(path).items(), _MOST_FIELDS)
    return {key: str(value) for key, value in told if isinstance(value, str | int | float)}
