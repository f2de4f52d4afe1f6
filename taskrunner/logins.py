"""Logins in URLs, which are not for messages."""

from __future__ import annotations

import re

MASK = "********"
#: User, and all else up to the last @ before a slash: a password may hold an @ that nobody escaped.
_LOGIN = re.compile(r"//([^/:@]*)([^/]*)@")


def hide_passwords(text: str) -> str:
    """The text with the passwords in its URLs hidden, and names without one: they may be tokens."""
    return _LOGIN.sub(_hidden, text)


def _hidden(login: re.Match[str]) -> str:
    user = f"{login[1]}:" if login[2].startswith(":") else ""
    return f"//{user}{MASK}@"
