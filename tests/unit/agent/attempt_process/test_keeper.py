from __future__ import annotations

import logging
from pathlib import Path

import pytest

from taskrunner.agent.attempt_process.keeper import CappedHandler, LogKeeper, Room, TailFilter
from taskrunner.agent.secrets.masking import MASK, Masker
from taskrunner.host.capped_log import LEAST, gap_of, holes_work, marker
from tests.unit.agent.fakes import FakeClock

TAIL = 64 << 10


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "StdOutput"
    path.touch()
    return path


def test_the_keeper_looks_the_sooner_the_less_room_there_is(log: Path) -> None:
    if not holes_work(log):
        pytest.skip("the file system of the temporary folder has no holes")
    keeper = LogKeeper([log], 1 << 30, FakeClock())
    assert keeper.tick() == 0.5
    small = LogKeeper([log], 1 << 20, FakeClock())
    assert small.tick() == 0.05
    log.write_bytes(b"x" * (4 << 20))
    small.start()
    small.close()
    assert gap_of(log).left_out > 2 << 20


def test_without_holes_what_fits_passes_and_of_the_rest_the_end(log: Path) -> None:
    stream = TailFilter(Room(log, LEAST))
    data = b"".join(b"%015d\n" % number for number in range(1 << 16))
    written = b"".join(stream.feed(data[at : at + 1000]) for at in range(0, len(data), 1000))
    fits = LEAST - TAIL
    assert written == data[:fits]
    end = stream.flush()
    left_out = len(data) - fits - TAIL
    assert end == marker(left_out) + data[-TAIL:]
    assert gap_of(log).left_out == left_out


def test_without_holes_a_short_stream_is_whole(log: Path) -> None:
    stream = TailFilter(Room(log, LEAST))
    assert stream.feed(b"abc") + stream.flush() == b"abc"
    assert gap_of(log).left_out == 0


def test_several_streams_share_the_room_of_a_log(log: Path) -> None:
    room = Room(log, LEAST)
    first, second = TailFilter(room), TailFilter(room)
    assert len(first.feed(bytes(LEAST - TAIL))) == LEAST - TAIL
    assert second.feed(b"late") == b""
    assert second.flush() == b"late"
    assert first.flush() == b""


def test_what_is_held_is_masked(log: Path) -> None:
    stream = TailFilter(Room(log, LEAST), Masker(["secret-value"]).stream())
    stream.feed(bytes(LEAST))
    stream.feed(b"secret-")
    stream.feed(b"value")
    assert stream.flush().endswith(MASK.encode())


def test_without_holes_records_stop_and_say_so(log: Path) -> None:
    handler = CappedHandler(logging.FileHandler(log), Room(log, LEAST))
    for _ in range(300):
        handler.handle(logging.makeLogRecord({"msg": "x" * 1000}))
    handler.close()
    lines = log.read_text().splitlines()
    assert len(lines) == (LEAST - TAIL) // 1001 + 1
    assert lines[-1] == "the rest is left out by taskrunner's max_log_size"
