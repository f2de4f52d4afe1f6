from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from taskrunner.cli import main


@pytest.fixture
def file(tmp_path: Path) -> str:
    """B after A."""
    shell = {"type": "ShellCommandActivity", "command": "true"}
    objects = [
        {"id": "Default", "workerGroup": "wg"},
        {"id": "B", **shell, "dependsOn": {"ref": "A"}},
        {"id": "A", **shell},
    ]
    path = tmp_path / "p.json"
    path.write_text(json.dumps({"objects": objects}))
    return str(path)


def test_text_is_what_is_printed_unless_told(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graph", file]) == 0
    printed = capsys.readouterr().out
    assert printed.index("Stage 1") < printed.index("A  Shell") < printed.index("B  Shell")
    assert "(worker group wg)" in printed


@pytest.mark.parametrize(
    ("form", "start"), [("dot", "digraph"), ("mermaid", "flowchart"), ("svg", "<svg")]
)
def test_drawings(file: str, form: str, start: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graph", file, "--format", form]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(start)
    if form == "svg":
        ET.fromstring(printed)


def test_nothing_to_draw_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "p.json"
    path.write_text('{"objects": [{"id": "Default"}]}')
    assert main(["graph", str(path)]) == 0
    assert capsys.readouterr().out == "Nothing of this definition runs.\n"


@pytest.mark.parametrize("text", ["", "no json", "[1]"])
def test_what_is_no_definition_is_one_line(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "p.json"
    path.write_text(text)
    assert main(["graph", str(path)]) in {1, 2}
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert str(path) in printed.err
