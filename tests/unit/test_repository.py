"""What the files beside the package promise about each other."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from taskrunner import __version__

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pinned(lock: str) -> dict[str, str]:
    """Name -> version and hashes, as a lock file has them."""
    text = (ROOT / lock).read_text()
    entries = re.findall(
        r"^([a-z0-9-]+)(?:\[[a-z0-9,-]+\])?==(.*?)(?=^[a-z]|\Z)", text, re.MULTILINE | re.DOTALL
    )
    return dict(entries)


def names(requirements: list[str]) -> set[str]:
    found = (re.match(r"[A-Za-z0-9-]+", requirement) for requirement in requirements)
    return {match.group().lower() for match in found if match}


def test_changelog_and_version_agree() -> None:
    released = re.findall(r"^## \[(\d[^\]]*)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert released[0] == __version__ == PROJECT["version"]


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_locks_pin_every_package_with_hashes_and_name_no_place(lock: str) -> None:
    packages = pinned(lock)
    assert packages
    assert [name for name, rest in packages.items() if "--hash=sha256:" not in rest] == []
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert " @ " not in text


def test_locks_hold_what_the_project_asks_for() -> None:
    runtime, development = pinned("requirements.lock"), pinned("requirements-dev.lock")
    assert names(PROJECT["dependencies"]) | {"hatchling"} <= runtime.keys()
    assert names(PROJECT["optional-dependencies"]["dev"]) <= development.keys()
    # One environment serves both: what is in both must be the same.
    assert {name: development.get(name) for name in runtime} == runtime


def test_the_readme_names_make_targets_that_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    used = set(re.findall(r"^ +make ([a-z]+)", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert {"demo", "test"} <= used <= targets


@pytest.mark.parametrize(
    "document",
    sorted(
        path.relative_to(ROOT).as_posix()
        for pattern in ("*.md", "docs/*.md", "examples/*.md")
        for path in ROOT.glob(pattern)
    ),
)
def test_links_lead_somewhere(document: str) -> None:
    path = ROOT / document
    links = re.findall(r"\]\(([^)#]+)\)", path.read_text())
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (path.parent / link).exists()] == []
