"""The rows of files, read by COPY's options: each value a text or NULL. Pure."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from taskrunner.data.redshift.options import Option
from taskrunner.data.redshift.tokens import unreadable

#: The number of the line that a record begins in, and its values, or what is wrong with it.
Record = tuple[int, "list[str | None] | str"]
_SPECIAL = {"t": "\t", "n": "\n", "r": "\r"}
_PATH = re.compile(r"\.([\w$-]+)|\[\s*'([^']*)'\s*\]|\[\s*\"([^\"]*)\"\s*\]|\[\s*(\d+)\s*\]")
_ENCODINGS = {
    "UTF8": "utf-8-sig",
    "UTF16": "utf-16",
    "UTF16LE": "utf-16-le",
    "UTF16BE": "utf-16-be",
    "ISO88591": "latin-1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the values of a COPY stand in its files."""

    options: Mapping[str, Option]
    #: The columns that are loaded, as the catalog has them.
    columns: tuple[str, ...]
    #: JSONPath expressions, one a column; None: by the columns' names.
    paths: tuple[str, ...] | None = None

    def has(self, name: str) -> bool:
        """Whether an option is given."""
        return name in self.options

    def value(self, name: str, default: str) -> str:
        """What an option is given."""
        option = self.options.get(name)
        return default if option is None or option.value is None else option.value

    @property
    def delimiter(self) -> str:
        """What separates values."""
        found = self.value("DELIMITER", "," if self.has("CSV") else "|")
        if len(found) != 1:
            raise unreadable(f"COPY: DELIMITER is {found!r}, wanted a single character")
        return found

    @property
    def null(self) -> str:
        """The text that means NULL."""
        return self.value("NULL", "\\N")


def records(data: Iterable[bytes], layout: Layout) -> Iterator[Record]:
    """The records of one file."""
    text = _decoded(data, layout)
    if layout.has("JSON"):
        return _json(text, layout)
    if layout.has("CSV"):
        found = _csv(text, layout)
    elif layout.has("FIXEDWIDTH"):
        found = _fixed(text, layout)
    else:
        found = _delimited(text, layout)
    skipped = int(layout.value("IGNOREHEADER", "0"))
    return (record for record in found if record[0] > skipped)


def _decoded(data: Iterable[bytes], layout: Layout) -> Iterator[str]:
    """The lines, with their ends."""
    name = layout.value("ENCODING", "UTF8")
    if name not in _ENCODINGS:
        raise unreadable(f"COPY: ENCODING is {name}, known: {', '.join(_ENCODINGS)}")
    wrong = "replacement" if layout.has("ACCEPTINVCHARS") else "strict"
    if wrong == "replacement":
        _register(layout.value("ACCEPTINVCHARS", "?"))
        wrong = _INVALID
    raw = io.BufferedReader(_Chunks(data))
    return io.TextIOWrapper(raw, encoding=_ENCODINGS[name], errors=wrong, newline="\n")


_INVALID = "taskrunner-acceptinvchars"


def _register(character: str) -> None:
    import codecs

    def replaced(error: UnicodeError) -> tuple[str, int]:
        if not isinstance(error, UnicodeDecodeError):
            raise error
        return character * (error.end - error.start), error.end

    codecs.register_error(_INVALID, replaced)


class _Chunks(io.RawIOBase):
    """Pieces of bytes as a file."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = piece
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def _delimited(lines: Iterable[str], layout: Layout) -> Iterator[Record]:
    split = _splitter(layout)
    escapes = layout.has("ESCAPE")
    held, begun = "", 0
    for number, line in enumerate(lines, 1):
        begun = begun or number
        held += line
        body = held.removesuffix("\n")
        if escapes and _is_open(body):
            continue
        yield begun, split(body.removesuffix("\r") if not escapes else _without_return(body))
        held, begun = "", 0
    if held:
        yield begun, "the file ends with an escape character"


def _is_open(text: str) -> bool:
    return (len(text) - len(text.rstrip("\\"))) % 2 == 1


def _without_return(text: str) -> str:
    return text[:-1] if text.endswith("\r") and not _is_open(text[:-1]) else text


def _splitter(layout: Layout) -> Callable[[str], list[str | None] | str]:
    delimiter, null = layout.delimiter, layout.null
    if not layout.has("ESCAPE") and not layout.has("REMOVEQUOTES"):
        return lambda text: [None if v == null else v for v in text.split(delimiter)]
    quotes, escapes = layout.has("REMOVEQUOTES"), layout.has("ESCAPE")
    field = _field(delimiter, quotes=quotes, escapes=escapes)

    def split(text: str) -> list[str | None] | str:
        if not quotes and "\\" not in text:
            return [None if value == null else value for value in text.split(delimiter)]
        values: list[str | None] = []
        position = 0
        while True:
            match = field.match(text, position)
            if match is None:
                return "a quote has no end"
            inside = match["quoted"]
            value = inside[1:-1] if inside is not None else match["plain"]
            values.append(None if value == null else _unescaped(value) if escapes else value)
            if not match["end"]:
                return values
            position = match.end()

    return split


def _field(delimiter: str, *, quotes: bool, escapes: bool) -> re.Pattern[str]:
    """One value, and what ends it."""
    end = re.escape(delimiter)
    escape, others = (r"\\(?:.|\Z)|", r"\\") if escapes else ("", "")
    quoted = rf"(?P<quote>[\"'])(?:{escape}(?!(?P=quote))[^{others}])*(?P=quote)"
    if not escapes:
        quoted = r"(?P<quote>[\"'])(?:(?!(?P=quote)).)*(?P=quote)"
    plain = rf"(?:{escape}[^{end}{others}])*"
    first = f"(?P<quoted>{quoted})|" if quotes else "(?P<quoted>(?!))|"
    return re.compile(rf"(?:{first}(?P<plain>{plain}))(?P<end>{end}|\Z)", re.DOTALL)


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL) if "\\" in text else text


def _csv(lines: Iterable[str], layout: Layout) -> Iterator[Record]:
    quote, null = layout.value("QUOTE", '"'), layout.null
    reader = csv.reader(
        lines, delimiter=layout.delimiter, quotechar=quote, doublequote=True, strict=True
    )
    before = 0
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield before + 1, str(error)
            return
        yield before + 1, [None if value == null else value for value in row] or [""]
        before = reader.line_num


def _fixed(lines: Iterable[str], layout: Layout) -> Iterator[Record]:
    spec = layout.value("FIXEDWIDTH", "")
    try:
        widths = [int(part.rpartition(":")[2]) for part in spec.split(",")]
    except ValueError:
        raise unreadable(f"COPY: FIXEDWIDTH is {spec!r}, wanted 'column:width,...'") from None
    null = layout.null
    for number, line in enumerate(lines, 1):
        text, position = line.rstrip("\r\n"), 0
        values: list[str | None] = []
        for width in widths:
            value = text[position : position + width]
            values.append(None if value.strip() == null else value.rstrip(" "))
            position += width
        yield number, values


def _json(lines: Iterable[str], layout: Layout) -> Iterator[Record]:
    text = "".join(lines)
    decoder = json.JSONDecoder(parse_float=_Float)
    pick = _picker(layout)
    position = _skip(text, 0)
    while position < len(text):
        line = text.count("\n", 0, position) + 1
        try:
            found, position = decoder.raw_decode(text, position)
        except ValueError as error:
            yield line, f"Invalid JSON format: {error}"
            return
        for item in found if isinstance(found, list) else [found]:
            yield line, pick(item) if isinstance(item, dict | list) else "wanted a JSON object"
        position = _skip(text, position)


class _Float(float):
    """A number that knows how it was written."""

    written: str

    def __new__(cls, text: str) -> _Float:
        found = super().__new__(cls, text)
        found.written = text
        return found


def _skip(text: str, position: int) -> int:
    match = re.compile(r"[\s,]*").match(text, position)
    return match.end() if match else position


def _picker(layout: Layout) -> Callable[[Any], list[str | None]]:
    if layout.paths is not None:
        paths = [[*_steps(path)] for path in layout.paths]
        return lambda item: [_text(_at(item, path)) for path in paths]
    ignores_case = layout.value("JSON", "auto") == "auto ignorecase"

    def by_name(item: Any) -> list[str | None]:
        fields = dict(item) if isinstance(item, dict) else {}
        if ignores_case:
            fields = {key.lower(): value for key, value in fields.items()}
        return [_text(fields.get(column)) for column in layout.columns]

    return by_name


def _steps(path: str) -> Iterator[str | int]:
    for match in _PATH.finditer(path.removeprefix("$")):
        name = next((text for text in match.groups()[:3] if text is not None), None)
        yield int(match[4]) if name is None else name


def _at(item: Any, path: Sequence[str | int]) -> Any:
    for step in path:
        if isinstance(step, int) and isinstance(item, list) and step < len(item):
            item = item[step]
        elif isinstance(step, str) and isinstance(item, dict):
            item = item.get(step)
        else:
            return None
    return item


def _text(value: Any) -> str | None:
    """A JSON value as COPY takes it; numbers come as they are written."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, _Float):
        return value.written
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
