"""What `taskrunner.testing` gives to others."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from taskrunner import testing
from taskrunner.activities import base
from taskrunner.activities.base import Activity, Canceled, Context, Task
from taskrunner.data.settings import DataSettings

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize("name", testing.__all__)
def test_everything_that_is_promised_is_there(name: str) -> None:
    assert getattr(testing, name).__name__ == name
    assert name in dir(testing)


def test_what_is_promised_does_not_change_by_accident() -> None:
    assert testing.__all__ == [
        "ActivityEnvironment",
        "Ec2Server",
        "FakeClock",
        "NotSettled",
        "RedshiftStandIn",
        "Ref",
        "ServiceInProcess",
        "new_object",
        "new_task",
    ]
    assert base.__all__ == [
        "API_VERSION",
        "Activity",
        "Canceled",
        "CommandResult",
        "Context",
        "ErrorId",
        "FieldGroup",
        "FieldSpec",
        "PermanentTaskError",
        "Precondition",
        "Slot",
        "Task",
        "TaskError",
        "TaskObject",
        "WorkFiles",
    ]


def test_the_context_promises_no_less_than_before() -> None:
    """What is added here goes into docs/plugins.md; what is taken away raises API_VERSION."""
    promised = {name for name in vars(base.Context) if not name.startswith("_")}
    assert promised == {
        "check_canceled", "copy_output", "data", "files", "log", "objects", "progress",
        "run_command", "stderr_path", "stdout_path", "task", "work_dir",
    }  # fmt: skip
    guide = (DOCS / "plugins.md").read_text()
    for name in sorted(promised):
        assert f"`ctx.{name}" in guide, name
    for name in base.__all__:
        assert re.search(rf"\b{name}\b", guide), name


class Counts(Activity):
    """Uses all that a context has."""

    type = "Counts"

    def run(self, ctx: Context) -> None:
        source, target = ctx.task.main.one("input"), ctx.task.main.one("output")
        assert source is not None
        assert target is not None
        copy = ctx.files.root / "copy"
        ctx.files.download(ctx.objects, source.required("filePath"), copy)
        ctx.check_canceled()
        ended = ctx.run_command(["/bin/sh", "-c", 'wc -l < copy; echo "$WORD" >&2'])
        ctx.log.info("wc ended with %d: %s", ended.exit_code, ended.stderr_tail)
        ctx.progress(rows=int(ctx.stdout_path.read_text()))
        ctx.check_canceled()
        ctx.copy_output(ctx.stdout_path, target.required("filePath"))


def _task() -> Task:
    source = testing.new_object("In", "S3DataNode", {"filePath": "s3://b/in"})
    target = testing.new_object("Out", "S3DataNode", {"filePath": "s3://b/out"})
    fields = {"input": testing.Ref("In"), "output": testing.Ref("Out")}
    return testing.new_task("Counts", fields, source, target)


def test_an_activity_finds_its_whole_world_in_the_environment() -> None:
    with testing.ActivityEnvironment() as environment:
        environment.env["WORD"] = "given"
        environment.put("s3://b/in", "1\n2\n3\n")
        environment.run(Counts(), _task())
        assert environment.progress_reports == [{"rows": 3}]
        assert environment.read("s3://b/out") == b"3\n"
        assert (environment.stdout, environment.stderr) == ("3\n", "given\n")
        assert environment.messages == ["wc ended with 0: given"]
        assert environment.task.component_id == "Activity"
        folder = environment.work_dir.parent
    assert not folder.exists()


def test_commands_see_what_the_agents_commands_see(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "my-own")
    with testing.ActivityEnvironment() as environment:
        environment.run_command(["/usr/bin/env"])
        names = {line.partition("=")[0] for line in environment.stdout.splitlines()}
        assert {"HOME", "LANG", "LOGNAME", "PATH", "SHELL", "TMPDIR", "USER"} <= names
        assert "my-own" not in environment.stdout


def test_whoever_gives_databases_still_has_a_folder_for_s3(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    with testing.ActivityEnvironment(data=DataSettings(databases={"Db": url})) as environment:
        environment.put("s3://a-real-bucket/in", b"1\n")
        assert environment.data.databases == {"Db": url}
        assert environment.data.s3_root is not None
        (written,) = (path for path in environment.data.s3_root.rglob("in") if path.is_file())
        assert written.read_bytes() == b"1\n"


def test_an_environment_can_cancel_and_minds_the_type() -> None:
    with testing.ActivityEnvironment() as environment:
        environment.put("s3://b/in", b"")
        environment.cancel_after = 1
        with pytest.raises(Canceled):
            environment.run(Counts(), _task())
        assert environment.progress_reports == [{"rows": 0}]
        environment.cancel()
        with pytest.raises(Canceled):
            environment.run(Counts(), _task())
        with pytest.raises(AssertionError, match="the task is a 'Other', the plugin is for"):
            environment.run(Counts(), testing.new_task("Other"))


def test_anything_else_is_not() -> None:
    with pytest.raises(AttributeError, match=r"'taskrunner\.testing' has no attribute 'Nothing'"):
        _ = testing.Nothing


def test_who_needs_a_clock_does_not_load_the_service() -> None:
    code = (
        "import sys, taskrunner.testing; taskrunner.testing.FakeClock();"
        "sys.exit('taskrunner.service.engine' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
