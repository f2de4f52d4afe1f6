"""What a runtime field can say, and the ways to find it that the store knows too."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from taskrunner.model.document import Ref
from taskrunner.service.subjects import Attempt, Component, Instance

#: One value of a field. Moments and numbers are compared as such, and shown as text.
RuntimeValue = str | int | datetime | Ref
#: What the run says of a field: nothing, one value, or references.
Found = RuntimeValue | tuple[Ref, ...] | None
Subject = Component | Instance | Attempt


@dataclass(frozen=True, slots=True)
class Column:
    """A value that stands in the subject's own row; `refers`: as the id of another object."""

    name: str
    refers: bool = False

    def __call__(self, subject: Subject) -> Found:
        """The value, if there is one."""
        value = getattr(subject.row, self.name)
        if value is None:
            return None
        found: RuntimeValue = str(value) if isinstance(value, StrEnum) else value
        return Ref(str(value)) if self.refers else found


@dataclass(frozen=True, slots=True)
class OfInstance:
    """A value of an attempt that stands in the row of its instance."""

    name: str
    refers: bool = False

    def __call__(self, attempt: Attempt) -> Found:
        """The value, if there is one."""
        return Column(self.name, self.refers)(attempt.instance)


@dataclass(frozen=True, slots=True)
class Constant:
    """The same of every object."""

    value: str

    def __call__(self, _subject: Subject) -> Found:
        """The value."""
        return self.value
