"""Where an object is: a URI taken apart, and refused early when it cannot name one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from taskrunner.errors import ErrorId, PermanentTaskError

_S3 = "s3://"
_FILE = "file://"


@dataclass(frozen=True, slots=True)
class Location:
    """A URI's parts. `scheme` is `s3` or `file`; a file has no bucket and an absolute path as key.

    A key may be empty or end with a slash: then it names a prefix, not an object.
    """

    scheme: str
    bucket: str
    key: str
    uri: str

    @property
    def is_object(self) -> bool:
        """Whether this can name an object, and not only a folder of them."""
        return self.key != "" and not self.key.endswith("/")


def parse(uri: str) -> Location:
    """Take a URI apart; raises PermanentTaskError when it is none of the known forms."""
    if "\0" in uri:
        raise unusable(uri, "it holds a NUL character")
    if uri.startswith(_S3):
        return _parse_s3(uri)
    if uri.startswith(_FILE):
        return _parse_file(uri)
    if uri.startswith("/"):
        return Location("file", "", uri, uri)
    raise unusable(uri, "wanted s3://bucket/key, file:///path or an absolute path")


def local_path(uri: str) -> Path | None:
    """The file or folder of this host that a URI names; None where it names none."""
    try:
        found = parse(uri)
    except PermanentTaskError:
        return None
    return Path(found.key) if found.scheme == "file" else None


def log_places(log_uri: str | None, allowed: Iterable[str]) -> tuple[Path, ...]:
    """The folders of this host among the places that the operator has named for logs."""
    found = (local_path(uri) for uri in (log_uri, *allowed) if uri)
    return tuple(path for path in found if path is not None)


def unusable(uri: str, reason: str) -> PermanentTaskError:
    """The error for a URI that can never work."""
    return PermanentTaskError(f"cannot use {uri!r}: {reason}", error_id=ErrorId.INVALID_FIELD)


def _parse_s3(uri: str) -> Location:
    # No URL parser: keys may hold '?', '#' and '%', which mean nothing special in S3.
    bucket, _, key = uri.removeprefix(_S3).partition("/")
    if not bucket:
        raise unusable(uri, "it names no bucket")
    if len(key.encode("utf-8", "surrogatepass")) > 1024:
        raise unusable(uri, "the key is longer than 1024 bytes")
    return Location("s3", bucket, key, uri)


def _parse_file(uri: str) -> Location:
    host, slash, path = uri.removeprefix(_FILE).partition("/")
    if host not in {"", "localhost"}:
        raise unusable(uri, f"the file would be on the host {host!r}, wanted file:///path")
    path = unquote(slash + path)
    if not path or "\0" in path:
        raise unusable(uri, "it names no path")
    return Location("file", "", path, uri)
