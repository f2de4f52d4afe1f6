"""The layout of an export, as AWS's own tools write it and read it.

A folder with objects of lines, each named by a UUID; `manifest`, which lists them; and an empty
`_SUCCESS`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from taskrunner.data.dynamodb.state import PREFIX
from taskrunner.data.formats.compression import chunks, gunzipped
from taskrunner.data.objects.base import ObjectReader, ObjectStore
from taskrunner.data.objects.location import parse
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError

_MANIFEST, _SUCCESS = "manifest", "_SUCCESS"
_VERSION = 3
_GZIP_MAGIC = b"\x1f\x8b"
_MAX_MANIFEST = 64 << 20
#: The largest item has 400 KB; escaped and in base64 it has a few times as much.
_MAX_LINE = 16 << 20
_SLASHES = re.compile("/{2,}")
_OTHER_S3 = re.compile(r"s3[an]://")


def folder_of(uri: str) -> str:
    """The folder that a step or a node names, with a slash at its end.

    Several slashes count as one, as in Hadoop: definitions join a folder and a date by another.
    """
    text = _OTHER_S3.sub("s3://", uri.strip())
    parse(text)
    scheme, separator, path = text.rpartition("://")
    return scheme + separator + _SLASHES.sub("/", f"{path}/")


def write_manifest(objects: ObjectStore, folder: str, uris: Iterable[str]) -> None:
    """List the objects of an export; from here on they are it."""
    compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    entries = ",\n".join(compact({"url": uri, "mandatory": True}) for uri in uris)
    head = f'{{"name":"DynamoDB-export","version":{_VERSION},\n"entries": [\n'
    with objects.open_write(folder + _MANIFEST) as writer:
        writer.write(f"{head}{entries}\n]}}".encode())
    with objects.open_write(folder + _SUCCESS) as writer:
        writer.write(b"")


def read_manifest(objects: ObjectStore, folder: str) -> list[str] | None:
    """The objects that a manifest lists; None where there is none. Raises TaskError."""
    uri = folder + _MANIFEST
    if objects.stat(uri) is None:
        return None
    with objects.open_read(uri) as reader:
        data = b"".join(_within(reader, _MAX_MANIFEST, uri))
    try:
        found: Mapping[str, Any] = json.loads(data)
        uris = [str(entry["url"]) for entry in found["entries"]]
    except (ValueError, KeyError, TypeError) as error:
        problem = f"line {error.lineno}: " if isinstance(error, json.JSONDecodeError) else ""
        wanted = '{"entries": [{"url": "s3://..."}]}'
        message = f"{uri}: {problem}it is no manifest of an export, wanted {wanted}"
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD) from error
    return [_OTHER_S3.sub("s3://", one) for one in uris]


def find_files(objects: ObjectStore, uri: str) -> list[str]:
    """The objects of an export: those of its manifest, else those of the folder, else the object.

    Raises TaskError where there is nothing, or only a part of an export.
    """
    folder = folder_of(uri)
    listed = read_manifest(objects, folder)
    if listed is not None:
        return listed
    names = {info.uri.removeprefix(folder): info.uri for info in objects.list(folder)}
    if any(name.startswith(PREFIX) for name in names):
        message = f"the export in {folder} is not finished: it has no manifest yet; finish it first"
        raise TaskError(message, error_id=ErrorId.NOT_FOUND)
    found = [whole for name, whole in names.items() if _holds_items(name)]
    if not found and not uri.endswith("/") and objects.stat(folder[:-1]) is not None:
        return [folder[:-1]]
    if not found:
        message = f"there is no export in {folder}: neither a manifest nor any other object"
        raise TaskError(message, error_id=ErrorId.NOT_FOUND)
    return found


def _holds_items(name: str) -> bool:
    """Whether it is none of the names that Hadoop's readers pass by."""
    return bool(name) and not name.endswith("/") and not name.startswith(("_", "."))


def lines(objects: ObjectStore, uri: str) -> Iterator[tuple[int, bytes]]:
    """The lines of an object that are not empty, with their numbers; gzip is seen by itself."""
    with objects.open_read(uri) as reader:
        first = reader.read(2)
        first += reader.read(1) if len(first) == 1 else b""
        opened = _Again(first, reader)
        zipped = first.startswith(_GZIP_MAGIC)
        data = gunzipped(opened, source=uri) if zipped else chunks(opened)
        for number, line in enumerate(_split(data, uri), 1):
            if line.strip():
                yield number, line


def _split(data: Iterator[bytes], uri: str) -> Iterator[bytes]:
    rest, count = b"", 0
    for chunk in data:
        *whole, last = chunk.split(b"\n")
        if whole:
            yield from chain([rest + whole[0]], whole[1:])
            count, rest = count + len(whole), last
        else:
            rest += last
        if len(rest) > _MAX_LINE:
            message = f"{uri}, line {count + 1}: it has no end within {_MAX_LINE >> 20} MiB"
            raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
    if rest:
        yield rest


def _within(reader: ObjectReader, most: int, uri: str) -> Iterator[bytes]:
    size = 0
    for chunk in chunks(reader):
        size += len(chunk)
        if size > most:
            message = f"{uri} is larger than {most >> 20} MiB, so it is no manifest"
            raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
        yield chunk


class _Again:
    """A reader that gives what was read off it before once more."""

    def __init__(self, first: bytes, reader: ObjectReader) -> None:
        self._first = first
        self._reader = reader

    def read(self, size: int = -1, /) -> bytes:
        """The first bytes, then the rest."""
        first, self._first = self._first, b""
        return first or self._reader.read(size)
