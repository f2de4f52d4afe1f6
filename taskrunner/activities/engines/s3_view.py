"""`s3://` for the local engine's programs: a folder of this host, mounted for Hadoop.

Where a folder stands for S3 anyway, the programs work in it. Else what their texts name is brought
from S3 into the attempt's folder before, and what they made or removed there goes back to S3 after
they have succeeded.

Hadoop's ViewFileSystemOverloadScheme does it without another jar: each bucket has a mount point.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from xml.sax.saxutils import escape

from taskrunner.activities.base import Context
from taskrunner.errors import ErrorId, TaskError

_URI = re.compile(r"s3[an]?://([A-Za-z0-9][A-Za-z0-9._-]*)(/[^\s'\"`;,)>\\|]*)?")
_GLOB = re.compile(r"[*?\[{$]")
_VIEW = "org.apache.hadoop.fs.viewfs.ViewFileSystemOverloadScheme"
#: Hadoop's own view of the disk puts a hidden file with a checksum beside each file.
_RAW = "org.apache.hadoop.fs.RawLocalFileSystem"

_Stamp = tuple[int, int]


def named_places(texts: Iterable[str]) -> dict[str, set[str]]:
    """The buckets that texts name, and the keys in each, cut where a pattern begins."""
    found: dict[str, set[str]] = {}
    for text in texts:
        for bucket, path in _URI.findall(text):
            key = path.lstrip("/")
            if cut := _GLOB.search(key):
                key = key[: cut.start()].rpartition("/")[0]
            found.setdefault(bucket, set()).add(key)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class S3View:
    """A folder in which each bucket is a folder."""

    root: Path
    buckets: tuple[str, ...]

    def properties(self) -> dict[str, str]:
        """What Hadoop has to be told."""
        found = {"fs.rawfile.impl": _RAW}
        for scheme in ("s3", "s3n", "s3a"):
            found[f"fs.{scheme}.impl"] = _VIEW
        for bucket in self.buckets:
            mount = f"fs.viewfs.mounttable.{bucket}.linkFallback"
            found[mount] = (self.root / bucket).as_uri().replace("file:", "rawfile:", 1)
        return found


def site_xml(properties: dict[str, str]) -> bytes:
    """A configuration file of Hadoop's."""
    lines = [
        f"  <property><name>{escape(name)}</name><value>{escape(value)}</value></property>\n"
        for name, value in properties.items()
    ]
    return f'<?xml version="1.0"?>\n<configuration>\n{"".join(lines)}</configuration>\n'.encode()


class FolderS3:
    """The folder that stands for S3: programs work in it."""

    def __init__(self, root: Path, texts: Iterable[str]) -> None:
        there = (
            {entry.name for entry in os.scandir(root) if entry.is_dir()} if root.exists() else []
        )
        self.view = S3View(root=root, buckets=tuple(sorted({*there, *named_places(texts)})))

    def __enter__(self) -> S3View:
        return self.view

    def __exit__(self, kind: object, *_: object) -> None:
        """Nothing is left to do."""


class StagedS3:
    """Copies of what texts name, and their way back."""

    def __init__(self, ctx: Context, folder: str, texts: Iterable[str]) -> None:
        self._ctx = ctx
        self._places = named_places(texts)
        self._root = ctx.files.folder(folder)
        self._before: dict[str, _Stamp] = {}

    def __enter__(self) -> S3View:
        size = count = 0
        for bucket, keys in self._places.items():
            self._ctx.files.folder(str((self._root / bucket).relative_to(self._ctx.files.root)))
            for uri in sorted(self._objects(bucket, keys)):
                self._ctx.check_canceled()
                size += self._ctx.files.download(self._ctx.objects, uri, self._path(uri))
                count += 1
        self._ctx.log.info("%d objects, %d bytes brought from S3", count, size)
        self._before = dict(self._stamps())
        return S3View(root=self._root, buckets=tuple(sorted(self._places)))

    def __exit__(self, kind: object, *_: object) -> None:
        """After success: what is new or changed goes to S3, what is gone goes there too."""
        if kind is not None:
            return
        after = dict(self._stamps())
        changed = [name for name, stamp in after.items() if self._before.get(name) != stamp]
        gone = self._before.keys() - after.keys()
        for name in sorted(changed):
            self._ctx.check_canceled()
            self._ctx.files.upload(self._ctx.objects, self._root / name, f"s3://{name}")
        for name in sorted(gone):
            self._ctx.objects.delete(f"s3://{name}")
        self._ctx.log.info("%d objects to S3, %d removed there", len(changed), len(gone))

    def _objects(self, bucket: str, keys: set[str]) -> set[str]:
        found: set[str] = set()
        for key in keys:
            if not key:
                message = "s3://%s/ is not brought here as a whole: name a folder of it"
                self._ctx.log.warning(message, bucket)
                continue
            uri = f"s3://{bucket}/{key}"
            if not uri.endswith("/") and self._ctx.objects.stat(uri) is not None:
                found.add(uri)
            below = self._ctx.objects.list(f"{uri.rstrip('/')}/")
            found |= {info.uri for info in below if not info.uri.endswith("/")}
        return found

    def _path(self, uri: str) -> Path:
        relative = uri.removeprefix("s3://")
        if any(part in {"", ".", ".."} or "\0" in part for part in relative.split("/")):
            message = f"{uri}: the key cannot be a file of this host"
            raise TaskError(message, error_id=ErrorId.INVALID_FIELD)
        return self._root / PurePosixPath(relative)

    def _stamps(self) -> Iterator[tuple[str, _Stamp]]:
        """Every file below, and what tells whether it has changed."""
        with self._ctx.files.rights():
            found = []
            for folder, _, names in os.walk(self._root):
                for name in names:
                    path = Path(folder, name)
                    status = path.lstat()
                    stamp = (status.st_size, status.st_mtime_ns)
                    found.append((path.relative_to(self._root).as_posix(), stamp))
        yield from found
