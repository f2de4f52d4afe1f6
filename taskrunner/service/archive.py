"""Where runs are kept that the store gives up: files of JSON lines, a folder for each pipeline."""

from __future__ import annotations

import errno
import gzip
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from taskrunner.errors import StoreError
from taskrunner.host.durable import sync_folder
from taskrunner.model.rows import Row
from taskrunner.service.store.expiry import Run


@dataclass(frozen=True, slots=True)
class Archive:
    """A folder with `PIPELINE/YYYY-MM.jsonl.gz`, by the months in which runs ended."""

    folder: Path

    def keep(self, pipeline_id: str, runs: Sequence[Run]) -> None:
        """Write runs down, to last; a line each. Raises StoreError.

        Before the store gives them up: what dies in between leaves a run in both.
        """
        by_month: dict[str, list[str]] = {}
        for row, tried in runs:
            line = {"instance": _plain(row), "attempts": [_plain(attempt) for attempt in tried]}
            month = (row.actual_end or row.created_at).strftime("%Y-%m")
            by_month.setdefault(month, []).append(json.dumps(line))
        folder = self.folder / pipeline_id
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for month, lines in by_month.items():
                _append(folder / f"{month}.jsonl.gz", "".join(f"{line}\n" for line in lines))
            sync_folder(folder)
            sync_folder(self.folder)
        except OSError as error:
            raise StoreError(
                f"--archive: {error.filename or folder} cannot be written, so that nothing is "
                f"removed from the store: {error.strerror}"
            ) from None


def _append(path: Path, text: str) -> None:
    """Add a member of its own to a gzip file, all of it or none."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        try:
            _write(descriptor, gzip.compress(text.encode(), mtime=0), path)
        except OSError:
            os.ftruncate(descriptor, size)  # half a member would hide all that comes after it
            raise
    finally:
        os.close(descriptor)


def _write(descriptor: int, data: bytes, path: Path) -> None:
    if os.write(descriptor, data) < len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    os.fsync(descriptor)


def _plain(row: Row) -> Mapping[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in row.columns().items()
        if value is not None
    }
