"""What is known of a pipeline beside its definition, as the file beside the definition has it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from taskrunner.errors import DefinitionError, Place
from taskrunner.model.states import PipelineState

#: Tags with this beginning are AWS's own: nobody else can set them.
RESERVED_TAGS = "aws:"
#: States in which a pipeline makes instances; ACTIVATING is the short one before SCHEDULED.
_GOING = frozenset({"ACTIVATING", PipelineState.SCHEDULED})
_TEXTS = ("name", "uniqueId", "description", "state", "pipelineId")
_WANTED = 'wanted an object such as {"name": "orders", "tags": {"team": "bi"}}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A pipeline's name and what else CreatePipeline and DescribePipelines have of it."""

    name: str
    unique_id: str = ""
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    #: As the service that it was pulled from had it; empty for one that was never anywhere.
    state: str = ""
    pipeline_id: str = ""

    @property
    def token(self) -> str:
        """The uniqueId by which the pipeline is made, and found again.

        Without one it is what `taskrunner pipelines put` gives: the same name, the same pipeline.
        """
        return self.unique_id or unique_id_for(self.name)

    @property
    def own_tags(self) -> dict[str, str]:
        """The tags that one may set."""
        return {k: v for k, v in sorted(self.tags.items()) if not k.startswith(RESERVED_TAGS)}

    @property
    def is_going(self) -> bool:
        """Whether it makes instances."""
        return self.state in _GOING


def unique_id_for(name: str) -> str:
    """The uniqueId of pipelines that are made by their name."""
    return hashlib.sha256(f"taskrunner pipelines put {name}".encode()).hexdigest()[:32]


def write_manifest(manifest: Manifest) -> str:
    """The text of its file."""
    given = {
        "name": manifest.name,
        "uniqueId": manifest.unique_id or None,
        "description": manifest.description,
        "tags": dict(sorted(manifest.tags.items())),
        "state": manifest.state or None,
        "pipelineId": manifest.pipeline_id or None,
    }
    shown = {key: value for key, value in given.items() if value is not None}
    return json.dumps(shown, indent=2, ensure_ascii=False) + "\n"


def read_manifest(text: str, source: str) -> Manifest:
    """What a manifest's text says. Raises DefinitionError."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _wrong(f"not JSON: {error}", source) from None
    if not isinstance(found, dict):
        raise _wrong(f"found {type(found).__name__}, {_WANTED}", source)
    for key in found:
        if key not in (*_TEXTS, "tags"):
            names = ", ".join((*_TEXTS, "tags"))
            raise _wrong(f"found {key!r}, wanted only {names}", source)
    for key in _TEXTS:
        if not isinstance(found.get(key, ""), str):
            raise _wrong(f"{key}: found {found[key]!r}, wanted a text", source)
    if not found.get("name"):
        raise _wrong(f"it has no name; {_WANTED}", source)
    return Manifest(
        name=found["name"],
        unique_id=found.get("uniqueId", ""),
        description=found.get("description"),
        tags=_tags(found.get("tags", {}), source),
        state=found.get("state", ""),
        pipeline_id=found.get("pipelineId", ""),
    )


def _tags(found: Any, source: str) -> dict[str, str]:
    if not isinstance(found, dict):
        raise _wrong(f"tags: found {found!r}, wanted an object of texts", source)
    for key, value in found.items():
        if not isinstance(value, str):
            raise _wrong(f"tags: {key}: found {value!r}, wanted a text", source)
    return found


def _wrong(message: str, source: str) -> DefinitionError:
    return DefinitionError(message, Place(source=source))
