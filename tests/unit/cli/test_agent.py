"""The agent's start, before there is an agent."""

from __future__ import annotations

import errno
import os
from pathlib import Path, PosixPath

import pytest

from taskrunner.cli.agent import _closed_to_tasks, make_work_dir
from taskrunner.errors import ConfigError, TaskrunnerError
from taskrunner.host.users import User


class Disk(PosixPath):
    """A folder on a disk on which nothing can be made."""

    number = 0

    def mkdir(self, *_args: object, **_kwargs: object) -> None:
        raise OSError(self.number, os.strerror(self.number))


def _refusal(number: int) -> TaskrunnerError:
    disk = Disk("/w")
    disk.number = number
    with pytest.raises(TaskrunnerError) as caught:
        make_work_dir(disk)
    return caught.value


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE])
def test_a_work_folder_that_cannot_be_used_now_is_no_wrong_setting(number: int) -> None:
    # Wrong settings end with a code after which systemd does not start the agent again.
    refusal = _refusal(number)
    assert not isinstance(refusal, ConfigError)
    assert str(refusal).startswith(f"work folder /w: cannot be written to ({os.strerror(number)})")
    assert "df -i" in str(refusal)


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOTDIR, errno.EROFS])
def test_one_that_never_can_be_used_is_a_wrong_setting(number: int) -> None:
    refusal = _refusal(number)
    assert isinstance(refusal, ConfigError)
    assert str(refusal).endswith("set --work-dir")


def test_a_work_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    make_work_dir(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o7777 == 0o700
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_a_program_that_tasks_users_cannot_read_is_told_once_for_each() -> None:
    one, two = (
        User(name=name, uid=uid, gid=uid, groups=(uid,), shell="/bin/sh")
        for name, uid in (("one", 901), ("two", 902))
    )
    users = {"a": one, "b": one, "c": two}
    (told,) = _closed_to_tasks(users, lambda user: "/root is closed" if user is one else "")
    assert told.startswith("run_as_user: /root is closed, so that a task fails which needs")
    assert "a venv in /opt/taskrunner" in told
