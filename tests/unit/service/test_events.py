"""docs/events.md is what the code logs, event by event and at the level that stands there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
LEVELS = {"info": "info", "warning": "warning", "error": "error", "exception": "error"}
#: What logs a text that it is given, and at which level.
TELLERS = {"tell": "warning", "_tell": "warning"}


def events() -> dict[str, str]:
    """Every event of the service, with its level."""
    found: dict[str, str] = {}
    for path in sorted((ROOT / "taskrunner" / "service").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants = dict(_constants(tree))
        for level, argument in _logged(tree):
            for text in _texts(argument, constants):
                assert found.setdefault(text, level) == level, text
    return found


def _constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            for target in node.targets:
                if isinstance(target, ast.Name) and isinstance(node.value.value, str):
                    yield target.id, node.value.value


def _logged(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
            continue
        name, of = node.func.attr, node.func.value
        if isinstance(of, ast.Name) and of.id == "log" and name in LEVELS:
            yield LEVELS[name], node.args[0]
        elif name in TELLERS and isinstance(node.args[0], ast.Constant | ast.Name):
            yield TELLERS[name], node.args[0]


def _texts(argument: ast.expr, constants: dict[str, str]) -> Iterator[str]:
    if isinstance(argument, ast.Constant):
        # `tell` is also what announces work, by connections.
        if isinstance(argument.value, str):
            yield argument.value
    elif isinstance(argument, ast.Name):
        if argument.id in constants:
            yield constants[argument.id]
    else:
        pytest.fail(f"an event is a constant text: {ast.unparse(argument)}")


def documented() -> dict[str, str]:
    """What the page says of each."""
    found: dict[str, str] = {}
    for line in (ROOT / "docs" / "events.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 3 and cells[1] in LEVELS.values():
            for event in re.findall(r"`([^`]+)`", cells[0]):
                assert event not in found, event
                found[event] = cells[1]
    return found


def test_every_event_is_documented_at_its_level() -> None:
    logged = events()
    assert len(logged) > 40
    assert documented() == logged
