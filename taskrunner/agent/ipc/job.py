"""A task as bytes, from the agent to the process that runs it; never written to disk."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskrunner.agent.ipc.names import AttemptFiles
from taskrunner.model.document import Field, PipelineObject, Ref
from taskrunner.model.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What one attempt's process is told."""

    task: Task
    files: AttemptFiles
    #: The hand-out's short name, which marks the environment of its commands.
    mark: str

    def encode(self) -> bytes:
        """The job as JSON."""
        objects = [
            {
                "id": item.id,
                "name": item.name,
                "fields": [
                    [f.key, f.value.id, True] if isinstance(f.value, Ref) else [f.key, f.value]
                    for f in item.fields
                ],
            }
            for item in self.task.objects.values()
        ]
        content = {
            "taskId": self.task.task_id,
            "pipelineId": self.task.pipeline_id,
            "attemptId": self.task.attempt_id,
            "objects": objects,
            "mark": self.mark,
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
        objects = {item["id"]: _object(item) for item in content["objects"]}
        task = Task(
            task_id=content["taskId"],
            pipeline_id=content["pipelineId"],
            attempt_id=content["attemptId"],
            objects=objects,
        )
        files = AttemptFiles(
            log_dir=Path(content["logDir"]),
            scratch=Path(content["scratch"]),
            log_uri=content["logUri"],
            user=content["user"],
        )
        return cls(task=task, files=files, mark=content["mark"])


def _object(item: dict[str, Any]) -> PipelineObject:
    fields = tuple(Field(key, Ref(value) if ref else value) for key, value, *ref in item["fields"])
    return PipelineObject(id=item["id"], name=item["name"], fields=fields)
