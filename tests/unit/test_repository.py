"""What the files beside the package promise about each other."""

from __future__ import annotations

import re
import subprocess
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from taskrunner import DISTRIBUTION, __version__

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


def test_the_distribution_is_called_as_the_program_says() -> None:
    assert PROJECT["name"] == DISTRIBUTION


def test_the_environment_has_it_once_and_under_its_name() -> None:
    owners = {point.dist.name for point in entry_points(group="taskrunner.formats") if point.dist}
    assert owners == {DISTRIBUTION}, "run `make demo` or `make test`: they install it anew"


def installs(text: str) -> list[str]:
    """What pip, uv and pipx are told to install in a text, and what a project depends on."""
    continued = text.replace("\\\n", " ")
    commands = re.findall(r"(?:pipx?3?|uv tool|[/}\"')])[\"']? +install\b([^\n`;|&]*)", continued)
    words = [word.strip("\"'(),") for command in commands for word in re.split(r"\s+", command)]
    words += re.findall(r"(?:dependencies|requires)[^=\n]*= *\[([^\]]*)\]", text)
    words += re.findall(
        r"^ *([A-Za-z0-9._-]+ *(?:\[[^\]\n]*\])? *[=~<>!]=[^\n]*)$", text, re.MULTILINE
    )
    return [part.strip(" \"'\n") for word in words for part in word.split(",")]


#: Names the package of PyPI that is somebody else's, as pip would read a requirement.
STRANGERS = re.compile(r"taskrunner\s*(\[[^\]]*\]?)?\s*([=~<>!@;].*)?", re.IGNORECASE)


@pytest.mark.parametrize(
    "text",
    [
        "pip install taskrunner",
        "    sudo /opt/taskrunner/bin/pip install --upgrade 'taskrunner[mysql]'",
        "python3 -m pip install -q \\\n  taskrunner==0.3.0",
        '"$PREFIX/bin/pip" install "taskrunner"',
        "-> `pip install Taskrunner`",
        "uv pip install taskrunner",
        "pipx install taskrunner",
        "boto3>=1\ntaskrunner>=0.1\n",
        'dependencies = [\n    "boto3",\n    "taskrunner>=0.1",\n]',
        'dependencies = ["taskrunner"]',
    ],
)
def test_the_strangers_package_would_be_found(text: str) -> None:
    assert any(STRANGERS.fullmatch(wanted) for wanted in installs(text))


def test_nothing_installs_the_strangers_package() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        pytest.skip("needs a checkout of git: it looks at every file in it")
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    own = Path(__file__).resolve()
    found = [
        f"{path.relative_to(ROOT)}: {wanted}"
        for path in files
        if path != own and path.is_file()
        for wanted in installs(path.read_text(encoding="utf-8", errors="replace"))
        if STRANGERS.fullmatch(wanted)
    ]
    assert found == []


@pytest.mark.parametrize(
    "lock",
    [
        *("requirements.lock", "requirements-dev.lock", "requirements-spark.lock"),
        "requirements-databases.lock",
    ],
)
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
    assert (
        names(PROJECT["optional-dependencies"]["spark"]) <= pinned("requirements-spark.lock").keys()
    )
    for extra in ("oracle", "sqlserver"):
        asked = names(PROJECT["optional-dependencies"][extra])
        assert asked <= pinned("requirements-databases.lock").keys()
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
