from __future__ import annotations

import json
from pathlib import Path

import pytest

from taskrunner.errors import ConfigError
from taskrunner.service.auth_keys import ROLES, read_keys

SECRET = "0123456789abcdef"


def written(tmp_path: Path, text: str, *, name: str = "keys.toml", mode: int = 0o600) -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def refused(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        read_keys(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_keys_are_read_from_toml(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        f"""
        [[keys]]
        id = "AKRUNNER"
        secret = "{SECRET}"
        role = "runner"
        worker_groups = ["prod"]

        [[keys]]
        id = "AKADA"
        secret = "{SECRET}x"
        user = "ada"
        account = "42"
        actions = ["ListPipelines", "CreatePipeline"]
        """,
    )

    keys = read_keys(path)

    assert keys["AKRUNNER"].actions == ROLES["runner"]
    assert keys["AKRUNNER"].worker_groups == frozenset({"prod"})
    assert keys["AKRUNNER"].user == "AKRUNNER"
    assert (keys["AKADA"].user, keys["AKADA"].account) == ("ada", "42")
    assert keys["AKADA"].actions == {"ListPipelines", "CreatePipeline"}
    assert keys["AKADA"].worker_groups is None
    assert SECRET not in repr(keys)


def test_keys_are_read_from_json(tmp_path: Path) -> None:
    document = {"keys": [{"id": "AKA", "secret": SECRET, "role": "admin"}]}

    keys = read_keys(written(tmp_path, json.dumps(document), name="keys.json"))

    assert keys["AKA"].secret == SECRET


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    assert "chmod 600" in refused(written(tmp_path, "", mode=0o644))


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "none.toml")


KEY = f'[[keys]]\nid = "AKA"\nsecret = "{SECRET}"\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = = 1", "line 1"),
        ("", "'keys'"),
        ("keys = []", "at least one"),
        ("keys = [5]", "table"),
        (KEY, "role"),
        (KEY + 'role = "admin"\nactions = []\n', "one of 'role' and 'actions'"),
        (KEY + 'role = "king"\n', "runner, viewer, operator, author, admin"),
        (KEY + 'actions = ["MakeTea"]\n', "'MakeTea'"),
        (KEY + 'actions = "PollForTask"\n', "list of texts"),
        (KEY + 'role = "admin"\nworker_groups = [5]\n', "'worker_groups'"),
        (KEY + 'role = "admin"\nuser = ""\n', "'user'"),
        (KEY + 'role = "admin"\ncolour = "red"\n', "'colour'"),
        ('[[keys]]\nid = "a b"\nsecret = "x"\nrole = "admin"\n', "'id'"),
        ('[[keys]]\nid = "AKA"\nsecret = "short"\nrole = "admin"\n', "'secret'"),
        (2 * (KEY + 'role = "admin"\n'), "twice"),
    ],
)
def test_each_mistake_is_one_clear_sentence(tmp_path: Path, text: str, words: str) -> None:
    message = refused(written(tmp_path, text))

    assert words in message
    assert SECRET not in message
    assert "\n" not in message


def test_json_mistakes_are_said_as_well(tmp_path: Path) -> None:
    assert "line 1" in refused(written(tmp_path, "{", name="keys.json"))
    assert "'keys'" in refused(written(tmp_path, "[]", name="keys.json"))


def test_bytes_that_are_no_text_are_said(tmp_path: Path) -> None:
    path = written(tmp_path, "")
    path.write_bytes(b"\xff\xfe\x00")

    assert "UTF-8" in refused(path)
