"""What keeps an agent from starting although each of its settings is right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from taskrunner.cli.start_checks import Process, check_start, refusals
from taskrunner.config.load import examine, load
from taskrunner.errors import ConfigError

ROOT, SOMEBODY = Process(uid=0, gid=0), Process(uid=4711, gid=4711)


@pytest.fixture
def file(tmp_path: Path) -> str:
    """In place of this host's own settings."""
    path = tmp_path / "t.toml"
    path.write_text('worker_group = ["g"]\n')
    return str(path)


@pytest.mark.parametrize(
    ("flags", "process", "said"),
    [
        ({}, ROOT, "tasks of the worker group 'g' would run as root"),
        ({"databases": ("Db=foo://h/d",)}, SOMEBODY, "database 'Db': there is no driver for 'foo'"),
        ({"run_as_user": ("no-such",)}, SOMEBODY, "this host has no user 'no-such'"),
        ({"run_as_user": ("root",)}, SOMEBODY, "'root' is root"),
        ({"run_as_user": ("root",), "allow_root": "true"}, ROOT, "is the agent's own user"),
    ],
)
def test_agent_and_check_refuse_the_same(
    file: str, flags: dict[str, object], process: Process, said: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        check_start(load(flags, {}, file=file).settings, process)
    (told,) = refusals(examine(flags, {}, file=file), process)
    assert said in told


def test_what_does_as_it_is(file: str) -> None:
    for flags, process in (({}, SOMEBODY), ({"allow_root": "true"}, ROOT)):
        check_start(load(flags, {}, file=file).settings, process)
        assert list(refusals(examine(flags, {}, file=file), process)) == []


def test_nothing_is_made_up_about_values_that_are_wrong(file: str) -> None:
    flags: dict[str, object] = {"allow_root": "maybe", "databases": ("Db",)}
    assert list(refusals(examine(flags, {}, file=file), ROOT)) == []


def test_a_user_without_a_name_has_a_number() -> None:
    assert (ROOT.name, SOMEBODY.name) == ("root", "4711")
