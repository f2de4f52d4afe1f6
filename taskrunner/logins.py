"""What is not for messages: the passwords in URLs, and which secrets are looked for in a text.

One rule holds for logs, verdicts, errors and alarms: a secret is found by its letters, and only
when it has enough of them, since a short one would hide ordinary words. Where a message has the
form of a login (a URL, `password=...`) the password is known by its place, and goes however short
it is.
"""

from __future__ import annotations

import re

MASK = "********"
#: What is shorter is not looked for in texts.
SHORTEST = 8
#: User, and all else up to the last @ before a slash: a password may hold an @ that nobody escaped.
_LOGIN = re.compile(r"//([^/:@]*)([^/]*)@")
#: As a URL's parameters and the connection strings of databases' libraries have it.
_PARAMETER = re.compile(r"\b(password\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s'\"&;,)]+)", re.IGNORECASE)


def is_findable(secret: str) -> bool:
    """Whether a secret is long enough to be looked for in texts."""
    return len(secret.strip()) >= SHORTEST


def hide_secret(text: str, secret: str | None, mask: str = MASK) -> str:
    """A text of somebody else's without a secret, should it quote it, and without any login."""
    if secret is not None and is_findable(secret):
        text = text.replace(secret, mask)
    return _PARAMETER.sub(rf"\1{mask}", hide_passwords(text))


def hide_passwords(text: str) -> str:
    """The text with the passwords in its URLs hidden, and names without one: they may be tokens."""
    return _LOGIN.sub(_hidden, text)


def _hidden(login: re.Match[str]) -> str:
    user = f"{login[1]}:" if login[2].startswith(":") else ""
    return f"//{user}{MASK}@"
