"""What the documentation promises of itself: up to date, and of a width that people can read."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WIDTH = 100
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("README.md", "CONTRIBUTING.md", "docs/*.md", "examples/**/*.md")
    for path in ROOT.glob(pattern)
)


def prose(text: str) -> Iterator[tuple[int, str]]:
    """The lines, with their numbers, that are neither code nor part of a table."""
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            fenced = not fenced
        elif not (fenced or line.startswith(("|", "    "))):
            yield number, line


@pytest.mark.parametrize("page", PAGES)
def test_prose_is_wrapped(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert [f"line {number}" for number, line in prose(text) if len(line) > WIDTH] == []


def test_a_long_line_is_found_in_prose_and_left_alone_in_code_and_tables() -> None:
    long = "x" * (WIDTH + 1)
    text = f"{long}\n- {long}\n| {long} |\n    {long}\n```\n{long}\n```\n  {long}\n"
    assert [number for number, line in prose(text) if len(line) > WIDTH] == [1, 2, 8]


def test_generated_pages_are_what_the_tables_say(capsys: pytest.CaptureFixture[str]) -> None:
    spec = importlib.util.spec_from_file_location("gen", ROOT / "scripts" / "generate_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.main(["--check"]) == 0, capsys.readouterr().out
