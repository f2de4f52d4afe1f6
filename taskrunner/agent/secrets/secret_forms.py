"""The forms in which a secret may appear in a log: plain, quoted, escaped or encoded.

What is shorter than 8 characters is no secret here: it would hide ordinary words all over a log.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, quote_plus

from taskrunner.logins import SHORTEST, is_findable

#: Tools break base64 into lines of 64 or 76 characters; what is shorter is found without.
_SHORTEST_WRAPPED = 40
#: From this length on, a part of a secret is found by fewer and longer runs.
_SHORTEST_LONG = 32
_ESCAPE = re.compile("%[0-9A-F]{2}")
_PLAIN = re.compile(r"([^A-Za-z0-9_@%+=:,./-])")


def forms_of(secret: str) -> frozenset[bytes]:
    """Every form that is looked for; none for a secret that is too short."""
    return frozenset(form for text in _parts(secret) for form in _written(text))


def wrappable_forms_of(secret: str) -> frozenset[bytes]:
    """The forms that may be broken into lines anywhere."""
    cores = (core for text in _wholes(secret) for core in _base64(_bytes(text)))
    return frozenset(core for core in cores if len(core) >= _SHORTEST_WRAPPED)


def long_forms_of(secret: str) -> frozenset[bytes]:
    """The forms of a long secret of which a part gives much away, as in the quotes of an error."""
    return _quotable(secret) if len(secret) >= _SHORTEST_LONG else frozenset()


def short_forms_of(secret: str) -> frozenset[bytes]:
    """The same of one that is not long: what is quoted of it may be most of it."""
    short = len(secret) < _SHORTEST_LONG and is_findable(secret)
    return _quotable(secret) if short else frozenset()


def _quotable(secret: str) -> frozenset[bytes]:
    texts = (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1])
    return frozenset(map(_bytes, texts))


def _bytes(text: str) -> bytes:
    # Whatever a service may send, lone surrogates included.
    return text.encode("utf-8", "surrogatepass")


def _wholes(secret: str) -> Iterator[str]:
    stripped = secret.strip()
    for text in dict.fromkeys((secret, stripped, secret.replace("\n", "\r\n"))):
        if is_findable(text):
            yield text


def _parts(secret: str) -> Iterator[str]:
    """The secret, and those of its lines and, if it is JSON, of its texts that are long enough."""
    yield from _wholes(secret)
    for line in secret.splitlines():
        for text in {line, line.strip()}:
            if text != secret and is_findable(text):
                yield text
    if secret.lstrip()[:1] in {"{", "["}:
        try:
            content = json.loads(secret)
        except (ValueError, RecursionError):
            return
        yield from (text for text in _texts(content) if is_findable(text))


def _texts(content: Any) -> Iterator[str]:
    pending = [content]
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            pending += value.values()
        elif isinstance(value, list):
            pending += value


def _written(text: str) -> Iterator[bytes]:
    raw = _bytes(text)
    yield raw
    for form in _quoted(text):
        yield _bytes(form)
    yield _bytes(repr(raw)[2:-1])
    yield from _base64(raw)


def _quoted(text: str) -> Iterator[str]:
    """In a URL, in JSON, in Python's and the shell's quotes."""
    for safe in ("", "/"):
        escaped = quote(text, safe=safe, errors="surrogatepass")
        yield from (escaped, _ESCAPE.sub(_lowered, escaped))
    escaped = quote_plus(text, errors="surrogatepass")
    yield from (escaped, _ESCAPE.sub(_lowered, escaped))
    for in_json in (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]):
        yield from (in_json, in_json.replace("/", "\\/"))
    yield repr(text)[1:-1]
    yield from (text.replace("'", "'\"'\"'"), text.replace("'", "'\\''"))
    yield _PLAIN.sub(r"\\\1", text)
    yield json.dumps(text, ensure_ascii=False)[1:-1].replace('\\"', '"').replace("'", "\\'")


def _lowered(found: re.Match[str]) -> str:
    return found[0].lower()


def _base64(raw: bytes) -> Iterator[bytes]:
    """In the middle of other base64, only the characters that no neighbour shares are sure."""
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + raw)
        end = len(encoded) - (0, 3, 2)[(shift + len(raw)) % 3]
        core = encoded[(0, 2, 3)[shift] : end]
        if len(core) >= SHORTEST:
            yield core
            yield core.translate(bytes.maketrans(b"+/", b"-_"))
