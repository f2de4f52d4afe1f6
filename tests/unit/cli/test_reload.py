"""What of the settings an agent takes over while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from taskrunner import logs
from taskrunner.cli.reload import Reloader
from taskrunner.config.load import Loaded
from taskrunner.config.settings import SETTINGS, Settings
from taskrunner.errors import ConfigError

OLD = Settings(worker_group=("g",), work_dir=Path("/w"), tasks=4, drain_timeout=300.0)


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def _reading(settings: Settings) -> Callable[[], Loaded]:
    return lambda: Loaded(settings=settings, origins={})


def test_live_settings_are_taken_over_and_the_others_wait_for_a_restart(
    capsys: pytest.CaptureFixture[str],
) -> None:
    new = Settings(worker_group=("h",), work_dir=Path("/w"), drain_timeout=7.0, log_format="json")
    reloader = Reloader(OLD, _reading(new))
    found = reloader()
    assert found is not None
    for setting in SETTINGS:
        expected = new if setting.live else OLD
        assert getattr(found, setting.name) == getattr(expected, setting.name), setting.name
    told = capsys.readouterr().err
    assert '"drain_timeout": "300.0 -> 7.0"' in told
    assert '"need_restart": ["worker_group"]' in told
    assert reloader() == found, "what waits for a restart waits on"


def test_wrong_settings_change_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    def broken() -> Loaded:
        raise ConfigError("t.toml:1: tasks: found 0")

    logs.configure(level="info", form="json")
    assert Reloader(OLD, broken)() is None
    assert "t.toml:1: tasks: found 0" in capsys.readouterr().err
