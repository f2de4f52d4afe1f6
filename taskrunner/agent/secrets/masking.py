"""Keeps secret values out of logs: whole texts, and streams in which a secret may be split.

Everything that is looked for is looked for by the substring search of `bytes`, whose time is linear
in the text whatever the two hold. What overlaps is hidden together.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

from taskrunner.agent.secrets.fragments import Fragments
from taskrunner.agent.secrets.secret_forms import (
    forms_of,
    long_forms_of,
    short_forms_of,
    wrappable_forms_of,
)
from taskrunner.model.task import Task

MASK = "*********"

_Span = tuple[int, int]


def secrets_of(task: Task, databases: Mapping[str, str]) -> Iterator[str]:
    """The values of every secret field (`*name`) of a task, and passwords in database URLs."""
    for item in task.objects.values():
        for field in item.fields:
            if not isinstance(field.value, str):
                continue
            if field.key.startswith("*"):
                yield field.value
            elif field.key == "connectionString":
                yield from _passwords(field.value.removeprefix("jdbc:"))
    for url in databases.values():
        yield from _passwords(url)


def _passwords(url: str) -> Iterator[str]:
    """The password of a URL, before its host or among its parameters, as written and as meant."""
    try:
        parts = urlsplit(url)
        found = [parts.password]
        found += [v for k, v in parse_qsl(parts.query.replace(";", "&")) if k == "password"]
    except ValueError:
        return
    for password in filter(None, found):
        yield from {password, unquote(password)}


class Masker:
    """Replaces each secret, in its usual encodings too, by asterisks."""

    def __init__(self, secrets: Iterable[str]) -> None:
        given = set(map(str, secrets))
        forms = frozenset[bytes]().union(*map(forms_of, given))
        wrappable = frozenset[bytes]().union(*map(wrappable_forms_of, given))
        #: Secrets that are too short to be hidden.
        self.too_short = sum(1 for secret in given if secret and not forms_of(secret))
        self._forms = _Forms(forms)
        self._wrappable = _Forms(wrappable)
        long = frozenset[bytes]().union(*map(long_forms_of, given))
        short = frozenset[bytes]().union(*map(short_forms_of, given))
        self._fragments = (Fragments(long), Fragments(short, short=True))

    def __bool__(self) -> bool:
        return bool(self._forms)

    def text(self, text: str) -> str:
        """The text without secrets; messages quote, so parts of long ones are taken out too."""
        if not self:
            return text
        raw = text.encode("utf-8", "surrogatepass")
        parts = [span for fragments in self._fragments for span in fragments.find(raw)]
        spans = list(_merged(sorted([*self.spans(raw), *parts])))
        return _hidden(raw, spans, 0, len(raw)).decode("utf-8", "surrogatepass") if spans else text

    def stream(self) -> StreamMask:
        """A filter for one stream of output."""
        return StreamMask(self)

    def spans(self, data: bytes) -> list[_Span]:
        """Where secrets stand, in order; none overlap."""
        found = list(self._forms.find(data))
        if self._wrappable and (joined := _Joined(data)).differs:
            inner = self._wrappable.find(joined.data)
            found += [(joined.place(start), joined.place(end - 1) + 1) for start, end in inner]
        return list(_merged(sorted(found)))

    def begins(self, data: bytes) -> int:
        """Where the first of what might become a secret with more data begins; else the end."""
        start = self._forms.begins(data)
        if self._wrappable and (joined := _Joined(data)).differs:
            inner = self._wrappable.begins(joined.data)
            if inner < len(joined.data):
                start = min(start, joined.place(inner))
        return start


class StreamMask:
    """Masks a stream; holds back only what may be the beginning of a secret."""

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._held = b""
        #: How much of what is held has been hidden already, and only helps to find more.
        self._hidden = 0

    def feed(self, data: bytes) -> bytes:
        """Take bytes; returns those that are now known to be safe."""
        if not self._masker:
            return data
        return self._take(self._held + data, more=True)

    def flush(self) -> bytes:
        """The end of the stream."""
        return self._take(self._held, more=False)

    def _take(self, data: bytes, *, more: bool) -> bytes:
        cut = self._masker.begins(data) if more else len(data)
        spans = [(0, self._hidden)] if self._hidden else []
        spans = list(_merged([*spans, *self._masker.spans(data)]))
        out = _hidden(data, spans, self._hidden, cut)
        # A secret that reaches beyond the cut has been told by its asterisks.
        begun = (end for start, end in spans if start < cut or (start == 0 and self._hidden))
        told = max(begun, default=0)
        self._held = data[cut:]
        self._hidden = max(told - cut, 0)
        return out


class _Forms:
    """Byte strings to look for."""

    def __init__(self, forms: Iterable[bytes]) -> None:
        ordered = sorted(set(forms), key=len)
        # What holds a shorter one is found by it, but not hidden whole: all are needed.
        self._all = ordered
        self._longest = len(ordered[-1]) if ordered else 0

    def __bool__(self) -> bool:
        return bool(self._all)

    def find(self, data: bytes) -> Iterator[_Span]:
        for form in self._all:
            size = len(form)
            start = data.find(form)
            while start >= 0:
                last = start
                # Those that overlap it, from the last one on: a run of them costs few steps.
                while (later := data.rfind(form, last + 1, last + 2 * size - 1)) >= 0:
                    last = later
                yield start, last + size
                start = data.find(form, last + size)

    def begins(self, data: bytes) -> int:
        """The start of the longest end of the data that some form begins with."""
        first = len(data)
        for form in self._all:
            position = max(len(data) - len(form) + 1, 0)
            head = form[:1]
            while 0 <= (position := data.find(head, position)) < first:
                if form.startswith(data[position : position + 8]) and form.startswith(
                    data[position:]
                ):
                    first = position
                    break
                position += 1
        return first


class _Joined:
    """Data with its lines joined, and the way back."""

    def __init__(self, data: bytes) -> None:
        self.data = data.translate(None, b"\r\n")
        self.differs = len(self.data) < len(data)
        self._source = data
        self._kept: list[int] | None = None

    def place(self, position: int) -> int:
        """Where a byte of the joined data stands in the whole."""
        if self._kept is None:
            # Of each line end, the place in the joined data where it was.
            ends = re.finditer(b"[\r\n]", self._source)
            self._kept = [found.start() - number for number, found in enumerate(ends)]
        return position + bisect_right(self._kept, position)


def _merged(spans: Iterable[_Span]) -> Iterator[_Span]:
    """Spans in the order of their starts, those that overlap as one."""
    current: _Span | None = None
    for start, end in spans:
        if current is not None and start < current[1]:
            current = (current[0], max(current[1], end))
        else:
            if current is not None:
                yield current
            current = (start, end)
    if current is not None:
        yield current


def _hidden(data: bytes, spans: Iterable[_Span], start: int, end: int) -> bytes:
    """The bytes from start to end with each span that begins there replaced by asterisks."""
    pieces = []
    position = start
    for first, last in spans:
        if last <= position:
            continue
        if first >= end:
            break
        if first >= position:
            pieces += [data[position:first], MASK.encode()]
        position = last
    pieces.append(data[position:end])
    return b"".join(pieces)
