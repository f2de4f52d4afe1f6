"""Manifests: lists of files in the form of Redshift's COPY.

`{"entries": [{"url": "s3://bucket/key", "mandatory": true}, ...]}`. Where only a manifest is given,
CopyActivity and staging read the files that it lists; beside filePath or directoryPath only
RedshiftCopyActivity reads it, as on AWS.
"""

from __future__ import annotations

import json
from itertools import islice
from typing import Any

from taskrunner.data.objects.base import ObjectInfo, ObjectStore
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError

#: A larger one is taken for something else.
_MOST_BYTES = 64 << 20
_PIECE = 1 << 20
_FORM = 'wanted {"entries": [{"url": "s3://bucket/key", "mandatory": true}, ...]}'


def files_of(objects: ObjectStore, uri: str) -> list[ObjectInfo]:
    """The files that a manifest lists, in order; raises TaskError.

    One that is not there is left out, unless it is mandatory.
    """
    found = []
    for url, mandatory in _entries(_read(objects, uri), uri):
        info = objects.stat(url)
        if info is not None:
            found.append(info)
        elif mandatory:
            message = f"{uri}: the file {url} is mandatory, and not there"
            raise TaskError(message, error_id=ErrorId.NOT_FOUND)
    if not found:
        raise TaskError(f"{uri}: no file that it lists is there", error_id=ErrorId.NOT_FOUND)
    return found


def check_names(files: list[ObjectInfo], uri: str) -> None:
    """Raise PermanentTaskError for two files that would have one name in a folder."""
    named: dict[str, str] = {}
    for info in files:
        name = info.uri.rpartition("/")[2]
        if named.setdefault(name, info.uri) != info.uri:
            message = f"{uri}: {named[name]} and {info.uri} would be one file {name!r} in a folder"
            raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)


def names_of(files: list[ObjectInfo], uri: str) -> dict[str, str]:
    """The URI of each file by its name in one folder; raises PermanentTaskError for doubles."""
    check_names(files, uri)
    return {info.uri.rpartition("/")[2]: info.uri for info in files}


def _read(objects: ObjectStore, uri: str) -> Any:
    with objects.open_read(uri) as reader:
        pieces = iter(lambda: reader.read(_PIECE), b"")
        data = b"".join(islice(pieces, _MOST_BYTES // _PIECE + 1))
    if len(data) > _MOST_BYTES:
        raise _invalid(uri, f"it is larger than {_MOST_BYTES >> 20} MiB")
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _invalid(uri, f"it is not JSON; {_FORM}") from error


def _entries(content: Any, uri: str) -> list[tuple[str, bool]]:
    entries = content.get("entries") if isinstance(content, dict) else None
    if not isinstance(entries, list) or not entries:
        raise _invalid(uri, _FORM)
    found = []
    numbers: dict[str, int] = {}
    for number, entry in enumerate(entries, 1):
        url = entry.get("url") if isinstance(entry, dict) else None
        mandatory = entry.get("mandatory", False) if isinstance(entry, dict) else None
        if not isinstance(url, str) or not isinstance(mandatory, bool):
            raise _invalid(uri, f"entry {number}: {_FORM}")
        if not url.startswith("s3://") or url.endswith("/"):
            raise _invalid(uri, f"entry {number}: found {url!r}, wanted an object of S3")
        if (before := numbers.setdefault(url, number)) != number:
            problem = f"entries {before} and {number} are both {url}: its rows would be there twice"
            raise _invalid(uri, problem)
        found.append((url, mandatory))
    return found


def _invalid(uri: str, problem: str) -> PermanentTaskError:
    return PermanentTaskError(f"the manifest {uri}: {problem}", error_id=ErrorId.INVALID_FIELD)
