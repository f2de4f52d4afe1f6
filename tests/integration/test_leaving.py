"""An account of twenty pipelines is pulled, assessed, applied to another service and compared."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskrunner.model.reader import read_definition
from taskrunner.service.callers import ANONYMOUS
from taskrunner.testing import ServiceInProcess
from tests.integration.test_operator_commands import serving
from tests.leaving import Commands, Made, fill
from tests.unit.service.worlds import ON_DEMAND, ec2, ref, schedule, scheduled, shell

HUSH = "hush-hush"
DATABASE: dict[str, object] = {
    "id": "Db",
    "type": "RdsDatabase",
    "username": "me",
    "*password": HUSH,
    "rdsInstanceId": "x",
}


def made(name: str, *objects: dict[str, object], activate: bool = False, **parts: object) -> Made:
    text = json.dumps({"objects": objects, **parts})
    return Made(
        name=name,
        definition=read_definition(text),
        tags=(("team", "bi"), ("name", name)),
        activate=activate,
    )


def account() -> list[Made]:
    secret = [{"id": "*myToken", "type": "String"}]
    token = shell("A", command="echo #{*myToken}", workerGroup="wg")
    return [
        *(made(f"demand-{at}", ON_DEMAND, shell("A"), shell("B", after="A")) for at in range(8)),
        *(
            made(f"daily-{at}", scheduled(), schedule("S"), shell("A"), activate=True)
            for at in range(8)
        ),
        made("with a password", ON_DEMAND, shell("A"), DATABASE),
        made("token", ON_DEMAND, token, parameters=secret, values={"*myToken": HUSH}),
        made("on-ec2", {"id": "Default", "scheduleType": "ondemand"}, ec2("M"),
             shell("A", runsOn=ref("M"))),
        made("Same", ON_DEMAND, shell("A")),
        made("same", ON_DEMAND, shell("A")),
    ]  # fmt: skip


@pytest.fixture
def worlds() -> Iterator[tuple[ServiceInProcess, ServiceInProcess]]:
    with ServiceInProcess() as source, ServiceInProcess() as target:
        fill(source, account())
        yield source, target


@pytest.fixture
def commands(
    worlds: tuple[ServiceInProcess, ServiceInProcess],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Commands]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    # The source answers as AWS's service does, without /v1.
    with serving(worlds[0], [True]) as source, serving(worlds[1], [False]) as target:
        yield Commands(tmp_path / "account", source, target, capsys)


@pytest.fixture
def secrets(tmp_path: Path) -> str:
    path = tmp_path / "secrets.toml"
    path.write_text(
        '["with a password"]\n"Db/*password" = "new-hush"\n'
        '[token]\n"*myToken" = { env = "MY_TOKEN" }\n'
    )
    path.chmod(0o600)
    return str(path)


def test_an_account_moves(
    commands: Commands,
    worlds: tuple[ServiceInProcess, ServiceInProcess],
    secrets: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, said = commands.pull()
    assert "21 pipelines: 21 new" in said
    # The same again is the same files.
    assert "21 unchanged" in commands.pull()[1]
    assert commands.diff(code=0, source=True)[0] == ""
    text = "".join(path.read_text() for path in commands.folder.rglob("*.json"))
    assert text.count("*****") == 2
    assert HUSH not in text
    assert json.loads((commands.folder / "daily-0/manifest.json").read_text())["state"] == (
        "SCHEDULED"
    )
    # Names that only differ by case are folders that differ by more.
    assert [path for path in commands.folder.iterdir() if path.name[:4] in {"same", "Same"}]
    assert len({path.name.casefold() for path in commands.folder.iterdir()}) == 21

    _, said = commands.run("assess", str(commands.folder), code=1)
    assert "21 pipelines: 18 runs as is, 1 needs a rule, 2 needs a secret" in said

    # Nothing is done while a secret is missing, and each one is told.
    _, said = commands.apply("--yes", code=2)
    assert "2 secrets are missing, and nothing was done" in said
    assert "with-a-password: Db/*password: no entry" in said
    _, said = commands.apply("--yes", "--secrets", secrets, code=2)
    assert "1 secret is missing" in said
    assert "the variable MY_TOKEN is not set" in said
    assert "21 differ" in commands.diff(code=1)[1]

    monkeypatch.setenv("MY_TOKEN", "token-hush")
    plan, said = commands.apply("--dry-run", "--activate", "--secrets", secrets)
    assert "+ daily-0: create, put, activate\n" in plan
    assert "+ demand-0: create, put\n" in plan
    assert "21 to create, 0 to change, 0 unchanged" in said
    done, said = commands.apply("--yes", "--activate", "--secrets", secrets)
    assert "21 done, 0 failed" in said
    assert "hush" not in plan + done + said
    assert commands.diff(code=0)[0] == ""
    # Again there is nothing to do, and no secret is needed for it.
    assert "0 to create, 0 to change, 21 unchanged" in commands.apply("--yes", "--activate")[1]
    found = stored(worlds[1])
    assert found["token"] == ("PENDING", "token-hush")
    assert found["with a password"] == ("PENDING", "new-hush")
    assert found["daily-7"][0] == "SCHEDULED"


def stored(world: ServiceInProcess) -> dict[str, tuple[str, str]]:
    """The state and the secret of each pipeline, as they are in the store."""
    rows, _ = world.service.pipelines(ANONYMOUS, None, 100)
    found = {}
    for row in rows:
        definition = world.service.definition(row.pipeline_id)
        values = [value.value for value in definition.values]
        fields = [str(f.value) for o in definition for f in o.fields if f.key == "*password"]
        found[row.name] = (str(row.state), "".join(values + fields))
    return found


def test_what_is_edited_is_shown_and_applied(
    commands: Commands, worlds: tuple[ServiceInProcess, ServiceInProcess], secrets: str
) -> None:
    commands.pull()
    file = commands.folder / "daily-0" / "pipeline.json"
    file.write_text(file.read_text().replace('"command": "true"', '"command": "echo more"'))
    manifest = commands.folder / "daily-1" / "manifest.json"
    found = json.loads(manifest.read_text())
    found["tags"] = {"team": "ops", "cost": "7"}
    manifest.write_text(json.dumps(found))
    new = commands.folder / "new"
    new.mkdir()
    (new / "manifest.json").write_text('{"name": "new"}')
    (new / "pipeline.json").write_text((commands.folder / "demand-0/pipeline.json").read_text())
    password = commands.folder / "with-a-password" / "pipeline.json"
    password.write_text(password.read_text().replace('"me"', '"you"'))

    shown, _ = commands.diff(code=1, source=True)
    assert '-      "command": "true"' in shown
    assert '+      "command": "echo more"' in shown
    assert '+    "cost": "7",' in shown
    assert "only in the files: new" in shown
    rows = json.loads(commands.diff("--format", "json", code=1, source=True)[0])["pipelines"]
    assert {row["folder"]: [c["what"] for c in row["changes"]] for row in rows} == {
        "daily-0": ["object 'A', field 'command'"],
        "daily-1": ["tag 'name'", "tag 'team'", "tag 'cost'"],
        "new": [],
        "with-a-password": ["object 'Db', field 'username'"],
    }

    here = Commands(commands.folder, commands.source, commands.source, commands.capsys)
    done, _ = here.apply("--yes", "--activate", "--format", "json")
    steps = {row["folder"]: row.get("done") for row in json.loads(done)["pipelines"]}
    assert {key: found for key, found in steps.items() if found} == {
        "daily-0": ["put", "activate"],
        "daily-1": ["tags"],
        "new": ["create", "put"],
        "with-a-password": ["put"],
    }
    assert here.diff(code=0)[0] == ""
    # The mask that was put back has left the secret where it was.
    assert stored(worlds[0])["with a password"] == ("PENDING", HUSH)
    assert here.apply("--yes")[1].endswith("0 to create, 0 to change, 22 unchanged\n")
    assert "22 pipelines: 2 changed, 20 unchanged" in commands.pull()[1]
    assert commands.diff(code=0, source=True)[0] == ""


def test_one_that_the_service_refuses_does_not_keep_the_others(commands: Commands) -> None:
    commands.pull("--name", "demand-")
    file = commands.folder / "demand-0" / "pipeline.json"
    file.write_text(file.read_text().replace('"command"', '"comand"', 1))
    _, said = commands.apply("--yes", code=1)
    assert "error: demand-0: put: the definition has errors: A: " in said
    assert "7 done, 1 failed" in said


def test_a_pipeline_that_is_gone_is_told_and_its_folder_left(
    commands: Commands, worlds: tuple[ServiceInProcess, ServiceInProcess]
) -> None:
    commands.pull()
    found = json.loads((commands.folder / "daily-3/manifest.json").read_text())
    worlds[0].service.delete_pipeline(found["pipelineId"])
    _, said = commands.pull()
    assert "note: daily-3: the account has no pipeline of it" in said
    assert (commands.folder / "daily-3").is_dir()
    shown, _ = commands.diff(code=1, source=True)
    assert shown == "only in the files: daily-3\n"


def test_trouble_has_an_exit_code_of_its_own(commands: Commands, tmp_path: Path) -> None:
    (tmp_path / "account").mkdir()
    _, said = commands.diff(code=2)
    assert "found no pipeline, wanted folders with pipeline.json and manifest.json" in said
    commands.apply("--format", "json", code=2)
    commands.apply("--start", "2026-01-01", "--yes", code=2)
