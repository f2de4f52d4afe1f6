"""Which pipeline of a service is that of which folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from taskrunner.errors import UsageError
from taskrunner.model.leaving.manifest import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """Pipelines of files beside those of a service, and what only the service has."""

    #: For each of the files', in their order, the service's; None: it has none.
    pairs: tuple[tuple[Manifest, Manifest | None], ...]
    rest: tuple[Manifest, ...]


def match(wanted: Sequence[Manifest], there: Sequence[Manifest]) -> Matched:
    """Find pipelines by their ids, else by name and uniqueId, by which the API tells them apart.

    Raises UsageError where two of the files' are one of the service's.
    """
    by_id = {one.pipeline_id: one for one in there}
    # Several cannot be: CreatePipeline answers with the one that there is.
    by_token = {(one.name, one.unique_id): one for one in there}
    pairs: list[tuple[Manifest, Manifest | None]] = []
    taken: dict[tuple[str, str] | str, Manifest] = {}
    for manifest in wanted:
        key = (manifest.name, manifest.token)
        found = by_id.get(manifest.pipeline_id) or by_token.get(key)
        # Two new ones with one name and uniqueId would become one pipeline.
        place = found.pipeline_id if found else key
        if place in taken:
            raise UsageError(
                f"two folders are the pipeline {manifest.name!r} with the uniqueId "
                f"{manifest.token!r}: wanted another name or uniqueId in one of them"
            )
        taken[place] = manifest
        pairs.append((manifest, found))
    rest = tuple(one for one in there if one.pipeline_id not in taken)
    return Matched(pairs=tuple(pairs), rest=rest)
