from __future__ import annotations

import os
from pathlib import Path

import pytest

from taskrunner.service.logs.kept import KeptLog
from taskrunner.service.logs.pages import Before, Page

TEXT = b"".join(b"line %d\n" % number for number in range(1000))


@pytest.fixture
def log(tmp_path: Path) -> KeptLog:
    (tmp_path / "StdOutput").write_bytes(TEXT)
    return KeptLog(tmp_path / "StdOutput", final=True)


def test_the_end_is_whole_lines_and_leads_back_to_the_beginning(log: KeptLog) -> None:
    page = log.tail(100)
    assert page.final
    assert page.last
    assert page.text.startswith(b"line ")
    assert page.text.endswith(b"line 999\n")
    assert len(page.text) <= 100
    found = page.text
    while page.offset:
        page = log.before_place(page.offset, 700)
        assert not page.last
        found = page.text + found
    assert found == TEXT


def test_what_follows_a_place_is_whole_lines_up_to_the_end(log: KeptLog) -> None:
    found, page = b"", log.at(0, 300)
    while True:
        assert page.offset == len(found)
        found += page.text
        if page.last:
            break
        assert page.text.endswith(b"\n")
        page = log.at(page.next_offset or 0, 300)
    assert found == TEXT


def test_a_log_that_is_written_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "StdOutput"
    log = KeptLog(path, final=False)
    assert log.tail(100) == Page(text=b"", offset=0, final=False, last=True)
    path.write_bytes(b"one\ntw")
    page = log.tail(100)
    assert (page.text, page.final, page.last) == (b"one\ntw", False, True)
    path.write_bytes(b"one\ntwo\n")
    assert log.at(page.next_offset or 0, 100).text == b"o\n"
    assert log.at(1000, 100).text == b""
    assert log.before(Before(begin=7), 100).text == b""


def test_nothing_is_followed_or_waited_for(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("not a log")
    (tmp_path / "StdOutput").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "StdError")
    for name in ("StdOutput", "StdError"):
        assert KeptLog(tmp_path / name, final=True).tail(100).text == b""
