"""What a reader found wrong with the shape of a definition; reading goes on after each."""

from __future__ import annotations

from dataclasses import dataclass, field

from taskrunner.errors import DefinitionError, Place
from taskrunner.model.document import Position


class Unreadable(DefinitionError):
    """A text that is no definition at all; `code` says why, as a finding's does."""

    def __init__(self, message: str, place: Place, *, code: str) -> None:
        self.code = code
        super().__init__(message, place)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One mistake in a definition's shape, with a stable code; some only matter later."""

    code: str
    message: str
    place: Place
    warning: bool = False

    def error(self) -> DefinitionError:
        """The problem as an error to raise."""
        return DefinitionError(self.message, self.place)


@dataclass(slots=True)
class Problems:
    """Collects problems while a definition is read."""

    source: str | None = None
    found: list[Problem] = field(default_factory=list)

    def add(
        self,
        code: str,
        message: str,
        position: Position | None,
        *,
        object_id: str | None = None,
        field_name: str | None = None,
        warning: bool = False,
    ) -> None:
        """Note a problem; the reader leaves out or shortens what is wrong and goes on."""
        place = Place(
            source=self.source,
            line=position.line if position else None,
            column=position.column if position else None,
            object_id=object_id,
            field=field_name,
        )
        self.found.append(Problem(code=code, message=message, place=place, warning=warning))
