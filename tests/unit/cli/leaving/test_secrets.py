from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from taskrunner.cli.leaving.secrets import NoSecret, Secrets, given_secrets
from taskrunner.errors import UsageError

HUSH = "hush-hush"


def secrets(entry: Any, **environ: str) -> Secrets:
    return Secrets({"p": {"A/*password": entry}}, environ)


def texts(entry: Any, **environ: str) -> tuple[str, ...] | None:
    return secrets(entry, **environ).texts(["p"], "A/*password")


def test_a_text_a_list_a_variable_a_file_and_a_command(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{HUSH}\n")
    command = [sys.executable, "-c", f"print({HUSH!r})"]
    assert texts(HUSH) == (HUSH,)
    assert texts([HUSH, {"env": "V"}], V="v") == (HUSH, "v")
    assert texts({"file": str(file)}) == (HUSH,)
    assert texts({"command": command}) == (HUSH,)


def test_a_command_that_several_name_runs_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = f"open({str(log)!r}, 'a').write('x'); print('y')"
    entry = {"command": [sys.executable, "-c", code]}
    found = Secrets({"*": {"a": entry, "b": entry}}, {})
    assert [found.texts(["p"], place) for place in "ab"] == [("y",), ("y",)]
    assert log.read_text() == "x"


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (3, "found another form, wanted a text"),
        ({"env": "V", "file": "F"}, "found another form"),
        ({"vault": "x"}, "found another form"),
        ({}, "found another form"),
        ({"env": "NOT_THERE"}, "the variable NOT_THERE is not set"),
        ({"env": 1}, "env: found 1, wanted a text"),
        ({"file": "/nowhere/x"}, "the file /nowhere/x cannot be read"),
        ({"command": []}, "command: found [], wanted a list of texts"),
        ({"command": ["/nowhere/x"]}, "/nowhere/x cannot be run"),
        ({"command": ["false"]}, "false ended with exit code 1"),
        ({"command": ["true"]}, "true printed nothing"),
    ],
)
def test_an_entry_that_gives_nothing_says_where_and_why(entry: Any, said: str) -> None:
    with pytest.raises(NoSecret) as caught:
        texts(entry)
    assert str(caught.value).startswith("--secrets: p: A/*password: ")
    assert said in str(caught.value)


def test_the_pipelines_own_entry_comes_before_that_of_all() -> None:
    found = Secrets({"*": {"x": "all", "y": "all"}, "df-1": {"x": "own"}, "q": {"z": "q"}}, {})
    assert found.texts(["p", "df-1"], "x") == ("own",)
    assert found.texts(["p", "df-1"], "y") == ("all",)
    assert found.texts(["p", "df-1"], "z") is None
    assert list(found.unused([(("p", "df-1"), ["x", "y"])])) == ["q: z"]
    assert list(found.unused([(["q"], ["z"]), (["df-1"], ["y"])])) == ["df-1: x"]


def test_files_are_toml_or_json_and_win_over_a_commands(tmp_path: Path) -> None:
    toml, json_file = tmp_path / "s.toml", tmp_path / "s.json"
    toml.write_text('["my pipeline"]\n"A/*password" = "one"\n')
    json_file.write_text('{"my pipeline": {"A/*password": "two", "*myX": "three"}}')
    for path in (toml, json_file):
        path.chmod(0o600)
    both = given_secrets(toml, f"cat {json_file}", {})
    assert both.texts(["my pipeline"], "A/*password") == ("one",)
    assert both.texts(["my pipeline"], "*myX") == ("three",)
    assert given_secrets(None, None, {}).texts(["p"], "x") is None


def test_who_else_can_read_the_file_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "s.toml"
    path.write_text('[p]\nx = "y"\n')
    path.chmod(0o644)
    given_secrets(path, None, {})
    assert "can be read by every user of this host" in capsys.readouterr().err


@pytest.mark.parametrize("text", [f"x = {HUSH}", f'{{"p": {HUSH}}}', f'p = "{HUSH}"'])
def test_a_file_of_another_form_is_refused_and_not_shown(tmp_path: Path, text: str) -> None:
    path = tmp_path / "s"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(UsageError) as caught:
        given_secrets(path, None, {})
    assert str(path) in str(caught.value)
    assert HUSH not in str(caught.value)


@pytest.mark.parametrize("command", ["", "'", "false", "/nowhere/x"])
def test_a_command_that_gives_no_file_is_refused(command: str) -> None:
    with pytest.raises(UsageError, match="--secrets-command"):
        given_secrets(None, command, {})
