"""Folders beside what a service has of their pipelines: what `diff` shows and `apply` mends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from taskrunner.cli.leaving.account import Account
from taskrunner.cli.leaving.folders import Folder
from taskrunner.model.document import Definition
from taskrunner.model.leaving.changes import (
    Change,
    definition_changes,
    fixed_changes,
    tag_changes,
)
from taskrunner.model.leaving.manifest import Manifest
from taskrunner.model.leaving.matching import match
from taskrunner.model.leaving.ordered import ordered
from taskrunner.service.masking import mask


@dataclass(frozen=True)
class Beside:
    """A folder, and the pipeline that a service has of it, if it has one."""

    folder: Folder
    #: The folder's definition, as it stands there.
    wanted: Definition
    there: Manifest | None
    #: What the service shows of its definition.
    shown: Definition

    @cached_property
    def shown_wanted(self) -> Definition:
        """The folder's definition as a service would show it."""
        return ordered(mask(self.wanted))

    @cached_property
    def changes(self) -> Sequence[Change]:
        """What differs in the definitions."""
        return definition_changes(self.shown, self.shown_wanted)

    @cached_property
    def tag_changes(self) -> Sequence[Change]:
        """What differs in the tags."""
        return tag_changes(self._there, self.folder.manifest)

    @cached_property
    def fixed_changes(self) -> Sequence[Change]:
        """What differs and cannot be changed; nothing of a pipeline that is not there."""
        return fixed_changes(self.there, self.folder.manifest) if self.there else ()

    @property
    def differs(self) -> bool:
        """Whether anything does, or the pipeline is not there."""
        return bool(self.there is None or self.changes or self.tag_changes or self.fixed_changes)

    @property
    def _there(self) -> Manifest:
        return self.there or Manifest(name=self.folder.manifest.name)


def look(
    folders: Sequence[Folder], account: Account
) -> tuple[Sequence[Beside], Sequence[Manifest]]:
    """Each folder with its pipeline, and the pipelines that have no folder.

    Reads every file before it asks the service. Raises UsageError, DefinitionError, WireError.
    """
    wanted = [folder.definition() for folder in folders]
    found = match([folder.manifest for folder in folders], list(account.pipelines()))
    return [
        Beside(folder, definition, there, _shown(account, there))
        for folder, definition, (_, there) in zip(folders, wanted, found.pairs, strict=True)
    ], found.rest


def _shown(account: Account, there: Manifest | None) -> Definition:
    if there is None:
        return Definition()
    return ordered(account.definition(there.pipeline_id, "latest"))
