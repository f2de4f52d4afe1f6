"""Which field of a definition named a local file."""

from __future__ import annotations

from taskrunner.errors import PathNotAllowed
from taskrunner.model.document import Ref
from taskrunner.model.task import Task


def placed(error: PathNotAllowed, task: Task) -> PathNotAllowed:
    """The same refusal, with the object and the field that the file is named by, if any is."""
    best: tuple[int, str] | None = None
    for item in task.objects.values():
        described = task.object(item.id)
        for field in item.fields:
            # What begins with a star is a secret; the path in it would be masked as well.
            if isinstance(field.value, Ref) or field.key.startswith(("*", "@")):
                continue
            match = _match(field.value, error.path)
            if match and (best is None or match > best[0]):
                kind = f"{described.type} {described.component_id!r}"
                best = match, f"{kind}, field {field.key!r}"
    return error if best is None else error.named_by(best[1])


def _match(value: str, path: str) -> int:
    """How much of the path a field's value accounts for."""
    if path in value:
        return len(path) + 1
    folder = value.removeprefix("file://").rstrip("/")
    return len(folder) if folder.startswith("/") and path.startswith(f"{folder}/") else 0
