"""Two hundred pipelines made from published definitions leave one service for another."""

from __future__ import annotations

import json
from itertools import cycle, islice
from pathlib import Path

import pytest

from taskrunner.model.document import Definition
from taskrunner.model.leaving.ordered import ordered
from taskrunner.model.reader import read_definition
from taskrunner.model.validate import validate
from taskrunner.model.writer import dumps_cli
from taskrunner.service.masking import mask
from taskrunner.testing import ServiceInProcess
from tests.acceptance.corpus import published
from tests.integration.test_operator_commands import serving
from tests.leaving import Commands, Made, fill

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not published.FOLDER.is_dir(),
        reason="needs the corpus of published definitions at ../shared/corpus",
    ),
]

MANY = 200


def account() -> list[Made]:
    """Every definition that is whole, as an account's are, as often as it takes.

    Templates whose parameters have no values yet are left out: nobody could have activated them.
    """
    found = published.with_activities().items()
    readable = [(name, item) for name, item in found if item is not None and _is_whole(item)]
    return [
        Made(name=f"{name} {at}", definition=definition)
        for at, (name, definition) in enumerate(islice(cycle(readable), MANY))
    ]


def test_two_hundred_move_with_no_file_edited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    made = account()
    with ServiceInProcess() as old, ServiceInProcess() as new:
        fill(old, made)
        with serving(old, [True]) as source, serving(new, [False]) as target:
            commands = Commands(tmp_path / "account", source, target, capsys)
            commands.pull()
            assert commands.diff(code=0, source=True)[0] == ""
            secrets = tmp_path / "secrets.json"
            whole = ("--resources", "local", "--secrets", str(secrets))
            secrets.write_text("{}")
            secrets.chmod(0o600)
            rows = assessed(commands, *whole, code=1)
            assert any(row["secrets"] for row in rows)
            secrets.write_text(json.dumps(wanted(rows)))
            rows = assessed(commands, *whole, code=0)
            commands.apply("--yes", "--secrets", str(secrets))
            assert commands.diff(code=0)[0] == ""
    assert len(rows) == MANY
    files = {
        json.loads((path / "manifest.json").read_text())["name"]: path
        for path in commands.folder.iterdir()
    }
    for one in made:
        text = (files[one.name] / "pipeline.json").read_text()
        assert read_definition(text) == ordered(mask(one.definition))


def _is_whole(definition: Definition) -> bool:
    # As a service has it: what a template left open is a text there.
    report = validate(read_definition(dumps_cli(definition)))
    return report.valid and "no-runner" not in {one.code for one in report.warnings}


def assessed(commands: Commands, *options: str, code: int) -> list[dict[str, object]]:
    """What `assess` says of each."""
    out, _ = commands.run("assess", str(commands.folder), *options, "--format", "json", code=code)
    found: list[dict[str, object]] = json.loads(out)["pipelines"]
    return found


def wanted(rows: list[dict[str, object]]) -> dict[str, dict[str, str]]:
    """A file with every secret that is missing."""
    return {
        str(row["name"]): {secret["place"]: "given" for secret in row["secrets"]}  # type: ignore[attr-defined]
        for row in rows
        if row["secrets"]
    }
