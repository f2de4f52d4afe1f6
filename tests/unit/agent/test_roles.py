from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from taskrunner import DISTRIBUTION
from taskrunner.activities.registry import Registry
from taskrunner.agent.ipc.job import Job
from taskrunner.agent.ipc.names import AttemptFiles
from taskrunner.agent.roles import Loader
from taskrunner.data.claims import handout_of
from taskrunner.plugins.discovery import Kind, Plugin
from tests.unit.agent.fakes import make_task


class Point(EntryPoint):
    """Counts how often its plugin is loaded."""

    def load(self) -> object:
        loads.append(self.name)
        raise ImportError("gone since the agent started")


loads: list[str] = []


@pytest.fixture
def loader() -> Loader:
    loads.clear()
    plugins = [plugin("OurActivity", DISTRIBUTION), plugin("TheirActivity", "somebody-elses")]
    return Loader(Registry({found.name: found for found in plugins}))


def plugin(name: str, origin: str) -> Plugin:
    point = Point(name=name, value=f"module:{name}", group=Kind.ACTIVITY.group)
    return Plugin(
        name=name,
        kind=Kind.ACTIVITY,
        target=point.value,
        origin=origin,
        version="1",
        _entry_point=point,
    )


def test_what_two_tasks_wanted_is_loaded_once_and_no_failure_ends_the_server(
    loader: Loader,
) -> None:
    loaded = []
    for _ in range(4):
        loader(b"OurActivity", None)
        loaded.append(len(loads))
    assert loaded == [0, 1, 1, 1]


@pytest.mark.parametrize("kind", [b"TheirActivity", b"NobodysActivity", b""])
def test_what_is_not_ours_is_left_to_the_attempts(loader: Loader, kind: bytes) -> None:
    for _ in range(3):
        loader(kind, None)
    assert loads == []


#: What comes before the command of an attempt, in a process that the fork server has made.
ATTEMPT = """
import sys
from taskrunner.agent.attempt_process.child import _data
from taskrunner.agent.ipc.attempt_roles import LOADER, AttemptSettings
from taskrunner.agent.ipc.job import Job
from taskrunner.agent.roles import make_roles
from taskrunner.model.catalog import effects

settings = AttemptSettings()
make_roles(settings)[LOADER](b"ShellCommandActivity", None)
there, known = set(sys.modules), effects._effects.cache_info().misses
job = Job.decode(sys.stdin.buffer.read())
print(_data(settings, job, None).claim.handout, *effects.without_effect(job.task.objects))
print(effects._effects.cache_info().misses - known, *sorted(set(sys.modules) - there))
"""


def test_a_shell_command_has_nothing_left_to_load(tmp_path: Path) -> None:
    """OpenSSL and the table of fields took a third of a short attempt's time."""
    files = AttemptFiles(log_dir=tmp_path, scratch=tmp_path, log_uri=None)
    task = make_task({"command": "true"})
    job = Job(task=task, files=files, mark="m").encode()
    command = [sys.executable, "-c", ATTEMPT]
    done = subprocess.run(command, input=job, capture_output=True, check=True, text=False)
    assert done.stdout.decode().splitlines() == [handout_of(task), "0"]
