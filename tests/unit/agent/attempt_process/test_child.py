from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskrunner.activities.base import Activity, Context, Precondition
from taskrunner.activities.registry import Registry
from taskrunner.agent.attempt_process.activitylog import ActivityLogFormatter, open_activity_log
from taskrunner.agent.attempt_process.child import CANCELED, perform
from taskrunner.agent.ipc import verdicts
from taskrunner.agent.secrets.masking import Masker
from taskrunner.errors import Canceled, ErrorId, TaskError
from taskrunner.model.document import Ref
from taskrunner.plugins.discovery import Kind, Plugin
from taskrunner.wire.api import Verdict
from tests.unit.agent.bench import Bench
from tests.unit.agent.fakes import make_object, make_task


class Works(Activity):
    type = "Works"

    def run(self, ctx: Context) -> None:
        ctx.log.info("working with %s", "hunter22")


class Fails(Activity):
    type = "Fails"

    def run(self, ctx: Context) -> None:
        raise TaskError("the table is gone: hunter22", error_id=ErrorId.NOT_FOUND)


class Stops(Activity):
    type = "Stops"

    def run(self, ctx: Context) -> None:
        raise Canceled


class No(Precondition):
    type = "No"

    def check(self, ctx: Context) -> bool:
        return False


class Asks(Activity):
    type = "Asks"

    def run(self, ctx: Context) -> None:
        ctx.run_command(["sh", "-c", 'echo "$https_proxy"'])
        ctx.log.info("here it is %s", os.environ["HTTPS_PROXY"])


CLASSES: dict[str, type[Activity] | type[Precondition]] = {
    "Works": Works,
    "Fails": Fails,
    "Stops": Stops,
    "No": No,
    "Asks": Asks,
}


class FakePlugin(Plugin):
    def load(self) -> type[Activity] | type[Precondition]:
        return CLASSES[self.name]


def _plugin(name: str) -> FakePlugin:
    return FakePlugin(
        name=name,
        kind=Kind.ACTIVITY,
        target="t",
        origin="o",
        version="1",
        _entry_point=None,  # type: ignore[arg-type]
    )


REGISTRY = Registry({name: _plugin(name) for name in CLASSES})


@pytest.fixture
def clean_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logging.basicConfig(handlers=[logging.NullHandler()], force=True)
    root.handlers, root.level = handlers, level
    logging.getLogger("taskrunner").setLevel(logging.NOTSET)


def _performed(folder: Path, kind: str, **fields: str) -> tuple[Verdict, str]:
    bench = Bench(folder, make_task({"type": kind, "*password": "hunter22", **fields}))
    path = bench.files.log_dir / "Activity.log"
    formatter = ActivityLogFormatter("df-1", Masker(["hunter22"]).text)
    handler = open_activity_log(path, formatter)
    verdict = perform(bench.ctx, REGISTRY, bench.cancellation, bench.clock)
    handler.close()
    return verdict, path.read_text()


@pytest.mark.usefixtures("clean_logging")
def test_commands_and_libraries_go_by_the_proxy_of_the_resource(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy"):
        monkeypatch.setenv(name, "")  # so that all of it is put back
        monkeypatch.setenv(name.upper(), "")
    proxy = make_object(
        "P", {"type": "HttpProxy", "hostname": "h", "username": "u", "*password": "hunter22"}
    )
    resource = make_object("R", {"type": "Ec2Resource", "httpProxy": Ref("P")})
    task = make_task({"type": "Asks", "runsOn": Ref("R")}, resource, proxy)
    bench = Bench(tmp_path, task)
    assert perform(bench.ctx, REGISTRY, bench.cancellation, bench.clock) == verdicts.FINISHED
    assert os.environ["HTTPS_PROXY"] == "http://u:hunter22@h:8080"
    # What commands print is masked: the password is a secret of the task's.
    assert bench.stdout.startswith("http://u:***")
    assert "hunter22" not in bench.stdout


@pytest.mark.usefixtures("clean_logging")
def test_the_log_tells_of_fields_that_nobody_honours(tmp_path: Path) -> None:
    _, log = _performed(
        tmp_path,
        "HiveCopyActivity",
        resizeClusterBeforeRunning="true",
        maximumRetries="3",
        attemptStatus="usually inherited",
    )
    (told,) = [line for line in log.splitlines() if "has no effect" in line]
    assert "[WARNING]" in told
    assert told.endswith(
        "HiveCopyActivity Work, field resizeClusterBeforeRunning: it has no effect here: the items "
        "are copied without the cluster"
    )
    _, log = _performed(tmp_path / "2", "HiveCopyActivity", resizeClusterBeforeRunning="False")
    assert "has no effect" not in log


@pytest.mark.usefixtures("clean_logging")
@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("Works", verdicts.FINISHED),
        ("No", verdicts.NOT_MET),
        ("Stops", CANCELED),
    ],
)
def test_every_outcome_is_a_verdict(tmp_path: Path, kind: str, expected: Verdict) -> None:
    verdict, log = _performed(tmp_path, kind)
    assert verdict == expected
    assert f"Work {kind} took 0:00 to complete" in log


@pytest.mark.usefixtures("clean_logging")
def test_the_log_has_awss_form_and_no_secret(tmp_path: Path) -> None:
    verdict, log = _performed(tmp_path, "Fails")
    assert verdict.error_id == ErrorId.NOT_FOUND
    assert "hunter22" not in log
    assert "the table is gone: *********" in log
    assert "Traceback" in log
    form = r"\d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d,\d{3} \[INFO\] \(MainThread\) df-1 [\w.]+: "
    assert re.match(form, log)


@pytest.mark.usefixtures("clean_logging")
def test_an_unknown_type_names_the_known_ones(tmp_path: Path) -> None:
    verdict, _ = _performed(tmp_path, "PigActivity")
    assert verdict.error_id == ErrorId.UNSUPPORTED_TYPE
    assert "'PigActivity'" in (verdict.error_message or "")
    assert "Fails, No, Stops, Works" in (verdict.error_message or "")
