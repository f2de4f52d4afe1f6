"""Pipelines as folders: a definition that every tool of AWS's reads, and a manifest beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from taskrunner.errors import UsageError
from taskrunner.host.durable import write_atomically
from taskrunner.model.document import Definition
from taskrunner.model.leaving.manifest import Manifest, read_manifest, write_manifest
from taskrunner.model.leaving.ordered import ordered
from taskrunner.model.reader import Document, decode, read_document
from taskrunner.model.writer import dumps_cli

DEFINITION, MANIFEST = "pipeline.json", "manifest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """One pipeline's folder."""

    path: Path
    manifest: Manifest

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return self.path.name

    @property
    def names(self) -> tuple[str, ...]:
        """By what the operator may mean its pipeline."""
        found = (self.manifest.name, self.name, self.manifest.pipeline_id)
        return tuple(name for name in found if name)

    @property
    def file(self) -> Path:
        """The definition's file."""
        return self.path / DEFINITION

    def document(self) -> Document:
        """The definition as it stands in its file. Raises UsageError, DefinitionError."""
        return read_document(_text(self.file), source=str(self.file))

    def definition(self) -> Definition:
        """The definition, in the order that pulled files have. Raises as `document` does."""
        return ordered(self.document().checked())


def read_folders(top: Path) -> list[Folder]:
    """The pipelines below a folder, or the one that is in it, by their names.

    Raises UsageError where there is none or one cannot be read, DefinitionError for a manifest.
    """
    found = _folders(top)
    if not found:
        raise UsageError(
            f"{top}: found no pipeline, wanted folders with {DEFINITION} and {MANIFEST}, as "
            "taskrunner pull makes them"
        )
    return found


def present_folders(top: Path) -> list[Folder]:
    """As `read_folders`, of a folder that there need not be yet. Raises as that does."""
    if not top.exists():
        return []
    found = _folders(top)
    if found and found[0].path == top:
        raise UsageError(f"{top} is one pipeline's folder: wanted the one that it is in")
    return found


def write_folder(path: Path, manifest: Manifest, definition: Definition) -> bool:
    """Write what has changed of a pipeline's files; returns whether anything has."""
    path.mkdir(parents=True, exist_ok=True)
    # The manifest last: it makes a folder a pipeline's.
    texts = {DEFINITION: dumps_cli(ordered(definition)), MANIFEST: write_manifest(manifest)}
    written = [_write(path / name, text) for name, text in texts.items()]
    return any(written)


def _write(path: Path, text: str) -> bool:
    data = text.encode()
    if path.is_file() and path.read_bytes() == data:
        return False
    write_atomically(path, data, sync=False)
    return True


def _folders(top: Path) -> list[Folder]:
    try:
        below = [top, *sorted(path for path in top.iterdir() if path.is_dir())]
    except OSError as error:
        raise UsageError(f"{top}: cannot be read: {error.strerror}") from None
    found = []
    for path in below:
        if (path / MANIFEST).is_file():
            manifest = read_manifest(_text(path / MANIFEST), str(path / MANIFEST))
            found.append(Folder(path=path, manifest=manifest))
            if path == top:
                break
        elif path != top and (path / DEFINITION).is_file():
            raise UsageError(
                f"{path}: found {DEFINITION} without {MANIFEST}, wanted both; "
                '{"name": "NAME"} does for a new pipeline'
            )
    return found


def _text(path: Path) -> str:
    try:
        return decode(path.read_bytes(), source=str(path))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
