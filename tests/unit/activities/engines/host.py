"""A host whose programs are little scripts, which write down how they were called."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from taskrunner.data.settings import DataSettings
from taskrunner.testing import ActivityEnvironment

#: One line a call: name and arguments, a bar between.
_WRITE_DOWN = """printf '%s' "${0##*/}" >> "$CALLS"; printf '|%s' "$@" >> "$CALLS"
echo >> "$CALLS"
"""


class Host:
    """A folder with programs, before those of the system on the PATH."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir(parents=True)
        self._calls = folder / "calls"
        self._calls.touch()
        monkeypatch.setenv("PATH", f"{self.bin}:/usr/bin:/bin")
        monkeypatch.delenv("JAVA_HOME", raising=False)
        monkeypatch.delenv("HADOOP_HOME", raising=False)

    def program(self, name: str, body: str = "", *, folder: Path | None = None) -> Path:
        """Install a program that writes its call down, and then does more."""
        path = (folder or self.bin) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/bash\nCALLS={self._calls}\n{_WRITE_DOWN}{body}\n")
        path.chmod(0o755)
        return path

    @property
    def calls(self) -> list[list[str]]:
        """Every call so far: the program's name, and its arguments."""
        return [line.split("|") for line in self._calls.read_text().splitlines()]


@contextmanager
def environment(engine: str = "auto", **more: object) -> Iterator[ActivityEnvironment]:
    """A context whose agent has been told which engine to use."""
    with ActivityEnvironment(data=DataSettings(emr_engine=engine)) as found:
        found.data = replace(found.data, **more)  # type: ignore[arg-type]
        yield found


def without_root(path: str, root: Path) -> str:
    """A path below the work folder, told from there."""
    return os.path.relpath(path, root) if path.startswith(str(root)) else path
