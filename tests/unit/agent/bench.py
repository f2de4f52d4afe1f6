"""A context for running a task's plugin in the test's own process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from taskrunner.agent.attempt_process.cancellation import Cancellation
from taskrunner.agent.attempt_process.context import AttemptContext, CommandRules
from taskrunner.agent.ipc.job import Job
from taskrunner.agent.ipc.names import AttemptFiles
from taskrunner.agent.secrets.masking import Masker, secrets_of
from taskrunner.data.objects.store import open_store
from taskrunner.data.settings import DataSettings
from taskrunner.host.local_files import LocalFiles
from taskrunner.model.log_names import LOG_NAMES
from taskrunner.model.task import Task
from tests.unit.agent.fakes import FakeClock


class Bench:
    """One attempt's context over real files in a folder; `s3://` is the folder's `s3`."""

    def __init__(self, folder: Path, task: Task, *, pass_env: Sequence[str] = ()) -> None:
        self.files = AttemptFiles.of(task, output=folder / "output", default_log_uri=None)
        self.files.log_dir.mkdir(parents=True)
        self.files.work_dir.mkdir(parents=True)
        for name in LOG_NAMES:
            (self.files.log_dir / name).touch()
        self.s3 = folder / "s3"
        self.clock = FakeClock()
        self.cancellation = Cancellation()
        masker = Masker(secrets_of(task, {}))
        self.ctx = AttemptContext(
            Job(task=task, files=self.files, mark="mark"),
            data=DataSettings(s3_root=self.s3, local=LocalFiles(folders=(folder,))),
            rules=CommandRules(pass_env=pass_env),
            output_filter=(lambda _path: masker.stream()) if masker else None,
            cancellation=self.cancellation,
            clock=self.clock,
            open_store=open_store,
        )

    @property
    def stdout(self) -> str:
        return self.ctx.stdout_path.read_text()

    def put(self, uri: str, text: str) -> None:
        path = self.s3 / uri.removeprefix("s3://")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def got(self, uri: str) -> str:
        return (self.s3 / uri.removeprefix("s3://")).read_text()
