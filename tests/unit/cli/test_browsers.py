from __future__ import annotations

import re
import webbrowser
from html import unescape
from pathlib import Path

import pytest

from taskrunner.cli import browsers

URL = 'http://127.0.0.1:1/secret/p/df-1/grid?a="b"'


def test_the_page_is_opened_by_a_file_that_others_cannot_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def opens(address: str) -> bool:
        opened.append(address)
        return True

    monkeypatch.setattr(webbrowser, "open", opens)
    monkeypatch.setenv("DISPLAY", ":0")
    (tmp_path / browsers.FILE).symlink_to(tmp_path / "elsewhere")
    assert browsers.show_secret(URL, tmp_path)
    # Commands and their arguments are listed for all users.
    (file,) = opened
    assert "secret" not in file
    written = Path(file.removeprefix("file://"))
    assert written == tmp_path / browsers.FILE
    assert written.stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "elsewhere").exists()
    (leads,) = re.findall(r'content="0; url=([^"]+)"', written.read_text())
    assert unescape(leads) == URL


def test_without_a_screen_nothing_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    assert not browsers.show_secret(URL, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_browser_that_cannot_be_started_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_address: str) -> bool:
        raise webbrowser.Error("could not locate runnable browser")

    monkeypatch.setattr(webbrowser, "open", fails)
    monkeypatch.setenv("DISPLAY", ":0")
    assert not browsers.show_secret(URL, tmp_path)
    assert not browsers.show_secret(URL, tmp_path / "missing")
