"""What the documentation promises of itself: up to date, and of a width that people can read."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from taskrunner.data.dynamodb.nodes import ITEM_FORMATS
from taskrunner.model.catalog import CATALOG, category, field_text

ROOT = Path(__file__).resolve().parents[2]
WIDTH = 100


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


WRAPPER = script("wrap_docs")
PAGES = [path.relative_to(ROOT).as_posix() for path in WRAPPER.pages()]


def prose(text: str) -> Iterator[tuple[int, str]]:
    """The lines, with their numbers, that are neither code nor part of a table."""
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            fenced = not fenced
        elif not (fenced or line.startswith("    ") or line.lstrip().startswith("|")):
            yield number, line


@pytest.mark.parametrize("page", PAGES)
def test_prose_is_wrapped(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    too_long = [f"line {number}" for number, line in prose(text) if len(line) > WIDTH]
    assert too_long == [], "run scripts/wrap_docs.py"


def test_a_long_line_is_found_in_prose_and_left_alone_in_code_and_tables() -> None:
    long = "x" * (WIDTH + 1)
    text = f"{long}\n- {long}\n| {long} |\n    {long}\n```\n{long}\n```\n  {long}\n  | {long} |\n"
    assert [number for number, line in prose(text) if len(line) > WIDTH] == [1, 2, 8]


def test_wrapping_fills_prose_alone_and_breaks_no_code_and_no_link() -> None:
    words = " ".join(["words"] * 25)
    text = (
        f"{words} `code in a line` [a link](to/a page)\nshort\n\n- {words}\n  more\n\nCode:\n\n"
        f"    {words}\n\n| {words} |\n\n- item\n\n  | {words} |\n\n```\n"
        f"{words}\n```\n\nshort\nlines stay\n"
    )
    wrapped = WRAPPER.wrap(text)
    assert wrapped.split() == text.split()
    assert [line for _, line in prose(wrapped) if len(line) > WIDTH] == []
    for whole in (
        "`code in a line`",
        "[a link](to/a page)",
        f"    {words}\n",
        f"\n| {words} |",
        f"\n  | {words} |",
    ):
        assert whole in wrapped
    assert f"```\n{words}\n```\n\nshort\nlines stay\n" in wrapped
    assert re.search(r"^- words.*\n  words.* more$", wrapped, re.MULTILINE)
    assert WRAPPER.wrap(wrapped) == wrapped


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    return script("generate_docs")


def test_generated_pages_are_what_the_tables_say(
    generator: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert generator.main(["--check"]) == 0, capsys.readouterr().out


def tree() -> set[str]:
    """Every package and every module at the top of taskrunner, as the map names them."""
    top = ROOT / "taskrunner"
    packages = {path.parent.relative_to(top).as_posix() for path in top.glob("*/**/__init__.py")}
    return packages | {path.stem for path in top.glob("*.py")} - {"__init__"}


def rooms(text: str) -> list[str]:
    """The first cells of the map's table."""
    _, _, rest = text.partition("\n## The map\n")
    section = rest.partition("\n## ")[0]
    return re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)


def test_the_map_names_every_room_once_and_nothing_else() -> None:
    named = rooms((ROOT / "docs/architecture.md").read_text(encoding="utf-8"))
    assert sorted(named) == sorted(tree())


def test_imports_point_as_the_contract_has_it() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    _, _, section = text.partition("\n## Which way imports point\n")
    (block,) = re.findall(r"(?:^    .*\n)+", section.partition("\n- ")[0], re.MULTILINE)
    drawn = [set(re.findall(r"\w+", layer)) for layer in block.split("->")]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    (layers,) = [c["layers"] for c in contracts if c.get("containers") == ["taskrunner"]]
    assert drawn == [set(re.findall(r"\w+", layer)) for layer in layers if layer != "__main__"]


def test_paths_that_the_architecture_names_are_there() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    named = re.findall(r"`([a-z_]+/[a-z_/]+\.py)`", text)
    paths = [path.removeprefix("taskrunner/") for path in named if not path.startswith("scripts/")]
    assert {"service/runtime.py", "config/settings.py", "data/databases/schemes.py"} <= {*paths}
    assert [path for path in paths if not (ROOT / "taskrunner" / path).is_file()] == []


def test_the_readme_says_what_runs(generator: ModuleType) -> None:
    table = "\n".join(generator.runs_table())
    assert f"\n{table}\n" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_table_of_what_runs_is_that_of_the_entry_points(generator: ModuleType) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    heads = {
        "Activities": ("activity", "activities"),
        "Preconditions": ("precondition", "preconditions"),
        "Data formats": ("dataformat", "formats"),
    }
    rows = [line.strip("|").split("|") for line in generator.runs_table()[2:]]
    # Without a third column nothing is left.
    named = {row[0].strip(): (row[1].split(", "), "".join(row[2:]).split(", ")) for row in rows}
    for head, (key, group) in heads.items():
        done, left = ({name.strip() for name in names if name.strip()} for names in named[head])
        registered = set(project["entry-points"][f"taskrunner.{group}"])
        # Items of DynamoDB are no rows, so their formats are none of the plugins.
        registered |= set(ITEM_FORMATS) if group == "formats" else set()
        types = set(category(key))
        assert done == registered & types
        assert left == types - registered


def test_no_text_of_a_field_promises_encryption() -> None:
    secrets = {n for t in CATALOG.values() for n in t.fields if n.startswith("*")}
    assert secrets
    assert {name: field_text(name) for name in secrets if "encrypt" in field_text(name)} == {}


def test_the_examples_of_adding_fit_the_files_that_they_change() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```diff\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    changed = [part for example in examples for part in example.split("+++ b/")[1:]]
    assert len(changed) >= 6
    for part in changed:
        name, *lines = part.splitlines()
        there = (ROOT / name).read_text(encoding="utf-8") if (ROOT / name).exists() else ""
        # What stands there today; a new file is all additions.
        today = [line[1:] for line in lines if line[:1] in {" ", "-"} and line.strip()]
        assert [line for line in today if f"\n{line}\n" not in there] == [], name
