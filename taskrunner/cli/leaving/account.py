"""The pipelines of an account, by AWS's operations alone: any service answers these."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from taskrunner.clock import Clock
from taskrunner.errors import CallRefused, ServiceUnreachable
from taskrunner.model.document import Definition, Field
from taskrunner.model.leaving.manifest import Manifest
from taskrunner.wire.api import Call, R, Request
from taskrunner.wire.client import GONE
from taskrunner.wire.inputs import (
    ActivatePipelineInput,
    AddTagsInput,
    CreatePipelineInput,
    DescribePipelinesInput,
    GetPipelineDefinitionInput,
    ListPipelinesInput,
    PutPipelineDefinitionInput,
    RemoveTagsInput,
)
from taskrunner.wire.outputs import PutPipelineDefinitionOutput
from taskrunner.wire.structures import PipelineDescription, Tag

#: Ids that one call describes.
_DESCRIBED = 25
#: AWS throttles accounts that ask for hundreds of definitions: each call may be made again.
_TRIES, _LONGEST_WAIT_S = 6, 20.0


@dataclass(frozen=True, slots=True)
class Account:
    """Calls that may all be made a second time: what they do is the same then."""

    _call: Call
    _clock: Clock

    def pipelines(self, ids: Sequence[str] | None = None) -> Iterator[Manifest]:
        """Every pipeline of the account, or those of some ids; one that goes meanwhile is none."""
        wanted = list(self._ids()) if ids is None else ids
        for at in range(0, len(wanted), _DESCRIBED):
            some = wanted[at : at + _DESCRIBED]
            yield from map(_manifest, self._described(some))

    def definition(self, pipeline_id: str, version: str) -> Definition:
        """A pipeline's definition, secrets masked."""
        request = GetPipelineDefinitionInput(pipeline_id=pipeline_id, version=version)
        found = self._asked(request)
        return Definition(
            objects=found.pipeline_objects,
            parameters=found.parameter_objects,
            values=found.parameter_values,
        )

    def create(self, manifest: Manifest) -> str:
        """Make a pipeline, or find the one that was made so before; returns its id."""
        request = CreatePipelineInput(
            name=manifest.name,
            unique_id=manifest.token,
            description=manifest.description,
            tags=_tags(manifest.own_tags),
        )
        return self._asked(request).pipeline_id

    def put(self, pipeline_id: str, definition: Definition) -> PutPipelineDefinitionOutput:
        """Replace a pipeline's definition."""
        return self._asked(PutPipelineDefinitionInput.of(pipeline_id, definition))

    def tag(self, pipeline_id: str, added: Mapping[str, str], removed: Sequence[str]) -> None:
        """Set and remove tags: removed first, since AWS counts those that there are."""
        if removed:
            self._asked(RemoveTagsInput(pipeline_id=pipeline_id, tag_keys=tuple(removed)))
        if added:
            self._asked(AddTagsInput(pipeline_id=pipeline_id, tags=_tags(added)))

    def activate(self, pipeline_id: str, start: datetime | None) -> None:
        """Set a pipeline going that has a schedule."""
        self._asked(ActivatePipelineInput(pipeline_id=pipeline_id, start_timestamp=start))

    def _ids(self) -> Iterator[str]:
        marker = None
        while True:
            page = self._asked(ListPipelinesInput(marker=marker))
            yield from (one.id for one in page.pipeline_id_list if one.id)
            marker = page.marker
            if not page.has_more_results or marker is None:
                return

    def _described(self, ids: Sequence[str]) -> Sequence[PipelineDescription]:
        try:
            reply = self._asked(DescribePipelinesInput(pipeline_ids=tuple(ids)))
        except CallRefused as error:
            if error.code not in GONE:
                raise
            # One that is gone makes the whole call fail: which one is found by halves.
            half = len(ids) // 2
            parts = (ids[:half], ids[half:]) if half else ()
            return [one for part in parts for one in self._described(part)]
        return reply.pipeline_description_list

    def _asked(self, request: Request[R]) -> R:
        for failures in range(1, _TRIES):
            try:
                return self._call(request)
            except ServiceUnreachable:
                longest = min(_LONGEST_WAIT_S, 2.0 ** (failures - 1))
                spread = 0.5 + random.random() / 2  # noqa: S311 - no secret
                self._clock.wait(threading.Event(), longest * spread)
        return self._call(request)


def _manifest(described: PipelineDescription) -> Manifest:
    fields = {field.key: _text(field) for field in described.fields}
    return Manifest(
        name=described.name,
        unique_id=fields.get("uniqueId", ""),
        description=described.description or fields.get("description") or None,
        tags={tag.key: tag.value for tag in described.tags},
        state=fields.get("@pipelineState", ""),
        pipeline_id=described.pipeline_id,
    )


def _text(field: Field) -> str:
    return str(field.value)


def _tags(tags: Mapping[str, str]) -> tuple[Tag, ...]:
    return tuple(Tag(key, value) for key, value in tags.items())
