"""Keeps secret values out of logs: whole texts, and streams in which a secret may be split."""

from __future__ import annotations

import base64
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote, quote_plus, urlsplit

from taskrunner.model.task import Task

__all__ = ["MASK", "Masker", "StreamMask", "secrets_of"]

MASK = "*********"
#: Shorter values would mask ordinary words all over a log.
_SHORTEST = 4
#: An encoded form is masked when at least so much of it does not depend on its neighbours.
_SHORTEST_ENCODED = 8


def secrets_of(task: Task, databases: Mapping[str, str]) -> Iterator[str]:
    """Every encrypted field (`*name`) of a task, and the passwords in database redirections."""
    for item in task.objects.values():
        for field in item.fields:
            if field.key.startswith("*") and isinstance(field.value, str):
                yield field.value
    for url in databases.values():
        if password := urlsplit(url).password:
            yield password


class Masker:
    """Replaces each secret, in its usual encodings too, by asterisks."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets for form in _forms(secret)}
        ordered = sorted(forms, key=len, reverse=True)
        self.longest = len(ordered[0]) if ordered else 0
        self.pattern = re.compile(b"|".join(map(re.escape, ordered))) if ordered else None

    def __bool__(self) -> bool:
        return self.pattern is not None

    def text(self, text: str) -> str:
        """The text without secrets."""
        if self.pattern is None:
            return text
        raw = text.encode("utf-8", "surrogateescape")
        return self.pattern.sub(MASK.encode(), raw).decode("utf-8", "surrogateescape")

    def stream(self) -> StreamMask:
        """A filter for one stream of output."""
        return StreamMask(self)


class StreamMask:
    """Masks a stream; holds back as much as the longest secret could still complete."""

    def __init__(self, masker: Masker) -> None:
        self._pattern = masker.pattern
        self._keep = max(masker.longest - 1, 0)
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Take bytes; returns those that are now known to be safe."""
        return self._take(self._held + data, keep=self._keep)

    def flush(self) -> bytes:
        """The end of the stream."""
        return self._take(self._held, keep=0)

    def _take(self, data: bytes, *, keep: int) -> bytes:
        if self._pattern is None:
            return data
        cut = max(len(data) - keep, 0)
        pieces: list[bytes] = []
        position = 0
        for match in self._pattern.finditer(data):
            if match.start() >= cut:
                break
            pieces += [data[position : match.start()], MASK.encode()]
            position = match.end()
        cut = max(cut, position)
        self._held = data[cut:]
        return b"".join([*pieces, data[position:cut]])


def _forms(secret: str) -> Iterator[bytes]:
    raw = secret.encode()
    for line in {raw, *raw.splitlines()}:
        if len(line.strip()) >= _SHORTEST:
            yield line
            yield from _encoded(line.decode("utf-8", "replace"), line)


def _encoded(text: str, raw: bytes) -> Iterator[bytes]:
    for form in (quote(text, safe=""), quote_plus(text), json.dumps(text)[1:-1], shlex.quote(text)):
        yield form.encode()
    for shift in range(3):
        # In the middle of other base64, only the characters that no neighbour shares are sure.
        encoded = base64.b64encode(bytes(shift) + raw)
        end = len(encoded) - (0, 3, 2)[(shift + len(raw)) % 3]
        core = encoded[(0, 2, 3)[shift] : end]
        if len(core) >= _SHORTEST_ENCODED:
            yield core
            yield core.translate(bytes.maketrans(b"+/", b"-_"))
