from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from taskrunner.agent.attempt_process.environment import command_environment, passed_secrets
from taskrunner.host.users import User

AGENT = User(name="agent", uid=2, gid=2, groups=(2,), shell="/bin/bash")
OTHER = User(name="dp", uid=1, gid=1, groups=(1,), shell="/bin/sh")
#: What different starters leave in the environment of an agent.
STARTERS: Mapping[str, Mapping[str, str]] = {
    "env -i": {},
    "systemd": {"LANG": "en_US.UTF-8", "PATH": "/usr/bin", "USER": "root", "INVOCATION_ID": "1"},
    "cron": {"HOME": "/root", "LOGNAME": "root", "PATH": "/usr/bin:/bin", "SHELL": "/bin/sh"},
    "sudo": {"HOME": "/root", "USER": "root", "LOGNAME": "root", "SUDO_USER": "me", "PATH": ""},
    "a login": {"USER": "me", "LOGNAME": "me", "SHELL": "/bin/zsh", "LANG": "", "PATH": "/me/bin"},
}


def seen(
    environ: Mapping[str, str], *passed: str, own: User = AGENT, run_as: User | None = None
) -> dict[str, str]:
    return command_environment(
        environ, passed=passed, home=Path("/t"), mark="x", own=own, run_as=run_as
    )


@pytest.mark.parametrize("starter", STARTERS)
@pytest.mark.parametrize("run_as", [None, OTHER])
def test_who_a_command_is_does_not_depend_on_who_started_the_agent(
    starter: str, run_as: User | None
) -> None:
    found = seen(STARTERS[starter], run_as=run_as)
    user = run_as or AGENT
    assert (found["USER"], found["LOGNAME"], found["SHELL"]) == (user.name, user.name, user.shell)
    assert (found["HOME"], found["TMPDIR"]) == ("/t", "/t")
    assert set(found) == {
        *("HOME", "LANG", "LOGNAME", "PATH", "SHELL", "TASKRUNNER_ATTEMPT", "TMPDIR", "USER")
    }
    assert all(found.values())


@pytest.mark.parametrize("passed", [(), ("PATH", "LANG", "USER", "HOME")])
def test_a_path_and_a_language_are_there_even_when_the_agent_has_none(
    passed: tuple[str, ...],
) -> None:
    for environ in ({}, {"PATH": "", "LANG": "", "USER": "", "HOME": ""}):
        found = seen(environ, *passed)
        assert "/usr/bin" in found["PATH"].split(":")
        assert (found["LANG"], found["USER"], found["HOME"]) == ("C.UTF-8", "agent", "/t")


def test_the_agents_path_language_and_time_zone_are_the_commands_too() -> None:
    agent = {"PATH": "/opt/bin", "LANG": "de_DE.UTF-8", "LC_TIME": "C", "TZ": "Asia/Tokyo"}
    found = seen(agent)
    assert {name: found[name] for name in agent} == agent


@pytest.mark.parametrize("shell", ["/usr/sbin/nologin", "/bin/false", "/sbin/nologin"])
def test_an_account_that_nobody_may_log_in_to_has_a_shell_all_the_same(shell: str) -> None:
    assert seen({}, own=replace(AGENT, shell=shell))["SHELL"] == "/bin/sh"


def test_an_attempt_has_a_home_of_its_own_unless_the_agents_is_passed() -> None:
    agent = {"HOME": "/home/agent", "USER": "started-by", "PATH": "/bin"}
    own = seen(agent)
    assert (own["HOME"], own["TMPDIR"], own["USER"]) == ("/t", "/t", "agent")
    passed = seen(agent, "HOME", "USER")
    assert (passed["HOME"], passed["TMPDIR"]) == ("/home/agent", "/t")
    assert passed["USER"] == "started-by"


def test_another_users_commands_see_that_user_whatever_is_passed() -> None:
    agent = {"HOME": "/home/agent", "USER": "agent", "LOGNAME": "agent", "SHELL": "/bin/zsh"}
    found = seen(agent, "*", run_as=OTHER)
    assert {found["USER"], found["LOGNAME"]} == {"dp"}
    assert (found["HOME"], found["SHELL"]) == ("/t", "/bin/sh")


def test_secrets_that_commands_may_see_are_known() -> None:
    environ = {
        "AWS_SECRET_ACCESS_KEY": "one",
        "AWS_ACCESS_KEY_ID": "no secret",
        "AWS_REGION": "none either",
        "DB_PASSWORD": "two",
        "github_token": "three",
        "OTHER_SECRET": "not passed",
    }
    found = passed_secrets(environ, ["AWS_*", "DB_*", "git*"])
    assert set(found) == {"one", "two", "three"}
    assert list(passed_secrets(environ, [])) == []
