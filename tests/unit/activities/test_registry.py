from __future__ import annotations

import pytest

from taskrunner import DISTRIBUTION
from taskrunner.activities.registry import Registry
from taskrunner.activities.shell import ShellCommandActivity
from taskrunner.errors import ErrorId, PermanentTaskError
from taskrunner.plugins.discovery import Kind


def test_the_built_in_plugins_are_registered_as_third_parties_are() -> None:
    registry = Registry.installed()
    shell = registry.get("ShellCommandActivity")
    assert shell.load() is ShellCommandActivity
    assert (shell.origin, shell.kind) == (DISTRIBUTION, Kind.ACTIVITY)
    assert registry.get("ShellCommandPrecondition").kind is Kind.PRECONDITION
    for name, plugin in registry.plugins.items():
        assert plugin.load().type == name


def test_an_unknown_type_names_the_known_ones() -> None:
    with pytest.raises(PermanentTaskError, match=r"'Nope'.*ShellCommandActivity") as caught:
        Registry.installed().get("Nope")
    assert caught.value.error_id == ErrorId.UNSUPPORTED_TYPE
