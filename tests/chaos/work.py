"""The work of a storm: tasks that leave traces on disk and an output, and who looks at both."""

from __future__ import annotations

import hashlib
import random
import re
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import boto3
from botocore.config import Config

from taskrunner.agent.ipc.names import MARK
from taskrunner.clock import SystemClock

if TYPE_CHECKING:
    from mypy_boto3_datapipeline.type_defs import FieldTypeDef, PipelineObjectTypeDef

__all__ = [
    "Effect",
    "FolderOutputs",
    "Outputs",
    "S3Outputs",
    "Watcher",
    "definition",
    "effects",
    "output_key",
    "token_of",
]

GROUP = "storm"
BUCKET = "storm-outputs"
_LINES = 4000
#: How many outputs are read in one look, and how long the reader pauses then.
_LOOKS = 40
_PAUSE_S = 0.02
_LINE = re.compile(r"([SD]) (\w{32}) (\d+\.\d+)")

#: `say` has each line on the disk before the next step, as an effect outside would be.
_COMMAND = """
set -e
say() {{ echo "$1 ${mark} $EPOCHREALTIME" >> {effects}; sync -d {effects}; }}
say S
sleep {seconds}
{{ echo "${mark}"; seq {lines}; echo "end ${mark}"; }} > "$OUTPUT1_STAGING_DIR/output"
say D
"""


def definition(
    count: int, seconds: str, effects_file: Path, tag: str
) -> list[PipelineObjectTypeDef]:
    """A pipeline of `count` tasks: the periods of a schedule that has long begun."""
    # The hand-out's token; behind it stands the work folder's.
    mark = f"{{{MARK}%-*}}"
    command = _COMMAND.format(mark=mark, effects=effects_file, seconds=seconds, lines=_LINES)
    output = f"s3://{BUCKET}/{tag}-#{{format(@scheduledStartTime,'YYYYMMddHHmm')}}"
    objects = {
        "Default": {
            "scheduleType": "timeseries",
            "workerGroup": GROUP,
            # Killing a runner costs a task nothing ten times; a storm may do it more often.
            "maximumRetries": "1000",
            "retryDelay": "1 second",
            # As many at once as there are runners, not as few as AWS would let run.
            "maxActiveInstances": str(count),
        },
        "Period": {
            "type": "Schedule",
            "startDateTime": "2024-01-01T00:00:00",
            "period": "15 minutes",
            "occurrences": str(count),
        },
        "Work": {
            "type": "ShellCommandActivity",
            "command": command,
            "stage": "true",
        },
        "Out": {"type": "S3DataNode", "filePath": output},
    }
    references = {
        "Default": {"schedule": "Period"},
        "Work": {"output": "Out"},
    }
    made: list[PipelineObjectTypeDef] = []
    for id_, values in objects.items():
        fields: list[FieldTypeDef] = [
            {"key": key, "stringValue": value} for key, value in values.items()
        ]
        for key, value in references.get(id_, {}).items():
            fields.append({"key": key, "refValue": value})
        made.append({"id": id_, "name": id_, "fields": fields})
    return made


def output_key(tag: str, instance_id: str) -> str:
    """The key of the output of an instance `@Work_2024-01-01T00:15:00`."""
    moment = instance_id.rpartition("_")[2]
    return f"{tag}-{re.sub('[^0-9]', '', moment)[:12]}"


def token_of(task_id: str) -> str:
    """What a hand-out is called in the environment of its commands."""
    return hashlib.sha256(task_id.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """A line of the effects file: a hand-out's command has begun (S) or done its work (D)."""

    kind: str
    token: str
    at: float


def effects(path: Path) -> list[Effect]:
    """The effects file in its order; raises ValueError for a line that no task writes."""
    found = []
    for line in path.read_text().splitlines() if path.exists() else ():
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"not an effect: {line!r}")
        found.append(Effect(kind=match[1], token=match[2], at=float(match[3])))
    return found


def whole_output(mark: str) -> bytes:
    """What a task's command writes as its output."""
    lines = [mark, *map(str, range(1, _LINES + 1)), f"end {mark}", ""]
    return "\n".join(lines).encode()


def is_whole(content: bytes) -> bool:
    """Whether an output is all that a task writes."""
    lines = content.decode().split("\n")
    return len(lines) == _LINES + 3 and lines[-2] == f"end {lines[0]}" and lines[-1] == ""


class Outputs(Protocol):
    """Where outputs are, as a reader sees them."""

    def names(self) -> list[str]:
        """The keys that there are."""
        ...

    def read(self, name: str) -> bytes | None:
        """What is under a key; None when nothing is any more."""
        ...


class FolderOutputs:
    """A bucket under `--s3-root`."""

    def __init__(self, root: Path) -> None:
        self._bucket = root / BUCKET

    def names(self) -> list[str]:
        found = self._bucket.iterdir() if self._bucket.exists() else ()
        # Where a file system knows no nameless files, a file on its way has a hidden name.
        return sorted(entry.name for entry in found if not entry.name.startswith("."))

    def read(self, name: str) -> bytes | None:
        with suppress(FileNotFoundError):
            return (self._bucket / name).read_bytes()
        return None


class S3Outputs:
    """A bucket of an S3 service, made here."""

    def __init__(self, endpoint: str) -> None:
        config = Config(retries={"max_attempts": 5})
        self._client = boto3.client("s3", endpoint_url=endpoint, config=config)
        self._client.create_bucket(Bucket=BUCKET)

    def names(self) -> list[str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        return [item["Key"] for page in pages for item in page.get("Contents", ())]

    def read(self, name: str) -> bytes | None:
        return self._client.get_object(Bucket=BUCKET, Key=name)["Body"].read()


class Watcher:
    """Reads outputs all the time: each must be absent or whole, whatever happens."""

    def __init__(self, outputs: Outputs, chance: random.Random) -> None:
        self.outputs = outputs
        self.looks = 0
        #: Outputs that were seen half-written, with the bytes that there were.
        self.torn: dict[str, int] = {}
        self._chance = chance
        self._end = threading.Event()
        self._clock = SystemClock()
        self._thread = threading.Thread(target=self._loop, name="watcher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._end.set()
        self._thread.join()

    def look(self) -> None:
        """One look at some outputs."""
        names = self.outputs.names()
        for name in self._chance.sample(names, min(_LOOKS, len(names))):
            content = self.outputs.read(name)
            if content is not None:
                self.looks += 1
                if not is_whole(content):
                    self.torn[name] = len(content)

    def _loop(self) -> None:
        while not self._clock.wait(self._end, _PAUSE_S):
            self.look()
