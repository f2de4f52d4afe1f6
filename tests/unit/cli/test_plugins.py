from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from taskrunner.cli import main


@pytest.fixture
def packages(tmp_path: Path) -> Iterator[Path]:
    """A folder of installed packages."""
    sys.path.insert(0, str(tmp_path))
    yield tmp_path
    sys.path.remove(str(tmp_path))


def install(folder: Path, name: str, entries: str, module: str = "") -> None:
    info = folder / f"{name}-2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.0\n")
    (info / "entry_points.txt").write_text(entries)
    (folder / f"{name}.py").write_text(module)


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    code = main(["plugins", "--format", "json", *arguments])
    return code, json.loads(capsys.readouterr().out)["plugins"]


def test_all_that_is_built_in_is_listed_and_loads(capsys: pytest.CaptureFixture[str]) -> None:
    code, found = listed(capsys, "--check")
    assert code == 0
    names = {plugin["name"] for plugin in found if plugin["built_in"]}
    assert {"CopyActivity", "Exists", "postgresql", "CSV"} <= names
    assert {plugin["state"] for plugin in found} == {"loads"}


def test_nothing_is_imported_unless_asked(
    packages: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = "[taskrunner.activities]\nThirdActivity = third_of_all:ThirdActivity\n"
    install(packages, "third_of_all", entries, "raise ImportError('no libfoo\\nhere')\n")
    code, found = listed(capsys)
    (third,) = [plugin for plugin in found if plugin["name"] == "ThirdActivity"]
    assert (code, third["state"], third["problem"]) == (0, "found", None)
    assert (third["distribution"], third["version"]) == ("third-of-all", "2.0")
    assert "third_of_all" not in sys.modules
    code, found = listed(capsys, "--check")
    (third,) = [plugin for plugin in found if plugin["name"] == "ThirdActivity"]
    assert (code, third["state"]) == (1, "broken")
    assert "cannot be imported: no libfoo here" in third["problem"]


def test_one_that_ends_the_process_keeps_nobody_from_seeing_the_others(
    packages: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = "[taskrunner.activities]\nLeaving = leaves_at_once:Leaving\n"
    install(packages, "leaves_at_once", entries, "import sys\nsys.exit('no license')\n")
    code, found = listed(capsys, "--check")
    states = {plugin["name"]: plugin["state"] for plugin in found}
    assert (code, states["Leaving"], states["CopyActivity"]) == (1, "broken", "loads")
    (leaving,) = [plugin for plugin in found if plugin["name"] == "Leaving"]
    assert "cannot be imported: it calls sys.exit('no license')" in leaving["problem"]


def test_the_text_says_what_is_wrong_and_what_mends_it(
    packages: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = "[taskrunner.activities]\nCopyActivity = usurper:X\nNoSuch = nowhere_at_all:X\n"
    install(packages, "usurper", entries)
    assert main(["plugins"]) == 1
    out = capsys.readouterr().out
    assert "activity CopyActivity of usurper: CopyActivity is built into taskrunner\n  ->" in out
    assert "activity NoSuch of usurper: there is no module nowhere_at_all\n  -> install what" in out
    assert "taskrunner-agent 0.1.0 (built in)" in out
