"""The name of each pipeline's folder: that of the pipeline, fit for any file system."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from taskrunner.model.leaving.manifest import Manifest

_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")
#: File systems take 255 bytes.
_LONGEST = 100


def folder_names(
    pipelines: Iterable[Manifest], present: Mapping[str, str] | None = None
) -> dict[str, str]:
    """A folder's name for each pipeline, by its id; `present` has the folders that are there.

    A pipeline keeps its folder for good. Names that several share, whatever their letters' case,
    have the id behind them: names of pipelines need not be unique.
    """
    found = sorted(pipelines, key=lambda one: one.pipeline_id)
    kept = {one.pipeline_id: (present or {}).get(one.pipeline_id) for one in found}
    names = {key: name for key, name in kept.items() if name is not None}
    taken = {name.casefold() for name in (present or {}).values()}
    new = [one for one in found if one.pipeline_id not in names]
    shared = Counter(_fit(one.name).casefold() for one in new)
    for one in new:
        name = _fit(one.name)
        if shared[name.casefold()] > 1 or name.casefold() in taken:
            name = f"{name}.{_fit(one.pipeline_id)}"
        names[one.pipeline_id] = name
    return names


def _fit(name: str) -> str:
    # A dot before would hide it, a dash would make it an option of commands.
    return _UNFIT.sub("-", name).strip(".-")[:_LONGEST].rstrip(".-") or "pipeline"
