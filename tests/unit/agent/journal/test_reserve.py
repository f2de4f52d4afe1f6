from __future__ import annotations

from pathlib import Path

import pytest

from taskrunner.agent.journal.reserve import Reserve


def test_the_room_is_taken_once_and_given_up_once(tmp_path: Path) -> None:
    path = tmp_path / "reserve"
    reserve = Reserve(path)
    assert not reserve.give_up()
    reserve.make()
    reserve.make()
    assert path.stat().st_blocks * 512 >= 1 << 20
    assert reserve.give_up()
    assert not path.exists()
    assert not reserve.give_up()
    reserve.make()
    assert path.exists()


def test_what_a_dead_agent_left_counts(tmp_path: Path) -> None:
    Reserve(tmp_path / "reserve").make()
    reserve = Reserve(tmp_path / "reserve")
    reserve.make()
    assert reserve.give_up()


def test_a_file_system_that_promises_no_room_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / "reserve").symlink_to("/dev/null")  # which knows nothing of room
    reserve = Reserve(tmp_path / "reserve")
    reserve.make()
    assert reserve.give_up()
    with pytest.raises(FileNotFoundError):
        Reserve(tmp_path / "none" / "reserve").make()
