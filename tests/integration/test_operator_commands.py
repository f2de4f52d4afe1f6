"""The commands of operators against a service over HTTP, with /v1 and without it, as AWS's is."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from taskrunner.cli import main
from taskrunner.model.log_names import folder_of, part_name, whole_name
from taskrunner.service.app import create_app
from taskrunner.service.auth import NoAuthenticator
from taskrunner.service.handlers import HANDLERS
from taskrunner.service.server import Address, ServiceServer, bind
from taskrunner.service.settings import LogSettings, ServiceSettings
from taskrunner.testing import ServiceInProcess
from tests.unit.service.worlds import ON_DEMAND, T, schedule, scheduled, shell

TWO = [ON_DEMAND, shell("A"), shell("B", after="A")]


class _WithoutV1:
    """Answers /v1 as a service does that knows nothing of it."""

    def __init__(self, app: ASGIApp, *, seen: list[bool]) -> None:
        self._app, self._hidden = app, seen

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._hidden[0] and scope["type"] == "http" and scope["path"].startswith("/v1"):
            await PlainTextResponse("<html>not here", status_code=404)(scope, receive, send)
            return
        await self._app(scope, receive, send)


class Line:
    """A service, and the commands that are given to it."""

    def __init__(
        self, world: ServiceInProcess, hidden: list[bool], capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.world = world
        self.hidden = hidden
        self._capsys = capsys

    def run(self, *args: str, code: int = 0) -> str:
        """What a command prints."""
        found = main(args)
        out, err = self._capsys.readouterr()
        assert found == code, (out, err)
        self.err = err
        self.world.settle()
        return out

    def json(self, *args: str) -> Any:
        """What a command prints for programs."""
        return json.loads(self.run(*args, "--format", "json"))

    def file(self, folder: Path, objects: list[dict[str, Any]], name: str = "p.json") -> str:
        path = folder / name
        path.write_text(json.dumps({"objects": objects}))
        return str(path)

    def pipeline(self, folder: Path, objects: list[dict[str, Any]] = TWO) -> str:
        made = self.run("pipelines", "put", self.file(folder, objects)).strip()
        self.run("pipelines", "activate", made)
        return made

    def fail(self) -> None:
        for _ in range(3):
            self.world.conclude(self.world.take(), "FAILED", "CommandFailed", "exit code 1")
            self.world.advance(timedelta(minutes=11))


@contextmanager
def serving(world: ServiceInProcess, hidden: list[bool]) -> Iterator[str]:
    app = create_app(world.service, handlers=HANDLERS, authenticator=NoAuthenticator())
    app.add_middleware(_WithoutV1, seen=hidden)
    server = ServiceServer(app, bind(Address(host="127.0.0.1", port=0)))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server.url
    finally:
        server.stop()
        thread.join()


@pytest.fixture
def line(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Line]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    settings = ServiceSettings(database_url="", logs=LogSettings(s3_root=tmp_path / "s3"))
    hidden = [getattr(request, "param", "ours") == "aws"]
    with ServiceInProcess(settings=settings) as world, serving(world, hidden) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DATA_PIPELINE", url)
        yield Line(world, hidden, capsys)


BOTH = pytest.mark.parametrize("line", ["ours", "aws"], indirect=True)


@BOTH
def test_the_life_of_a_pipeline(line: Line, tmp_path: Path) -> None:
    assert line.run("pipelines", "list") == ""
    assert "no pipeline yet" in line.err
    file = line.file(tmp_path, [ON_DEMAND, shell("A", command="echo #{myWord}")], "hello.json")
    made = line.run("pipelines", "put", file, "--tag", "team=bi", "-p", "myWord=x").strip()
    # The same name is the same pipeline.
    assert line.run("pipelines", "put", file, "-p", "myWord=y").strip() == made
    line.run("pipelines", "activate", "hello", "-p", "myWord=hello")
    (row,) = line.json("pipelines", "list", "--tag", "team=bi")["pipelines"]
    assert (row["id"], row["name"], row["tags"]) == (made, "hello", {"team": "bi"})
    assert line.json("pipelines", "list", "--name", "nobody")["pipelines"] == []
    assert line.world.take().objects
    assert made in line.run("pipelines", "list")
    assert "on demand" in line.run("pipelines", "show", "hello") or line.hidden[0]
    assert [r["status"] for r in line.json("runs", "hello")["runs"]] == ["RUNNING"]
    (at_work,) = line.json("ps")["instances"]
    assert (at_work["component_id"], at_work["status"]) == ("A", "RUNNING")
    line.run("pipelines", "deactivate", "hello")
    assert line.run("pipelines", "delete", made, "--yes") == f"{made} deleted\n"
    assert line.run("pipelines", "list") == ""


@BOTH
def test_instances_are_changed_by_a_selection(line: Line, tmp_path: Path) -> None:
    made = line.pipeline(tmp_path)
    line.fail()
    assert "@A_" in line.run("runs", made, "--status", "failed")
    found = line.json("rerun", made, "--run", T)
    assert [(i["id"], i["was"]) for i in found["instances"]] == [(f"@A_{T}", "FAILED")]
    assert line.json("cancel", made, f"@A_{T}")["count"] == 1
    assert line.json("cancel", made, f"@A_{T}")["count"] == 0
    assert line.json("finish", made, "--component", "A")["count"] == 1
    assert line.world.statuses(made)[f"@A_{T}"] == "FINISHED"
    assert "taken for finished" in (line.run("finish", made, f"@A_{T}") + line.err)
    if line.hidden[0]:
        line.run("rerun", made, f"@A_{T}", "--downstream", code=1)
        assert "--downstream takes a `taskrunner serve`" in line.err


@BOTH
def test_a_pipeline_is_held(line: Line, tmp_path: Path) -> None:
    made = line.pipeline(tmp_path)
    if line.hidden[0]:
        line.run("pipelines", "pause", made, code=1)
        assert "takes a `taskrunner serve`" in line.err
        line.run("pipelines", "pause", made, "--object", "A")
    else:
        line.run("pipelines", "pause", made)
    assert line.world.claim() is None
    line.run("pipelines", "resume", made, *(["--object", "A"] if line.hidden[0] else []))
    assert line.world.claim() is not None


@pytest.mark.parametrize("line", ["aws"], indirect=True)
@pytest.mark.parametrize(
    "args",
    [
        ("logs", "df-1", "A"),
        ("backfill", "df-1", "2026-01-01", "2026-01-02"),
        ("backfill", "list"),
        ("bulk", "pause", "--every"),
        ("backfill", "pause", "bf-1"),
        ("pipelines", "list", "--late"),
        ("agents", "list"),
        ("agents", "drain", "one"),
        ("groups",),
        ("pipelines", "list", "--group", "g"),
        ("rerun", "df-1", "--run", T, "--dry-run"),
    ],
)
def test_what_only_ours_can_do_is_told(line: Line, args: tuple[str, ...]) -> None:
    line.run(*args, code=1)
    assert "has only the operations of AWS's API" in line.err


def test_many_pipelines_are_changed_in_portions(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskrunner.cli.operators.bulk.PORTION", 2)
    for name in ("one-alpha", "one-beta", "one-gamma"):
        made = line.run("pipelines", "put", line.file(tmp_path, TWO, f"{name}.json")).strip()
    line.run("pipelines", "activate", made)
    table = line.run("bulk", "pause", "--every", "--dry-run")
    assert [row.split()[0] for row in table.splitlines()[1:]] == [
        "one-alpha",
        "one-beta",
        "one-gamma",
    ]
    assert "3 pipelines would be changed; 0 could not be" in line.err
    assert len(line.json("bulk", "pause", "--every")["pipelines"]) == 3
    assert len(line.json("pipelines", "list", "--state", "PAUSED")["pipelines"]) == 3
    line.run("bulk", "resume", "--name", "alpha", "--state", "PAUSED")
    assert len(line.json("pipelines", "list", "--state", "PAUSED")["pipelines"]) == 2
    line.run("bulk", "resume", "one-beta", made)
    assert line.json("pipelines", "list", "--state", "PAUSED")["pipelines"] == []
    line.fail()
    assert line.json("bulk", "rerun", "one-gamma", "--runs", "2")["pipelines"][0]["count"] == 1
    for wrong in ((), ("one-beta", "--late"), ("--every", "--late")):
        line.run("bulk", "pause", *wrong, code=2)
    file = line.file(
        tmp_path, [ON_DEMAND, {"id": "X", "type": "ShellCommandActivity"}], "wrong.json"
    )
    line.run("pipelines", "put", file, code=1)
    assert "X" in line.run("bulk", "activate", "wrong", code=1)


def test_a_backfill_shows_what_it_would_overwrite(line: Line, tmp_path: Path) -> None:
    objects = [scheduled(), schedule(), shell("A")]
    made = line.run("pipelines", "put", line.file(tmp_path, objects)).strip()
    line.world.advance(timedelta(hours=2))
    line.run("pipelines", "activate", made, "--start", "2026-02-13T04:00:00")
    table = line.run("backfill", made, T, "2026-02-13T03:00", "--dry-run")
    assert table.count("make") == 2
    assert "2 of 2 periods would run" in line.err
    asked = line.json("backfill", made, T, "2026-02-13T03:00", "--reason", "late data")
    assert asked["count"] == 2
    assert line.world.components(made)["A"].count("WAITING_FOR_RUNNER") == 3
    key = asked["backfill_id"]
    assert "no period" not in line.run("backfill", "begin", made, T, T)
    listed = line.run("backfill", "list", "--pipeline", made)
    assert [part in listed for part in (key, "RUNNING", "0/2", "late data")] == [True] * 4
    assert "paused by" in line.run("backfill", "pause", key)
    assert "0 of 2 have ended: 2 PAUSED" in line.run("backfill", "show", key)
    assert line.json("backfill", "resume", key)["state"] == "RUNNING"
    assert "CANCELED" in line.run("backfill", "cancel", key)
    assert line.json("backfill", "list")["backfills"][0]["counts"] == {"CANCELED": 2}


def test_agents_and_groups_are_listed(line: Line, tmp_path: Path) -> None:
    line.pipeline(tmp_path)
    assert line.json("agents", "list")["agents"] == []
    assert "no agent" in (line.run("agents", "list") + line.err)
    (group,) = line.json("groups")["groups"]
    assert (group["name"], group["ready"], group["agents"]) == ("wg", 1, 0)
    assert line.world.take()
    line.world.service.roster.save(line.world.now)
    (agent,) = line.json("agents", "list", "--group", "wg")["agents"]
    assert (agent["id"], agent["state"]) == ("runner.example", "READY")
    assert "runner.example" in line.run("agents", "list")
    told = line.run("agents", "pause", "runner.example", "--note", "upgrade", "--minutes", "5")
    assert told.startswith("runner.example: takes no work until ")
    assert "anonymous: upgrade" in line.run("agents", "list")
    assert "once what it runs has ended" in line.run("agents", "drain", "--group", "wg")
    assert "takes work again" in line.run("agents", "resume", "runner.example")
    line.run("agents", "resume", code=1)
    assert "say which agents" in line.err
    assert "wg" in line.run("groups")


def put_log(line: Line, folder: Path, name: str, text: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(gzip.compress(text))


def test_a_log_is_shown_and_followed(line: Line, tmp_path: Path) -> None:
    made = line.pipeline(tmp_path, [ON_DEMAND, shell("A", pipelineLogUri="s3://logs/x")])
    line.run("logs", made, "Nobody", code=2)
    assert "no instance of 'Nobody' has an attempt" in line.err
    task = line.world.take()
    key = folder_of("", made, "A", f"@A_{T}", task.attempt_id).lstrip("/")
    folder = tmp_path / "s3/logs/x" / key
    put_log(line, folder, part_name("StdOutput", 0, 8), b"one\ntwo\n")
    assert line.run("logs", made, "A") == "one\ntwo\n"
    assert line.run("logs", made, f"@A_{T}", "-n", "1") == "two\n"
    assert line.json("logs", made, task.attempt_id)["final"] is False
    put_log(line, folder, whole_name("StdOutput"), b"one\ntwo\nthree\n")
    line.world.conclude(task)
    for args in (["-f"], ["--all"], ["--all", "-f"]):
        assert line.run("logs", made, "A", *args) == "one\ntwo\nthree\n"
    assert line.run("logs", made, "A", "-f", "--stream", "stderr") == ""


@BOTH
def test_waiting_tells_by_its_exit_code_how_it_ended(line: Line, tmp_path: Path) -> None:
    made = line.run("pipelines", "put", line.file(tmp_path, TWO[:2])).strip()
    # Time passes for the command alone, so that the world's clock is that of the test.
    line.run("pipelines", "activate", made, "--wait", "--timeout", "0", code=124)
    assert "not over after 0 s" in line.err
    line.world.work_off()
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.05):
            line.world.settle()
            if (task := line.world.claim()) is not None:
                line.world.conclude(task, "FINISHED")

    worker = threading.Thread(target=work)
    worker.start()
    try:
        line.world.clock.advance(timedelta(minutes=1))
        line.run("pipelines", "activate", made, "--wait")
        assert "1 finished" in line.err
    finally:
        stop.set()
        worker.join()
    line.run(
        "rerun",
        made,
        f"@A_{T}",
        *([] if line.hidden[0] else ["--wait", "--timeout", "0"]),
        code=0 if line.hidden[0] else 124,
    )


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("runs", "nobody"), "no pipeline has the id or the name 'nobody'"),
        (("rerun", "df-1", "--run", "yesterday"), "wanted a moment such as"),
        (("pipelines", "put", "/nowhere"), "does not exist"),
        (("pipelines", "activate", "df-1", "-p", "x"), "wanted ID=VALUE"),
    ],
)
def test_a_slip_of_the_pen_is_told(line: Line, args: tuple[str, ...], told: str) -> None:
    line.run(*args, code=2)
    assert told in line.err


def test_what_cannot_be_is_told_in_one_sentence(line: Line, tmp_path: Path) -> None:
    made = line.pipeline(tmp_path)
    line.run("rerun", made, code=1)
    assert "say which instances" in line.err
    wrong = [ON_DEMAND, {"id": "X", "type": "ShellCommandActivity"}]
    line.run("pipelines", "put", line.file(tmp_path, wrong, "wrong.json"), code=1)
    assert "error: X" in line.err
    line.run("pipelines", "show", "df-NOBODY", code=1)
    assert "does not exist" in line.err
