"""A task as bytes, from the agent to the process that runs it; never written to disk."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from taskrunner.agent.ipc.names import AttemptFiles
from taskrunner.data.claims import handout_of
from taskrunner.model.codec import TASK
from taskrunner.model.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What one attempt's process is told."""

    task: Task
    files: AttemptFiles
    #: The hand-out's short name, which marks the environment of its commands.
    mark: str
    #: What the hand-out is called in the data that it leaves; None: nobody has asked yet.
    handout: str | None = None

    def encode(self) -> bytes:
        """The job as JSON."""
        content = {
            "task": TASK.encode(self.task),
            "mark": self.mark,
            # Made here: the agent has OpenSSL loaded, which each attempt would have to load.
            "handout": self.handout or handout_of(self.task),
            "logDir": str(self.files.log_dir),
            "scratch": str(self.files.scratch),
            "logUri": self.files.log_uri,
            "user": self.files.user,
        }
        return json.dumps(content).encode()

    @classmethod
    def decode(cls, data: bytes) -> Job:
        """The inverse of `encode`."""
        content = json.loads(data)
        files = AttemptFiles(
            log_dir=Path(content["logDir"]),
            scratch=Path(content["scratch"]),
            log_uri=content["logUri"],
            user=content["user"],
        )
        return cls(
            task=TASK.decode(content["task"]),
            files=files,
            mark=content["mark"],
            handout=content["handout"],
        )
