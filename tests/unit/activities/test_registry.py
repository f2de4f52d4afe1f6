from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from taskrunner.activities.registry import ACTIVITIES, PRECONDITIONS, Plugin, Registry
from taskrunner.activities.shell import ShellCommandActivity
from taskrunner.errors import ErrorId, PermanentTaskError


def _plugin(target: str, *, group: str = ACTIVITIES) -> Plugin:
    return Plugin(
        type="Some",
        group=group,
        target=target,
        origin="third-party",
        version="1.2",
        _entry_point=EntryPoint("Some", target, group),
    )


def test_the_built_in_plugins_are_registered_as_third_parties_are() -> None:
    registry = Registry.installed()
    shell = registry.get("ShellCommandActivity")
    assert shell.load() is ShellCommandActivity
    assert (shell.origin, shell.group) == ("taskrunner", ACTIVITIES)
    assert registry.get("ShellCommandPrecondition").group == PRECONDITIONS
    for name, plugin in registry.plugins.items():
        assert plugin.load().type == name


def test_an_unknown_type_names_the_known_ones() -> None:
    with pytest.raises(PermanentTaskError, match=r"'Nope'.*ShellCommandActivity") as caught:
        Registry.installed().get("Nope")
    assert caught.value.error_id == ErrorId.UNSUPPORTED_TYPE


@pytest.mark.parametrize(
    ("target", "group", "part"),
    [
        ("no_such_module:Class", ACTIVITIES, "cannot be imported: No module named"),
        ("json:dumps", ACTIVITIES, "is not an Activity"),
        ("taskrunner.activities.shell:ShellCommandActivity", PRECONDITIONS, "not an Precondition"),
    ],
)
def test_a_broken_plugin_says_what_is_wrong_with_it(target: str, group: str, part: str) -> None:
    with pytest.raises(PermanentTaskError, match=part) as caught:
        _plugin(target, group=group).load()
    assert caught.value.error_id == ErrorId.UNSUPPORTED_TYPE
