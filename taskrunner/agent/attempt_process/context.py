"""The context of a running attempt: what `taskrunner.activities.base.Context` promises."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from taskrunner.activities.base import CommandResult
from taskrunner.activities.commands import copy_output, run_to_end
from taskrunner.agent.attempt_process.cancellation import Cancellation
from taskrunner.agent.attempt_process.environment import command_environment
from taskrunner.agent.ipc.job import Job
from taskrunner.clock import Clock
from taskrunner.data.files import WorkFiles
from taskrunner.data.objects.base import ObjectStore
from taskrunner.data.settings import DataSettings
from taskrunner.host import durable
from taskrunner.host.process import Command, Filter, RunAs
from taskrunner.host.users import User
from taskrunner.model.task import Task

#: How often progress is written for the agent to pick up; calls in between cost next to nothing.
_PROGRESS_EVERY_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRules:
    """How the commands of an attempt are run."""

    #: Environment variables (patterns) that they see besides the clean set.
    pass_env: Sequence[str] = ()
    #: Seconds between TERM and KILL.
    grace_s: float = 5.0
    #: The user that they run as; None: the agent's own.
    run_as: RunAs | None = None
    #: The agent's own user.
    own: User = field(default_factory=User.of_this_process)


class AttemptContext:
    """Everything that a plugin may touch."""

    def __init__(
        self,
        job: Job,
        *,
        data: DataSettings,
        rules: CommandRules,
        output_filter: Callable[[Path], Filter] | None,
        cancellation: Cancellation,
        clock: Clock,
        open_store: Callable[[DataSettings], ObjectStore],
    ) -> None:
        self.task: Task = job.task
        self.data = data
        self.log = logging.getLogger("taskrunner.activity")
        self.work_dir = job.files.work_dir
        rights = rules.run_as.user.assumed if rules.run_as is not None else nullcontext
        self.files = WorkFiles(job.files.command_dir, rights)
        self.stdout_path = job.files.log_dir / "StdOutput"
        self.stderr_path = job.files.log_dir / "StdError"
        #: Added to the environment of every command: staging folders, above all.
        self.extra_env: dict[str, str] = {}
        self._files = job.files
        self._mark = job.mark
        self._rules = rules
        self._output_filter = output_filter
        self._cancellation = cancellation
        self._clock = clock
        self._open_store = open_store
        #: Takes the task's secrets out of what is told of it.
        self.mask: Callable[[str], str] = str
        self._progress: dict[str, str] = {}
        self._progress_written_at: float | None = None

    @cached_property
    def objects(self) -> ObjectStore:
        """Objects by URI; the S3 library is loaded at the first use."""
        return self._open_store(self.data)

    def progress(self, **fields: str | int) -> None:
        """Keep the newest values; they are written at most once a second."""
        self._progress.update({key: self.mask(str(value)) for key, value in fields.items()})
        now = self._clock.monotonic()
        last = self._progress_written_at
        if last is None or now - last >= _PROGRESS_EVERY_S:
            self._progress_written_at = now
            self.flush_progress()

    def flush_progress(self) -> None:
        """Let the agent see the newest progress."""
        if self._progress:
            data = json.dumps(self._progress).encode()
            with suppress(OSError):  # a full disk is no reason for the work to fail
                durable.write_atomically(self._files.progress, data, sync=False)

    def check_canceled(self) -> None:
        """Raise Canceled when the attempt must stop."""
        self._cancellation.check()

    def run_command(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> CommandResult:
        """Run a command to its end."""
        self.check_canceled()
        command = Command(
            argv,
            env={**self._environment(), **self.extra_env, **(env or {})},
            cwd=cwd or self.files.root,
            stdout=self.stdout_path,
            stderr=self.stderr_path,
            output_filter=self._output_filter,
            grace_s=self._rules.grace_s,
            run_as=self._rules.run_as,
        )
        return run_to_end(command, stderr=self.stderr_path)

    def copy_output(self, path: Path, uri: str) -> None:
        """Copy a log of the commands into an object, whole or not at all."""
        copy_output(self.objects, path, uri)

    def _environment(self) -> dict[str, str]:
        run_as = self._rules.run_as
        return command_environment(
            os.environ,
            passed=self._rules.pass_env,
            home=self.files.root,
            mark=self._mark,
            own=self._rules.own,
            run_as=run_as.user if run_as is not None else None,
        )
