"""A copy from the shell as the attempt of a CopyActivity, which knows no difference."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from taskrunner.activities.base import CommandResult
from taskrunner.cli.copy_places import End
from taskrunner.cli.copy_progress import Shown
from taskrunner.data.files import WorkFiles
from taskrunner.data.objects.base import ObjectStore
from taskrunner.data.settings import DataSettings
from taskrunner.model.document import Field, PipelineObject, Ref, Value
from taskrunner.model.task import Task, with_secrets_marked

_NAME = "copy"


def task_of(source: End, target: End, fields: Mapping[str, str]) -> Task:
    """The attempt that copies from one end to the other."""
    attempt = f"@{_NAME}_Attempt=1"
    pairs: dict[str, Value] = {"type": "CopyActivity", **fields}
    pairs |= {"input": Ref(source.node.id), "output": Ref(target.node.id)}
    pairs |= {"@componentParent": Ref(_NAME), "@instanceParent": Ref(_NAME)}
    values = tuple(Field(key, value) for key, value in pairs.items())
    main = PipelineObject(id=attempt, name=_NAME, fields=values)
    objects = (main, *source.objects, *target.objects)
    marked = with_secrets_marked({item.id: item for item in objects})
    return Task(task_id="", pipeline_id="", attempt_id=attempt, objects=marked)


class CopyContext:
    """What CopyActivity is given: the task, where objects and databases are, and who watches."""

    def __init__(
        self,
        task: Task,
        *,
        objects: ObjectStore,
        data: DataSettings,
        shown: Shown,
        folder: Path,
    ) -> None:
        self.task, self.objects, self.data = task, objects, data
        self.log = logging.getLogger("taskrunner.copy")
        self.work_dir = folder
        self.files = WorkFiles(folder)
        self.stdout_path, self.stderr_path = folder / "StdOutput", folder / "StdError"
        self._shown = shown
        #: The last numbers that were told.
        self.moved: dict[str, str | int] = {}

    def progress(self, **fields: str | int) -> None:
        """Show it."""
        self.moved.update(fields)
        self._shown.progress(**fields)

    def check_canceled(self) -> None:
        """Ctrl-C comes as an exception, wherever the copy is."""

    def run_command(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> CommandResult:
        """A copy runs none."""
        self._nothing()

    def copy_output(self, path: Path, uri: str) -> None:
        """Nor has it the output of one."""
        self._nothing()

    def _nothing(self) -> NoReturn:
        raise NotImplementedError("a copy from the shell runs no commands")
