"""HttpDownloadActivity: what a URL has, as an object in S3 or a file."""

from __future__ import annotations

import hashlib
import http.client
from typing import Any

from taskrunner.activities.base import (
    Activity,
    Context,
    ErrorId,
    FieldGroup,
    FieldSpec,
    PermanentTaskError,
    TaskError,
)
from taskrunner_http.client import get

__all__ = ["HttpDownloadActivity"]

_PIECE = 1 << 20


class HttpDownloadActivity(Activity):
    """Downloads `url` into the `output` data node, whole or not at all."""

    type = "HttpDownloadActivity"
    api_version = 1
    fields = (
        FieldSpec(name="url", group=FieldGroup.REQUIRED, note="Where to download from."),
        FieldSpec(name="sha256", note="What the content must hash to, in hexadecimal."),
        FieldSpec(name="bearerToken", encrypted=True, note="As *bearerToken: who we are."),
    )

    def run(self, ctx: Context) -> None:
        """Stream it through: nothing is kept in memory or on this host's disk."""
        main = ctx.task.main
        target = _target(ctx)
        ctx.log.info("Downloading %s to %s", main.required("url"), target)
        digest = hashlib.sha256()
        with get(main) as reply, ctx.objects.open_write(target) as writer:
            expected = reply.headers.get("Content-Length")
            total = 0
            while piece := _read(reply):
                # Raises when the attempt is to stop: what was written is discarded.
                ctx.check_canceled()
                writer.write(piece)
                digest.update(piece)
                total += len(piece)
                ctx.progress(bytes=total, **_percent(total, expected))
            if expected is not None and total != int(expected):
                message = f"the connection ended after {total} of {expected} bytes"
                raise TaskError(message, error_id=ErrorId.CONNECTION_FAILED)
            _check(main.get("sha256"), digest.hexdigest())
        ctx.log.info("Downloaded %d bytes, sha256 %s", total, digest.hexdigest())


def _target(ctx: Context) -> str:
    node = ctx.task.main.one("output")
    if node is None or not node.get("filePath"):
        message = f"{ctx.task.component_id!r} needs an output: an S3DataNode with a filePath"
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
    return node.required("filePath")


def _read(reply: http.client.HTTPResponse) -> bytes:
    try:
        return reply.read(_PIECE)
    except (OSError, http.client.HTTPException) as error:
        raise TaskError(
            f"the download broke off: {error}", error_id=ErrorId.CONNECTION_FAILED
        ) from error


def _percent(total: int, expected: str | None) -> dict[str, Any]:
    return {"percent": total * 100 // max(int(expected), 1)} if expected else {}


def _check(wanted: str | None, found: str) -> None:
    if wanted is not None and wanted.strip().lower() != found:
        raise TaskError(f"the content has the sha256 {found}, wanted {wanted}")
