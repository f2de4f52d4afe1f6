from __future__ import annotations

import io

import pytest

from taskrunner.cli.copy_bar import Bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")


@pytest.mark.parametrize(
    ("rows", "fields", "share"),
    [
        (None, {"rows": 5, "bytes": 2_000_000, "percent": 40}, 0.4),
        (20, {"rows": 5, "bytes": 2_000_000}, 0.25),
        # More came than there seemed to be: then nobody knows.
        (4, {"rows": 5, "bytes": 2_000_000}, None),
        (None, {"rows": 5, "bytes": 2_000_000}, None),
    ],
)
def test_a_bar_shows_how_far_it_is(
    rows: int | None, fields: dict[str, int], share: float | None
) -> None:
    terminal = Terminal()
    with Bar(terminal, rows=rows) as bar:
        bar.progress(**fields)
        (task,) = bar.tasks
    assert (task.completed / task.total if task.total else None) == share
    assert "5 rows, 2.0 MB" in terminal.getvalue()
