"""Local copies for `stage: true`: inputs before the command, outputs after its success.

INPUTn_STAGING_DIR and OUTPUTn_STAGING_DIR name the folder of the n-th data node of the field,
counting every node from 1; only S3 data nodes have a folder. An input with filePath is that one
file, with directoryPath everything under it, with a manifest alone the files that it lists. An
output goes back under its directoryPath, each object whole or not at all; with filePath the folder
may hold one file, which becomes that object. What cannot become an object (a FIFO, a link out of
the work folder) fails the attempt, and nothing is copied out then: output must not get lost in
silence.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from taskrunner.activities.base import Context
from taskrunner.agent.attempt_process.context import AttemptContext
from taskrunner.data.manifest import files_of, names_of
from taskrunner.data.nodes import encryption_of
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError
from taskrunner.model.task import TaskObject
from taskrunner.wire.api import Verdict


def staged(ctx: AttemptContext, proceed: Callable[[], Verdict]) -> Verdict:
    """Copy the inputs in, do the work, copy the outputs out; no more than that without `stage`."""
    if not ctx.task.main.flag("stage"):
        return proceed()
    inputs = dict(_folders(ctx, "input"))
    outputs = dict(_folders(ctx, "output"))
    for node, _ in outputs.values():
        # What is wrong with them is told before any work is done for nothing.
        _location(node, ", which an output needs")
        encryption_of(node)
    for name, (node, folder) in inputs.items():
        _download(ctx, name, node, folder)
    folders = {**inputs, **outputs}
    ctx.extra_env.update({name: str(folder) for name, (_, folder) in folders.items()})
    verdict = proceed()
    with ctx.files.rights():
        found = {name: sorted(_files(ctx, folder)) for name, (_, folder) in outputs.items()}
    for name, (node, folder) in outputs.items():
        _upload(ctx, name, node, folder, found[name])
    return verdict


def _folders(ctx: Context, field: str) -> Iterator[tuple[str, tuple[TaskObject, Path]]]:
    for number, node in enumerate(ctx.task.main.related(field), 1):
        if node.type != "S3DataNode":
            ctx.log.info("%s %s is a %s: not staged", field, node.component_id, node.type)
            continue
        folder = ctx.files.folder(f"staging/{field}{number}")
        yield f"{field.upper()}{number}_STAGING_DIR", (node, folder)


def _location(node: TaskObject, otherwise: str = "") -> tuple[str | None, str | None]:
    directory, file = node.get("directoryPath"), node.get("filePath")
    if not directory and not file:
        message = f"S3DataNode {node.component_id!r} has neither directoryPath nor filePath"
        message += otherwise
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
    return (directory.rstrip("/") + "/" if directory else None), file


def _download(ctx: Context, name: str, node: TaskObject, folder: Path) -> None:
    count = size = 0
    for uri, target in _sources(ctx, node, folder):
        ctx.check_canceled()
        size += ctx.files.download(ctx.objects, uri, target)
        count += 1
    ctx.log.info("%s: %d files, %d bytes from %s", name, count, size, _place_of(node))


def _place_of(node: TaskObject) -> str | None:
    return node.get("directoryPath") or node.get("filePath") or node.get("manifestFilePath")


def _only_manifest(node: TaskObject) -> str | None:
    """The manifest that says which files an input is, where no path does."""
    has_path = node.get("directoryPath") or node.get("filePath")
    return None if has_path else node.get("manifestFilePath")


def _sources(ctx: Context, node: TaskObject, folder: Path) -> Iterator[tuple[str, Path]]:
    if manifest := _only_manifest(node):
        for name, uri in names_of(files_of(ctx.objects, manifest), manifest).items():
            yield uri, folder / _inside(name, uri)
        return
    directory, file = _location(node, ", nor a manifestFilePath")
    if directory is None:
        uri = str(file)
        yield uri, folder / PurePosixPath(uri).name
        return
    for info in ctx.objects.list(directory):
        relative = info.uri.removeprefix(directory)
        if relative and not relative.endswith("/"):
            yield info.uri, folder / _inside(relative, info.uri)


def _inside(relative: str, uri: str) -> PurePosixPath:
    path = PurePosixPath(relative)
    if path.is_absolute() or ".." in path.parts or "\0" in relative:
        message = f"{uri}: the key cannot be a file inside the staging folder"
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
    return path


def _upload(ctx: Context, name: str, node: TaskObject, folder: Path, files: list[Path]) -> None:
    directory, file = _location(node)
    if directory is None and len(files) > 1:
        message = (
            f"{name} holds {len(files)} files, but S3DataNode {node.component_id!r} has a "
            "filePath, which takes one: set directoryPath instead"
        )
        raise TaskError(message, error_id=ErrorId.INVALID_FIELD)
    size = 0
    for path in files:
        ctx.check_canceled()
        relative = path.relative_to(folder).as_posix()
        target = f"{directory}{relative}" if directory else str(file)
        size += ctx.files.upload(ctx.objects, path, target, encrypt=encryption_of(node))
    ctx.log.info("%s: %d files, %d bytes to %s", name, len(files), size, directory or file)


def _files(ctx: Context, folder: Path) -> Iterator[Path]:
    """Every file to be copied out; raises TaskError for what is none and no folder either."""
    inside = ctx.files.root.resolve()
    for parent, folders, names in os.walk(folder, onerror=_unreadable):
        links = [name for name in folders if Path(parent, name).is_symlink()]
        for name in [*names, *links]:
            path = Path(parent, name)
            if problem := _problem(path, inside):
                message = f"output {path.relative_to(folder)} in {folder} {problem}"
                raise TaskError(message, error_id=ErrorId.INVALID_FIELD)
            yield path


def _problem(path: Path, inside: Path) -> str | None:
    """What keeps a file from becoming an object."""
    if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(inside):
        return "is a link that leads out of the work folder: copy the file instead"
    if not path.exists():
        return "is a link to nothing"
    if path.is_dir():
        return "is a link to a folder: copy the folder instead"
    return None if path.is_file() else "is no regular file: it cannot be copied to S3"


def _unreadable(error: OSError) -> None:
    message = f"output folder {error.filename} cannot be read: {error.strerror}"
    raise TaskError(message, error_id=ErrorId.INVALID_FIELD)
