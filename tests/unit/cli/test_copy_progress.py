from __future__ import annotations

import io

import pytest

from taskrunner.cli.copy_bar import Bar
from taskrunner.cli.copy_progress import Quiet, duration, progress_on, size_of, summary


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")


def test_only_a_terminal_is_shown_a_bar() -> None:
    assert isinstance(progress_on(io.StringIO(), rows=None, quiet=False), Quiet)
    assert isinstance(progress_on(Terminal(), rows=None, quiet=True), Quiet)
    assert isinstance(progress_on(Terminal(), rows=None, quiet=False), Bar)
    with Quiet() as quiet:
        quiet.progress(rows=1)


def test_numbers_for_people() -> None:
    assert [size_of(n) for n in (0, 999, 1000, 1_500_000, 3e15)] == [
        *("0 B", "999 B", "1.0 kB", "1.5 MB", "3000.0 TB")
    ]
    assert [duration(n) for n in (0.4, 59, 61, 3660)] == ["0 s", "59 s", "1 min 1 s", "1 h 1 min"]
    assert summary({"rows": 1234, "bytes": 0, "files": 1}) == "1 file, 1,234 rows"
    assert summary({}) == "nothing"
