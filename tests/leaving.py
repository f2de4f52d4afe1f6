"""An account of pipelines that leaves: a service over HTTP as AWS's is, and one to move to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from taskrunner.cli import main
from taskrunner.model.document import Definition
from taskrunner.service.callers import ANONYMOUS
from taskrunner.service.handlers import HANDLERS
from taskrunner.testing import ServiceInProcess
from taskrunner.wire.inputs import (
    ActivatePipelineInput,
    CreatePipelineInput,
    PutPipelineDefinitionInput,
)
from taskrunner.wire.structures import Tag


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A pipeline to be made."""

    name: str
    definition: Definition
    tags: tuple[tuple[str, str], ...] = ()
    activate: bool = False


def fill(world: ServiceInProcess, pipelines: Iterable[Made]) -> None:
    """Make pipelines by the handlers of the operations, as an account's owner did over years."""
    for at, one in enumerate(pipelines):
        made = HANDLERS["CreatePipeline"](
            world.service,
            ANONYMOUS,
            CreatePipelineInput(
                name=one.name,
                unique_id=f"u-{at}",
                description=f"the pipeline {at}" if at % 2 else None,
                tags=tuple(Tag(key, value) for key, value in one.tags),
            ),
        )
        definition = one.definition
        HANDLERS["PutPipelineDefinition"](
            world.service,
            ANONYMOUS,
            PutPipelineDefinitionInput(
                pipeline_id=made.pipeline_id,
                pipeline_objects=definition.objects,
                parameter_objects=definition.parameters,
                parameter_values=definition.values,
            ),
        )
        if one.activate:
            HANDLERS["ActivatePipeline"](
                world.service, ANONYMOUS, ActivatePipelineInput(pipeline_id=made.pipeline_id)
            )


@dataclass(frozen=True, slots=True)
class Commands:
    """The commands, as an operator gives them."""

    folder: Path
    source: str
    target: str
    capsys: pytest.CaptureFixture[str]

    def run(self, *args: str, code: int = 0) -> tuple[str, str]:
        """What a command prints, and what it says beside it."""
        self.capsys.readouterr()
        found = main(args)
        printed = self.capsys.readouterr()
        assert found == code, printed
        return printed.out, printed.err

    def pull(self, *args: str) -> tuple[str, str]:
        """From the source."""
        return self.run("pull", str(self.folder), "--endpoint", self.source, *args)

    def diff(self, *args: str, code: int, source: bool = False) -> tuple[str, str]:
        """The files beside the target, or the source."""
        endpoint = self.source if source else self.target
        return self.run("diff", str(self.folder), "--endpoint", endpoint, *args, code=code)

    def apply(self, *args: str, code: int = 0) -> tuple[str, str]:
        """To the target."""
        return self.run(
            "apply", "-f", str(self.folder), "--endpoint", self.target, *args, code=code
        )
