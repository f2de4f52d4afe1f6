"""How far an export is, kept beside its output: a later attempt on any host goes on from there.

Each segment has an object of its own, written whenever one of its files is whole. A file is never
written twice, so what an object says holds whoever else writes, an attempt that should have ended
included: its files are whole, and its key is the one to go on after.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from taskrunner.clock import Clock
from taskrunner.data.dynamodb.items import Item
from taskrunner.data.objects.base import ObjectStore

#: Readers of folders, Hadoop's among them, pass names by that begin so.
PREFIX = "_taskrunner-export."
#: An export that began longer ago would mix old items with new ones.
_GOOD_FOR = timedelta(hours=24)


_KEYS = {"export", "segment", "segments", "items", "bytes", "next_key", "done"}
_NAME = re.compile(r"[0-9a-f-]{36}(\.gz)?")


def new_name(suffix: str = "") -> str:
    """A name for a file, as AWS's export gives it; nobody has had it before."""
    return f"{uuid4()}{suffix}"


def _another(name: str) -> str:
    """A new name with the ending of an old one."""
    return new_name(name[36:])


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentState:
    """How far a segment is."""

    #: Names of its whole files.
    files: tuple[str, ...] = ()
    items: int = 0
    bytes: int = 0
    #: Where to go on; None at the beginning, and at the end.
    next_key: Item | None = None
    done: bool = False
    #: The file that is written now, perhaps.
    writing: str

    def after(self, *, wrote: bool, items: int, size: int, next_key: Item | None) -> SegmentState:
        """The state once the file is whole, or was not needed."""
        return SegmentState(
            files=(*self.files, self.writing) if wrote else self.files,
            items=self.items + items,
            bytes=self.bytes + size,
            next_key=next_key,
            done=next_key is None,
            writing=_another(self.writing),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What an earlier attempt left."""

    segments: int
    begun: datetime
    states: Mapping[int, SegmentState]


class ExportState:
    """The objects beside one output. `owner` says of which export they are."""

    def __init__(self, objects: ObjectStore, folder: str, *, owner: str, clock: Clock) -> None:
        self._objects = objects
        self._folder = folder
        self._owner = owner
        self._clock = clock
        self._begun = clock.now()
        #: Files that belong to nothing any more, by the segment whose object names them.
        self._abandoned: dict[int, set[str]] = {}

    @property
    def leftovers(self) -> set[str]:
        """Names of files that no longer belong to anything."""
        return {name for names in self._abandoned.values() for name in names}

    def load(self, *, segments: int | None) -> Found | None:
        """What can be gone on from; None where there is nothing, or nothing of this export.

        `segments`: how many are wanted, if it matters.
        """
        kept = list(self._read())
        mine = [one for one in kept if self._fits(one, segments)]
        totals = {(one["segments"], one["begun"]) for one in mine}
        if len(totals) != 1:
            # Nothing, or remains of several beginnings: nothing to rely on.
            mine = []
        for one in kept:
            files = () if one in mine else one["files"]
            self._abandoned[int(one["segment"])] = {*one["abandoned"], *files, one["writing"]}
        if not mine:
            return None
        self._begun = datetime.fromisoformat(mine[0]["begun"])
        states = {int(one["segment"]): _state(one) for one in mine}
        return Found(segments=int(mine[0]["segments"]), begun=self._begun, states=states)

    def save(self, segment: int, segments: int, state: SegmentState) -> None:
        """Write down how far a segment is."""
        content = {
            "export": self._owner,
            "begun": self._begun.isoformat(),
            "segment": segment,
            "segments": segments,
            "files": state.files,
            "items": state.items,
            "bytes": state.bytes,
            "next_key": state.next_key,
            "done": state.done,
            "writing": state.writing,
            # Until the export is whole, whoever goes on has to know them.
            "abandoned": sorted(self._abandoned.get(segment, ())),
        }
        with self._objects.open_write(f"{self._folder}{PREFIX}{segment:04}.json") as writer:
            writer.write(json.dumps(content).encode())

    def abandon(self, names: Iterable[str], segments: int, state: SegmentState) -> None:
        """Write down, with the state of segment 0, which files nothing will name any more."""
        ours = {name for name in names if _NAME.fullmatch(name)}
        if not ours <= self.leftovers:
            self._abandoned.setdefault(0, set()).update(ours)
            self.save(0, segments, state)

    def clear(self) -> None:
        """Take the objects away: the export is whole."""
        for info in list(self._objects.list(self._folder + PREFIX)):
            self._objects.delete(info.uri)

    def _read(self) -> Iterator[dict[str, Any]]:
        for info in list(self._objects.list(self._folder + PREFIX)):
            with self._objects.open_read(info.uri) as reader:
                found = _understood(reader.read())
            if found is not None:
                yield found

    def _fits(self, one: Mapping[str, Any], segments: int | None) -> bool:
        young = self._clock.now() - datetime.fromisoformat(one["begun"]) < _GOOD_FOR
        wanted = segments is None or one["segments"] == segments
        return one["export"] == self._owner and young and wanted


def _understood(data: bytes) -> dict[str, Any] | None:
    """What an object says; None where it is not one of ours."""
    try:
        found: dict[str, Any] = json.loads(data)
        aware = datetime.fromisoformat(found["begun"]).tzinfo is not None
        names = [*found["files"], *found["abandoned"], found["writing"]]
        if aware and all(_NAME.fullmatch(name) for name in names) and found.keys() >= _KEYS:
            return found
    except (ValueError, KeyError, TypeError):
        pass
    return None


def _state(one: Mapping[str, Any]) -> SegmentState:
    return SegmentState(
        files=tuple(one["files"]),
        items=int(one["items"]),
        bytes=int(one["bytes"]),
        next_key=one["next_key"],
        done=bool(one["done"]),
        # Not the old name: whoever had it may still be writing.
        writing=_another(one["writing"]),
    )
