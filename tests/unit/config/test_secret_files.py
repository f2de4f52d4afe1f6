from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from taskrunner.config.load import Examined, examine, load
from taskrunner.config.setting import Setting
from taskrunner.config.settings import SETTINGS
from taskrunner.errors import ConfigError

SECRETS = [setting for setting in SETTINGS if setting.secret]
ids = [setting.name for setting in SECRETS]
VALUES = {"databases": '{"Db": "mysql://u:hush@h/d"}'}
PARSED: Mapping[str, object] = {"databases": {"Db": "mysql://u:hush@h/d"}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "empty.toml").write_text("")
    return tmp_path


def private(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def look(
    folder: Path, flags: Mapping[str, object] = {}, environ: Mapping[str, str] = {}
) -> Examined:
    return examine(flags, environ, file=str(folder / "empty.toml"))


def value(setting: Setting) -> str:
    return VALUES.get(setting.name, "hush")


@pytest.mark.parametrize("setting", SECRETS, ids=ids)
@pytest.mark.parametrize("way", ["flag", "variable", "key", "credential"])
def test_every_secret_can_come_from_a_file(setting: Setting, way: str, folder: Path) -> None:
    path = private(folder / setting.name, value(setting) + "\n")
    flags: dict[str, object] = {}
    environ: dict[str, str] = {}
    if way == "flag":
        flags[str(setting.file_name)] = str(path)
    elif way == "variable":
        environ[setting.file_variable] = str(path)
    elif way == "credential":
        environ["CREDENTIALS_DIRECTORY"] = str(folder)
    else:
        (folder / "empty.toml").write_text(f"\n{setting.file_name} = {str(path)!r}\n")
    found = look(folder, flags, environ)
    assert (found.errors, found.warnings) == ((), ())
    assert found.values[setting.name] == PARSED.get(setting.name, "hush")
    by = {
        "flag": setting.file_flag,
        "variable": setting.file_variable,
        "credential": "credential",
        "key": f"{folder / 'empty.toml'}:2",
    }
    assert found.origins[setting.name] == f"{path} ({by[way]})"


def test_databases_in_a_file_may_stand_in_lines(folder: Path) -> None:
    path = private(folder / "d", "A=mysql://a\n\n  B=sqlite:///b=c \n")
    found = look(folder, {"databases_file": str(path)})
    assert found.values["databases"] == {"A": "mysql://a", "B": "sqlite:///b=c"}


def test_what_counts_most_is_taken(folder: Path) -> None:
    for name in ("flag", "variable", "secret_key", "key"):
        private(folder / name, name)
    (folder / "empty.toml").write_text(f"secret_key_file = '{folder / 'key'}'")
    flags: dict[str, object] = {"secret_key_file": str(folder / "flag")}
    environ = {
        "TASKRUNNER_SECRET_KEY_FILE": str(folder / "variable"),
        "CREDENTIALS_DIRECTORY": str(folder),
    }
    assert look(folder, flags, environ).values["secret_key"] == "flag"
    assert look(folder, {}, environ).values["secret_key"] == "variable"
    assert look(folder, {"secret_key": "x"}, environ).values["secret_key"] == "x"
    del environ["TASKRUNNER_SECRET_KEY_FILE"]
    assert look(folder, {}, environ).values["secret_key"] == "secret_key"
    assert look(folder).values["secret_key"] == "key"


def test_a_value_and_a_file_for_it_in_one_place_are_a_mistake(folder: Path) -> None:
    found = look(folder, {"secret_key": "a", "secret_key_file": "/b"})
    assert found.errors == ("--secret-key and --secret-key-file: one or the other",)
    environ = {"TASKRUNNER_PROXY_PASSWORD": "a", "TASKRUNNER_PROXY_PASSWORD_FILE": "b"}
    (error,) = look(folder, {}, environ).errors
    assert error.endswith("TASKRUNNER_PROXY_PASSWORD_FILE: one or the other")


def test_inner_newlines_stay_and_the_last_one_goes(folder: Path) -> None:
    path = private(folder / "s", " a\nb \r\n")
    assert look(folder, {"secret_key_file": str(path)}).values["secret_key"] == " a\nb "


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"hush\xff", "is not UTF-8 text"),
        (b"x" * (1 << 20) + b"yy", "is larger than 1 MB"),
    ],
)
def test_a_file_that_is_no_secret_is_one_error_without_its_content(
    folder: Path, content: bytes | None, part: str
) -> None:
    path = folder / "bad"
    if content is not None:
        path.write_bytes(content)
    (error,) = look(folder, {}, {"TASKRUNNER_SECRET_KEY_FILE": str(path)}).errors
    assert error.startswith(f"TASKRUNNER_SECRET_KEY_FILE: the file {path} ")
    assert part in error
    assert "hush" not in error


def test_a_wrong_value_in_a_file_is_not_repeated(folder: Path) -> None:
    path = private(folder / "d", "hush-without-equals")
    (error,) = look(folder, {"databases_file": str(path)}).errors
    assert error.startswith(f"--database-file: {path}: found a value, wanted ID=URL")
    assert "hush" not in error


@pytest.mark.parametrize(
    ("mode", "warned"), [(0o600, False), (0o640, False), (0o604, True), (0o644, True)]
)
def test_a_secret_that_others_can_read_is_warned_of(
    folder: Path, mode: int, *, warned: bool
) -> None:
    path = private(folder / "s", "hush", mode)
    found = look(folder, {"secret_key_file": str(path)})
    assert bool(found.warnings) is warned
    for text in found.warnings:
        who = "every user of this host can read it"
        assert text == f"{path}: secret_key is in it, and {who}; chmod 600 {path}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_strangers_group_is_another_matter_than_ours(folder: Path) -> None:
    path = private(folder / "secret_key", "hush", 0o640)
    os.chown(path, 0, 12345)
    (warning,) = look(folder, {"secret_key_file": str(path)}).warnings
    assert "the group 12345 can read it" in warning
    # There the group's bits are the access list that lets the service read it.
    assert look(folder, {}, {"CREDENTIALS_DIRECTORY": str(folder)}).warnings == ()


def test_a_settings_file_with_a_secret_is_for_its_group_at_most(folder: Path) -> None:
    path = private(folder / "empty.toml", "secret_key = 'hush'", 0o644)
    (warning,) = look(folder).warnings
    assert warning.startswith(f"{path}: secret_key is in it, and every user")
    path.chmod(0o640)
    assert look(folder).warnings == ()


def test_the_login_in_a_url_is_not_in_the_error_about_it(folder: Path) -> None:
    (error,) = look(folder, {"endpoint": "ftp://me:hush@host"}).errors
    assert "hush" not in error


def test_a_reload_reads_the_files_again(folder: Path) -> None:
    path = private(folder / "s", "old")
    flags = {"worker_group": ("w",), "access_id": "A", "secret_key_file": str(path)}
    file = str(folder / "empty.toml")
    assert load(flags, {}, file=file).settings.secret_key == "old"
    path.write_text("new")
    assert load(flags, {}, file=file).settings.secret_key == "new"
    path.unlink()
    with pytest.raises(ConfigError, match="--secret-key-file: the file"):
        load(flags, {}, file=file)
