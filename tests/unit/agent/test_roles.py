from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from taskrunner import DISTRIBUTION
from taskrunner.activities.registry import Registry
from taskrunner.agent.roles import Loader
from taskrunner.plugins.discovery import Kind, Plugin


class Point(EntryPoint):
    """Counts how often its plugin is loaded."""

    def load(self) -> object:
        loads.append(self.name)
        raise ImportError("gone since the agent started")


loads: list[str] = []


@pytest.fixture
def loader() -> Loader:
    loads.clear()
    plugins = [plugin("OurActivity", DISTRIBUTION), plugin("TheirActivity", "somebody-elses")]
    return Loader(Registry({found.name: found for found in plugins}))


def plugin(name: str, origin: str) -> Plugin:
    point = Point(name=name, value=f"module:{name}", group=Kind.ACTIVITY.group)
    return Plugin(
        name=name,
        kind=Kind.ACTIVITY,
        target=point.value,
        origin=origin,
        version="1",
        _entry_point=point,
    )


def test_what_two_tasks_wanted_is_loaded_once_and_no_failure_ends_the_server(
    loader: Loader,
) -> None:
    loaded = []
    for _ in range(4):
        loader(b"OurActivity", None)
        loaded.append(len(loads))
    assert loaded == [0, 1, 1, 1]


@pytest.mark.parametrize("kind", [b"TheirActivity", b"NobodysActivity", b""])
def test_what_is_not_ours_is_left_to_the_attempts(loader: Loader, kind: bytes) -> None:
    for _ in range(3):
        loader(kind, None)
    assert loads == []
