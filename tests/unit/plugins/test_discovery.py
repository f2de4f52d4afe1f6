from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, EntryPoint, distributions
from pathlib import Path
from typing import ClassVar

import pytest

from taskrunner import DISTRIBUTION
from taskrunner.activities.base import Activity, Context, FieldSpec
from taskrunner.data.databases.sqlite import SqliteDatabase
from taskrunner.data.formats.base import Format
from taskrunner.errors import ErrorId, PermanentTaskError
from taskrunner.plugins import discovery as plugins
from taskrunner.plugins.discovery import Kind, Plugin, discover

SHELL = "taskrunner.activities.shell:ShellCommandActivity"
SQLITE = "taskrunner.data.databases.sqlite:SqliteDatabase"


class Good(Activity):
    type = "Good"

    def run(self, ctx: Context) -> None:
        raise NotImplementedError


class Future(Good):
    api_version: ClassVar[int] = 99


class Ancient(Good):
    api_version: ClassVar[int] = 0


class Odd(Good):
    type = "Even"


class Names(Good):
    fields = ("whom", "times")  # type: ignore[assignment]


class Words(Good):
    fields = (FieldSpec(name="times", slot="integer"),)  # type: ignore[arg-type]


class Unschemed(SqliteDatabase):
    scheme = "Good"  # type: ignore[assignment]


class Method(Format):
    def fields(self) -> list[str]:
        raise NotImplementedError


def _point(
    folder: Path, name: str, target: str = SHELL, *, kind: Kind = Kind.ACTIVITY, dist: str = "acme"
) -> EntryPoint:
    """An entry point as an installed distribution has it."""
    info = folder / f"{dist}-1.2.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[{kind.group}]\n{name} = {target}\n")
    (found,) = distributions(path=[str(folder)], name=dist)
    assert isinstance(found, Distribution)
    (point,) = found.entry_points
    return point


def _one(points: Iterator[EntryPoint] | list[EntryPoint], origin: str = "acme") -> Plugin:
    (plugin,) = [plugin for plugin in discover(points) if plugin.origin == origin]
    return plugin


def test_everything_that_is_built_in_loads() -> None:
    found = discover()
    assert {plugin.kind for plugin in found} == set(Kind)
    for plugin in (plugin for plugin in found if plugin.built_in):
        assert plugin.load() is not None
        assert plugin.missing() is None


def test_a_plugin_is_found_with_its_package_and_not_imported(tmp_path: Path) -> None:
    plugin = _one([_point(tmp_path, "Good", "no_such_module_at_all:Good")])
    assert (plugin.name, plugin.kind, plugin.version) == ("Good", Kind.ACTIVITY, "1.2")
    assert not plugin.built_in
    assert plugin.missing() == "there is no module no_such_module_at_all"


def test_what_a_package_says_of_itself_is_read_once() -> None:
    class Large(Distribution):
        read: ClassVar[list[str]] = []

        def read_text(self, filename: str) -> str:
            self.read.append(filename)
            return "Metadata-Version: 2.1\nName: acme\nVersion: 1.2\n"

        def locate_file(self, path: object) -> Path:
            raise NotImplementedError

    large = Large()
    points = [EntryPoint(f"Good{n}", SHELL, Kind.ACTIVITY.group) for n in range(9)]
    for point in points:
        vars(point)["dist"] = large
    found = discover(points)
    assert {(plugin.origin, plugin.version) for plugin in found} == {("acme", "1.2")}
    assert len(found) == 9
    assert len(large.read) <= 2, "for its name, and for its version"


def test_looking_for_a_module_imports_nothing(tmp_path: Path) -> None:
    package = tmp_path / "seeks_and_tells"
    package.mkdir()
    (package / "__init__.py").write_text("raise AssertionError('imported')")
    (package / "inner.py").write_text("")
    sys.path.insert(0, str(tmp_path))
    try:
        assert _one([_point(tmp_path, "A", "seeks_and_tells.inner:A")]).missing() is None
        assert _one([_point(tmp_path, "A", "seeks_and_tells.other:A")]).missing() is not None
        assert _one([_point(tmp_path, "A", "seeks_and_tells.inner.x:A")]).missing() is not None
    finally:
        sys.path.remove(str(tmp_path))
    assert "seeks_and_tells" not in sys.modules


def test_a_built_in_stands_against_another_of_its_name(tmp_path: Path) -> None:
    own = _point(tmp_path, "CopyActivity", dist="taskrunner_agent")
    for kind in (Kind.ACTIVITY, Kind.PRECONDITION, Kind.FORMAT):
        other = _point(tmp_path, "CopyActivity", kind=kind)
        refused = _one([other, own])
        assert refused.refused == "CopyActivity is built into taskrunner"
        with pytest.raises(PermanentTaskError, match=r"acme 1.2\) is not used: CopyActivity is"):
            refused.load()
        assert _one([other, own], DISTRIBUTION).refused is None
        assert "uninstall acme" in plugins.remedy(refused)


def test_what_was_installed_under_the_former_name_is_no_built_in(tmp_path: Path) -> None:
    own = _point(tmp_path, "CopyActivity", dist="taskrunner_agent")
    former = _one([_point(tmp_path, "CopyActivity", dist="taskrunner"), own], "taskrunner")
    assert not former.built_in
    assert former.refused is not None
    wanted = "uninstall taskrunner, then install taskrunner-agent again, its name since then"
    assert plugins.remedy(former) == wanted


def test_a_scheme_is_no_object_type(tmp_path: Path) -> None:
    own = _point(tmp_path, "mysql", dist="taskrunner_agent", kind=Kind.DATABASE)
    assert _one([_point(tmp_path, "mysql"), own]).refused is None


def test_a_name_that_two_claim_is_nobodys(tmp_path: Path) -> None:
    points = [_point(tmp_path, "Good"), _point(tmp_path, "Good", dist="Big_Corp")]
    assert _one(points).refused == "big-corp 1.2 has a plugin of this name too; keep one"
    assert _one(points, "big-corp").refused == "acme 1.2 has a plugin of this name too; keep one"


@pytest.mark.parametrize(
    ("target", "kind", "part"),
    [
        ("no_such_module:Class", Kind.ACTIVITY, "cannot be imported: No module named"),
        ("json:nothing", Kind.ACTIVITY, "cannot be imported: module 'json' has no attribute"),
        ("json:dumps", Kind.ACTIVITY, "is not a subclass of taskrunner.activities.base.Activity"),
        (SHELL, Kind.PRECONDITION, "is not a subclass of .*Precondition"),
        (SHELL, Kind.DATABASE, "is not a subclass of .*Database"),
        (SHELL, Kind.FORMAT, "is not a subclass of .*Format"),
        (SHELL, Kind.ACTIVITY, "calls itself 'ShellCommandActivity', and its entry point 'Good'"),
        (f"{__name__}:Odd", Kind.ACTIVITY, "calls itself 'Even'"),
        (f"{__name__}:Future", Kind.ACTIVITY, "version 99 .* this has 1: upgrade taskrunner-agent"),
        (f"{__name__}:Names", Kind.ACTIVITY, "has 'whom' among its fields; wanted a tuple of Fi"),
        (f"{__name__}:Words", Kind.ACTIVITY, "slot='integer'.* among its fields; wanted a tuple"),
        (f"{__name__}:Method", Kind.FORMAT, "has <function .* as its fields; wanted a tuple"),
        (
            f"{__name__}:Unschemed",
            Kind.DATABASE,
            r"has 'Good' as its scheme; wanted Scheme\(name='G",
        ),
        (SQLITE, Kind.DATABASE, "calls itself 'sqlite', and its entry point 'Good'"),
        (f"{__name__}:Ancient", Kind.ACTIVITY, "version 0 .* this has 1: upgrade acme"),
    ],
)
def test_a_broken_plugin_says_what_is_wrong_with_it(
    tmp_path: Path, target: str, kind: Kind, part: str
) -> None:
    plugin = _one([_point(tmp_path, "Good", target, kind=kind)])
    with pytest.raises(PermanentTaskError, match=part) as caught:
        plugin.load()
    assert caught.value.error_id == ErrorId.UNSUPPORTED_TYPE
    assert "acme 1.2" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_right_one_loads(tmp_path: Path) -> None:
    assert _one([_point(tmp_path, "Good", f"{__name__}:Good")]).load() is Good
