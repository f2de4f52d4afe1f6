r"""Run an activity or a precondition by itself: no agent, no service, no child process.

with ActivityEnvironment() as environment:
    environment.put("s3://bucket/in.csv", b"1\n2\n3\n")
    source = new_object("Source", "S3DataNode", {"filePath": "s3://bucket/in.csv"})
    environment.run(MyActivity(), new_task("MyActivity", {"input": Ref("Source")}, source))
    assert environment.progress_reports[-1] == {"rows": 3}

`s3://` is a folder of its own unless you say otherwise: nothing reaches AWS. Local files are only
those of its own folder, and of others if you say so:
`DataSettings(local=LocalFiles(folders=(tmp_path,)))`. What the agent does around a
plugin is not done here: logs and progress are as they were given, with secrets in them.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

from taskrunner.activities.base import Activity, CommandResult, Precondition
from taskrunner.activities.commands import copy_output, run_to_end
from taskrunner.agent.attempt_process.environment import command_environment
from taskrunner.data.claims import claim_of
from taskrunner.data.files import WorkFiles
from taskrunner.data.objects.base import ObjectStore
from taskrunner.data.objects.store import open_store
from taskrunner.data.settings import DataSettings
from taskrunner.errors import Canceled
from taskrunner.host.process import Command
from taskrunner.host.users import User
from taskrunner.model.document import Field, PipelineObject, Ref, Value
from taskrunner.model.task import Task

Values = Mapping[str, Value | Sequence[Value]]


def new_object(object_id: str, object_type: str, fields: Values | None = None) -> PipelineObject:
    """An object as the service would send it, its expressions evaluated."""
    pairs: list[Field] = [Field("type", object_type)]
    for key, value in (fields or {}).items():
        values = [value] if isinstance(value, str | Ref) else value
        pairs += [Field(key, item) for item in values]
    return PipelineObject(id=object_id, name=object_id, fields=tuple(pairs))


def new_task(
    object_type: str,
    fields: Values | None = None,
    *others: PipelineObject,
    component_id: str = "Activity",
    start: str = "2026-01-01T00:00:00",
    attempt: int = 1,
) -> Task:
    """An attempt of an instance, with the objects that it refers to."""
    instance_id = f"@{component_id}_{start}"
    attempt_id = f"{instance_id}_Attempt={attempt}"
    about: dict[str, Value | Sequence[Value]] = {
        "@componentParent": Ref(component_id),
        "@instanceParent": Ref(instance_id),
        "@scheduledStartTime": start,
        "@sphere": "ATTEMPT",
    }
    main = new_object(attempt_id, object_type, {**(fields or {}), **about})
    return Task(
        task_id="task" if attempt == 1 else f"task-{attempt}",
        pipeline_id="df-TESTING",
        attempt_id=attempt_id,
        objects={item.id: item for item in (main, *others)},
    )


class ActivityEnvironment:
    """A context for one activity at a time; what it does there can be looked at afterwards.

    Leaving the `with` block removes its folder.
    """

    def __init__(
        self, *, objects: ObjectStore | None = None, data: DataSettings | None = None
    ) -> None:
        #: Every call of `progress`, in order.
        self.progress_reports: list[dict[str, str | int]] = []
        #: Every line of the Activity.log.
        self.messages: list[str] = []
        #: Cancel when this many progress reports have been made; None: never.
        self.cancel_after: int | None = None
        self._canceled = False
        self._task: Task | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="taskrunner-activity-"))
        self.data = data or DataSettings()
        if self.data.s3_root is None and self.data.s3_endpoint is None:
            # Whoever names databases only must not come to write to AWS.
            self.data = replace(self.data, s3_root=self._folder / "s3")
        local = replace(self.data.local, own=(*self.data.local.own, self._folder))
        self.data = replace(self.data, local=local)
        self.objects = objects or open_store(self.data)
        self._own_objects = objects is None
        self.work_dir = self._folder / "work"
        self.work_dir.mkdir()
        self.files = WorkFiles(self.work_dir)
        self.stdout_path = self._folder / "StdOutput"
        self.stderr_path = self._folder / "StdError"
        for path in (self.stdout_path, self.stderr_path):
            path.touch()
        #: More variables for commands, as `stage` and --pass-env give them.
        self.env: dict[str, str] = {}
        self.log = logging.getLogger(f"taskrunner.testing.{self._folder.name}")
        self.log.setLevel(logging.DEBUG)
        self.log.addHandler(_Recorder(self.messages))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.log.handlers.clear()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def task(self) -> Task:
        """The task that runs or ran last."""
        if self._task is None:
            raise AssertionError("no task has been run in this environment")
        return self._task

    def run(self, activity: Activity, task: Task) -> None:
        """Run an activity; raises what it raises."""
        self._begin(activity, task)
        activity.run(self)

    def check(self, precondition: Precondition, task: Task) -> bool:
        """Ask a precondition; raises what it raises."""
        self._begin(precondition, task)
        return precondition.check(self)

    def _begin(self, plugin: Activity | Precondition, task: Task) -> None:
        """As the agent: a task goes to the plugin of its type, with an empty work folder."""
        kind = type(plugin).type
        if task.main.type != kind:
            raise AssertionError(f"the task is a {task.main.type!r}, the plugin is for {kind!r}")
        self._task = task
        self.data = replace(self.data, claim=claim_of(task))
        if self._own_objects:
            self.objects = open_store(self.data)
        shutil.rmtree(self.work_dir)
        self.work_dir.mkdir()

    @property
    def stdout(self) -> str:
        """What commands have printed."""
        return self.stdout_path.read_text(errors="replace")

    @property
    def stderr(self) -> str:
        """What commands have printed to their error output."""
        return self.stderr_path.read_text(errors="replace")

    def put(self, uri: str, content: bytes | str) -> None:
        """Make an object."""
        with self.objects.open_write(uri) as writer:
            writer.write(content.encode() if isinstance(content, str) else content)

    def read(self, uri: str) -> bytes:
        """An object's content; raises TaskError when there is none."""
        with self.objects.open_read(uri) as reader:
            return reader.read()

    def cancel(self) -> None:
        """Make the activity's next look at its cancellation raise Canceled."""
        self._canceled = True

    def progress(self, **fields: str | int) -> None:
        """Record a progress report."""
        self.progress_reports.append(fields)

    def check_canceled(self) -> None:
        """Raise Canceled after `cancel`, or when `cancel_after` is reached."""
        limit = self.cancel_after
        if self._canceled or (limit is not None and len(self.progress_reports) >= limit):
            raise Canceled("canceled by the test")

    def run_command(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> CommandResult:
        """Run a command to its end, in an environment as the agent's commands have it."""
        self.check_canceled()
        clean = command_environment(
            os.environ, passed=(), home=self.work_dir, mark="testing", own=User.of_this_process()
        )
        command = Command(
            argv,
            env={**clean, **self.env, **(env or {})},
            cwd=cwd or self.work_dir,
            stdout=self.stdout_path,
            stderr=self.stderr_path,
        )
        return run_to_end(command, stderr=self.stderr_path)

    def copy_output(self, path: Path, uri: str) -> None:
        """Copy what commands have printed into an object."""
        copy_output(self.objects, path, uri)


class _Recorder(logging.Handler):
    def __init__(self, messages: list[str]) -> None:
        super().__init__()
        self._messages = messages

    def emit(self, record: logging.LogRecord) -> None:
        self._messages.append(record.getMessage())
