"""Where a COPY reads from: objects by their prefix or a manifest, or a DynamoDB table."""

from __future__ import annotations

import bz2
import json
from collections.abc import Iterable, Iterator
from typing import Any, cast

from taskrunner.data.formats.compression import chunks, gunzipped
from taskrunner.data.objects.base import ObjectStore
from taskrunner.data.redshift.stand_in.values import Layout
from taskrunner.data.redshift.tokens import unreadable
from taskrunner.errors import ErrorId, TaskError

_MOST = 16 << 20


def uris_of(objects: ObjectStore, source: str, *, manifest: bool) -> list[str]:
    """The objects to read; raises TaskError where there are none."""
    if not manifest:
        found = [info.uri for info in objects.list(source)]
        if not found:
            message = f"the specified S3 prefix {source!r} does not exist"
            raise TaskError(message, error_id=ErrorId.NOT_FOUND)
        return found
    entries = _document(objects, source, "manifest").get("entries")
    if not isinstance(entries, list) or not entries:
        raise unreadable(f"the manifest {source} has no entries")
    uris = []
    for entry in entries:
        uri = entry.get("url") if isinstance(entry, dict) else None
        if not isinstance(uri, str):
            raise unreadable(f"the manifest {source} has an entry without url")
        if not uri.startswith("s3://"):  # no definition reads the agent's files so
            raise unreadable(f"the manifest {source} names {uri}, wanted s3://bucket/key")
        if objects.stat(uri) is not None:
            uris.append(uri)
        elif entry.get("mandatory"):
            message = f"{uri}, which the manifest {source} calls mandatory, does not exist"
            raise TaskError(message, error_id=ErrorId.NOT_FOUND)
    return uris


def paths_of(objects: ObjectStore, layout: Layout) -> tuple[str, ...] | None:
    """The JSONPath expressions of the file that JSON names; None where it names none."""
    uri = layout.value("JSON", "auto")
    if not layout.has("JSON") or not uri.startswith("s3://"):
        return None
    paths = _document(objects, uri, "JSONPaths file").get("jsonpaths")
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise unreadable(f"the JSONPaths file {uri} has no list of texts in 'jsonpaths'")
    return tuple(paths)


def bytes_of(objects: ObjectStore, uri: str, layout: Layout) -> Iterator[bytes]:
    """An object's bytes, decompressed."""
    with objects.open_read(uri) as reader:
        if layout.has("GZIP"):
            yield from gunzipped(reader, source=uri)
        elif layout.has("BZIP2"):
            yield from _bunzipped(chunks(reader), uri)
        else:
            yield from chunks(reader)


def _bunzipped(pieces: Iterable[bytes], uri: str) -> Iterator[bytes]:
    stream = bz2.BZ2Decompressor()
    for piece in pieces:
        data = piece
        while data:
            try:
                yield stream.decompress(data)
            except OSError as error:
                raise TaskError(f"{uri}: the bzip2 data cannot be read ({error})") from error
            data = stream.unused_data if stream.eof else b""
            stream = bz2.BZ2Decompressor() if stream.eof else stream


def _document(objects: ObjectStore, uri: str, what: str) -> dict[str, Any]:
    with objects.open_read(uri) as reader:
        data = reader.read(_MOST)
    try:
        found = json.loads(data)
    except ValueError as error:
        raise unreadable(f"the {what} {uri} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise unreadable(f"the {what} {uri} is no JSON object")
    return cast(dict[str, Any], found)
