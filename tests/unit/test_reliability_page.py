"""docs/reliability.md says of every invariant and threat what shows it: those tests are there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
INVARIANTS = [
    *(f"A{number}" for number in range(1, 12)),
    *(f"B{number}" for number in range(1, 9)),
    *("C1", "C2", "D1", "D2", "D3", "E1", "E2", "L1"),
]
THREATS = [f"T{number}" for number in range(1, 27)]
#: A file of tests, and perhaps one of them; elsewhere on the page a file may be named alone.
NAMED = re.compile(r"`((?:tests/[\w/]+/)?\w+\.py)(?:::(\w+))?`")
ADMITTED = re.compile("not (defended|tested)", re.IGNORECASE)


def rows(heading: str) -> dict[str, str]:
    """The first table below a heading: its rows by their first cell."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    cells = [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in section.splitlines()
        if line.startswith("|")
    ]
    found = {row[0].strip("| "): row[-1].strip("| ") for row in cells[2:]}
    assert len(found) == len(cells) - 2
    return found


def named(text: str) -> Iterator[tuple[str, str]]:
    yield from NAMED.findall(text)


@cache
def names_in(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)
    )


@cache
def files_of_tests() -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in (ROOT / "tests").rglob("*.py"):
        found.setdefault(path.name, []).append(path)
    return found


def test_every_invariant_and_threat_has_its_row() -> None:
    assert list(rows("Every invariant")) == INVARIANTS
    assert list(rows("Every threat")) == THREATS


@pytest.mark.parametrize("mark", [*INVARIANTS, *THREATS])
def test_each_names_a_test_or_admits_that_there_is_none(mark: str) -> None:
    told = {**rows("Every invariant"), **rows("Every threat")}[mark]

    same_run = {"A2": "the same run"}.get(mark, "")
    assert any(named(told)) or ADMITTED.search(told) or (same_run and same_run in told), told


def test_every_test_that_the_page_names_is_there() -> None:
    missing = []
    for name, test in named(PAGE):
        known = [ROOT / name] if "/" in name else files_of_tests().get(name, [])
        # What the product is made of is named, too.
        there = [path for path in known if path.is_file()]
        if not there and "/" not in name:
            there = list((ROOT / "taskrunner").rglob(name))
        if not there or (test and not any(test in names_in(path) for path in there)):
            missing.append(f"{name}::{test}" if test else name)
    assert missing == []


def test_a_name_of_no_test_would_be_found() -> None:
    (name, test) = next(named("`tests/unit/test_docs.py::test_of_nothing`"))

    assert (ROOT / name).is_file()
    assert test not in names_in(ROOT / name)
    assert "test_prose_is_wrapped" in names_in(ROOT / name)
