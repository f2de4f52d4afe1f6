from __future__ import annotations

import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from taskrunner.errors import ConfigError
from taskrunner.service.key_file import KeyFile

SECRET = "0123456789abcdef"


def write(path: Path, *ids: str, secret: str = SECRET) -> None:
    """Replace the file, as editors do."""
    new = path.with_suffix(".new")
    new.touch(0o600)
    new.write_text("".join(f'[[keys]]\nid="{i}"\nsecret="{secret}"\nrole="admin"\n' for i in ids))
    new.replace(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "keys.toml"
    write(path, "AKONE", "AKTWO")
    return path


def test_a_file_that_changes_is_read_anew(path: Path) -> None:
    keys = KeyFile(path)
    assert sorted(keys) == ["AKONE", "AKTWO"]

    write(path, "AKTWO", "AKTHREE", secret=SECRET + "x")
    assert sorted(keys) == ["AKONE", "AKTWO"]
    with capture_logs() as log:
        keys.refresh()

    assert sorted(keys) == ["AKTHREE", "AKTWO"]
    assert len(keys) == 2
    assert keys["AKTWO"].secret == SECRET + "x"
    (record,) = log
    assert (record["new"], record["changed"]) == (["AKTHREE"], ["AKTWO"])
    assert record["revoked"] == ["AKONE"]
    assert SECRET not in str(log)


def test_a_broken_file_changes_nothing_and_is_told_of_once(path: Path) -> None:
    keys = KeyFile(path)
    path.write_text("[[keys")

    with capture_logs() as log:
        for _ in range(3):
            keys.refresh()

    assert sorted(keys) == ["AKONE", "AKTWO"]
    assert [record["log_level"] for record in log] == ["error"]
    assert str(path) in log[0]["error"]


def test_a_file_that_is_gone_changes_nothing(path: Path) -> None:
    keys = KeyFile(path)
    path.unlink()

    keys.refresh()

    assert sorted(keys) == ["AKONE", "AKTWO"]
    write(path, "AKTHREE")
    keys.refresh()
    assert list(keys) == ["AKTHREE"]


def test_it_is_read_when_asked_though_it_looks_the_same(path: Path) -> None:
    keys = KeyFile(path)
    before = path.stat()
    path.write_text(path.read_text().replace("AKONE", "AKNEW"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    keys.refresh()
    assert "AKONE" in keys
    keys.ask()
    keys.refresh()

    assert "AKNEW" in keys
    assert "AKONE" not in keys


def test_it_must_be_right_at_first(path: Path) -> None:
    path.write_text("[[keys")

    with pytest.raises(ConfigError):
        KeyFile(path)


@pytest.mark.parametrize(("mode", "folder_mode"), [(0o660, 0o755), (0o600, 0o775)])
def test_keys_that_others_can_change_are_complained_of(
    path: Path, mode: int, folder_mode: int
) -> None:
    path.chmod(mode)
    path.parent.chmod(folder_mode)
    with capture_logs() as log:
        keys = KeyFile(path)
    (told,) = log
    wrong = path if folder_mode == 0o755 else path.parent
    command = "g-w,o-rwx" if wrong is path else "go-w"
    assert told["remedy"] == f"chmod {command} {wrong}"
    assert sorted(keys) == ["AKONE", "AKTWO"]


def test_keys_that_a_group_reads_may_be_meant_so(path: Path) -> None:
    path.chmod(0o640)
    path.parent.chmod(0o750)
    with capture_logs() as log:
        KeyFile(path)
    assert log == []
