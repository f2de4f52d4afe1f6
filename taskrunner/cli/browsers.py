"""Opening a page in the browser of whoever sits here, where there is one."""

from __future__ import annotations

import os
import sys
import webbrowser
from html import escape
from pathlib import Path

#: Leads to the page. As a file it is its owner's alone, and what a browser is started with is not:
#: other users of the host may list commands with their arguments.
_LEADS_ON = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta http-equiv="refresh" content="0; url={url}">
<title>taskrunner</title></head>
<body><p><a href="{url}">To the console</a></p></body>
</html>
"""
FILE = "console.html"


def has_browser() -> bool:
    """Whether there is a screen: elsewhere a browser in the terminal would take its place."""
    on_screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(on_screen) or sys.platform == "darwin"


def show_secret(url: str, folder: Path) -> bool:
    """Open an address that others must not see, by a file in a folder of ours; whether it did."""
    if not has_browser():
        return False
    file = folder / FILE
    try:
        file.unlink(missing_ok=True)
        descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            out.write(_LEADS_ON.format(url=escape(url, quote=True)))
        return webbrowser.open(file.absolute().as_uri())
    except (OSError, webbrowser.Error):
        return False
