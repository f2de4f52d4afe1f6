"""Where the files of an attempt are: AWS Task Runner's tree, made safe for any id.

Ids come from the service and are not trusted: whatever could leave the tree is encoded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from taskrunner.errors import TaskError
from taskrunner.model.log_names import (
    LOG_NAMES,
    digest_of,
    folder_of,
    part_name,
    safe_name,
    whole_name,
)
from taskrunner.model.task import Task
from taskrunner.secret import Secret, told

#: Names the hand-out in the environment of everything that it runs, to find what outlived it.
MARK = "TASKRUNNER_ATTEMPT"


def token_of(task_id: str) -> str:
    """A short name for a hand-out that is safe in paths: taskIds are long and opaque."""
    return digest_of(task_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFiles:
    """The folders of one hand-out."""

    #: Activity.log, StdOutput and StdError; stays after the attempt.
    log_dir: Path
    #: Result, progress and the task's own work folder; removed after the attempt.
    scratch: Path
    #: Folder that the logs are pushed to; None: they stay here.
    log_uri: str | None
    #: The user that the task's commands run as; None: the agent's own.
    user: str | None = None
    #: Whose rights its logs are pushed with, where the task says where to; None: the agent's.
    logs_as: str | None = None

    @classmethod
    def of(
        cls,
        task: Task,
        *,
        output: Path,
        default_log_uri: str | None,
        takes_logs_at: Callable[[str], bool] = lambda _uri: True,
        user: str | None = None,
    ) -> AttemptFiles:
        """The places of a task's files under the agent's output folder.

        Logs stay there when the task asks for a place that `takes_logs_at` refuses.
        """
        ids, base, logs_as = [task.pipeline_id], default_log_uri, None
        # Without its own object the task is wrong, which is found, and logged, when it runs.
        if task.attempt_id in task.objects:
            ids += [task.component_id, task.instance_id]
            wanted = task.main.get("pipelineLogUri")
            if wanted:
                base, logs_as = wanted if takes_logs_at(wanted) else None, user
        ids.append(task.attempt_id)
        parts = [safe_name(part) for part in ids]
        return cls(
            log_dir=output.joinpath("logs", *parts),
            scratch=output / "tmp" / f"{parts[0]}-{token_of(task.task_id)}",
            log_uri=told(folder_of(base, *ids), base) if base else None,
            user=user,
            logs_as=logs_as,
        )

    @property
    def work_dir(self) -> Path:
        """The folder of the task's plugin."""
        return self.scratch / "work"

    @property
    def command_dir(self) -> Path:
        """The folder of the task's commands: the same, unless they run as another user."""
        return self.work_dir if self.user is None else self.scratch / "commands"

    @property
    def instance_uri(self) -> str | None:
        """The folder that holds the logs of all attempts of the instance, if they are pushed."""
        return self.log_uri.rpartition("/")[0] if self.log_uri else None

    @property
    def result(self) -> Path:
        """Where the attempt's process leaves its verdict."""
        return self.scratch / "result.json"

    @property
    def progress(self) -> Path:
        """Where the attempt's process says how far it is."""
        return self.scratch / "progress.json"

    def size_of(self, name: str) -> int:
        """How long a log is; 0 where there is none."""
        path = self.log_dir / name
        return path.stat().st_size if path.is_file() else 0

    def part_uri(self, name: str, start: int, end: int) -> str:
        """The object of a range of a log."""
        return f"{self.log_uri}/{part_name(name, start, end)}"

    def why_not_pushed(self, error: TaskError) -> str:
        """What is said of logs that could not be pushed; not where to, if that is secret."""
        if not isinstance(self.log_uri, Secret):
            return str(error)
        return f"the logs could not be pushed ({error.error_id}); pipelineLogUri is secret"

    def uploads(self) -> list[tuple[Path, str]]:
        """Each log that is not empty, with the object it becomes; none without a log URI."""
        if self.log_uri is None:
            return []
        return [
            (self.log_dir / name, f"{self.log_uri}/{whole_name(name)}")
            for name in LOG_NAMES
            if self.size_of(name) > 0
        ]
