"""Files that steps name: brought from S3 into the folder of the attempt's commands."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from taskrunner.activities.base import Context

#: Schemes by which Hadoop knows S3, of different age.
_S3 = re.compile(r"s3[an]?://")


def s3_uri(uri: str) -> str | None:
    """`s3://bucket/key` for a URI of S3 in any of Hadoop's schemes; None for others."""
    return _S3.sub("s3://", uri, count=1) if _S3.match(uri) else None


def local_file(ctx: Context, uri: str, folder: str, *, executable: bool = False) -> str:
    """A path that commands can open: of a copy if the URI is of S3, else the path itself."""
    found = s3_uri(uri)
    if found is None:
        return uri.removeprefix("file://") if uri.startswith("file:///") else uri
    path = ctx.files.root / folder / (PurePosixPath(found).name or "file")
    ctx.log.info("Downloading %s", found)
    ctx.files.download(ctx.objects, found, path, executable=executable)
    return str(path)


def script_file(ctx: Context, script: str | None, text: str | None, name: str) -> str:
    """The path of a script that is a text, or the object at a URI."""
    folder, _, last = name.rpartition("/")
    if text is None:
        return local_file(ctx, script or "", folder)
    path: Path = ctx.files.write(f"{folder}/{last}", text.encode())
    return str(path)
