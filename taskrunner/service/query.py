"""QueryObjects: pages of the ids of the objects that meet some selectors.

A page costs what it shows, not what the pipeline holds. Where the store can tell by an index what
meets the selectors, it reads no more than that. Where it cannot, no more than `LOOKED_AT` objects,
or `WINDOW` rows of the store, are gone through for one page: then it may be short, or empty, and
more may follow.

A marker says where a page ended, not with which object: the next one goes on from there whatever
has become of that object meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from taskrunner.errors import InvalidRequest
from taskrunner.model.rows import Row
from taskrunner.service.row_conditions import RowConditions, RowPlan
from taskrunner.service.runtime_values import Subject
from taskrunner.service.selectors import Condition
from taskrunner.service.store.moments import UtcDateTime
from taskrunner.service.store.pages import Listing
from taskrunner.service.store.records import Place
from taskrunner.service.views import object_id

R = TypeVar("R", bound=Row)

#: Objects that are compared with the selectors for one page, and rows that the store goes through.
LOOKED_AT = 1000
WINDOW = 20_000


@dataclass(frozen=True, slots=True)
class Page:
    """Some ids, and where the next page begins; None: there is none."""

    ids: Sequence[str]
    marker: str | None


@dataclass(frozen=True, slots=True)
class RowQuery(Generic[R]):
    """Instances or attempts that meet some conditions."""

    conn: Connection
    pipeline_id: str
    listing: Listing[R]
    rows: RowConditions
    #: Rows as objects, some at a time: what they need beside their rows is loaded for all.
    subjects: Callable[[Sequence[R]], Iterable[Subject]]
    looked_at: int = LOOKED_AT
    window: int = WINDOW

    def page(self, conditions: Sequence[Condition], marker: str | None, limit: int) -> Page:
        """The page that begins at a marker. Raises InvalidRequest."""
        plan = self.rows.plan(conditions)
        found: list[tuple[str, Place]] = []
        place = None if marker is None else place_of(marker, self.listing.order)
        looked = 0
        for rows, reached in self._portions(plan, place, limit + 1):
            for row, subject in zip(rows, self.subjects(rows), strict=True):
                if all(condition.met_by(subject) for condition in conditions):
                    found.append((object_id(subject), self.listing.place(row)))
            looked += len(rows)
            place = reached
            if len(found) > limit:
                return Page([key for key, _ in found[:limit]], marker_of(found[limit - 1][1]))
            if looked >= self.looked_at:
                break
        return Page([key for key, _ in found], None if place is None else marker_of(place))

    def _portions(
        self, plan: RowPlan, place: Place | None, size: int
    ) -> Iterator[tuple[list[R], Place | None]]:
        """Rows in portions, each with the place up to which everything was gone through."""
        conn, pipeline_id, listing = self.conn, self.pipeline_id, self.listing
        end = None
        if not plan.by_index:
            end = listing.place_beyond(conn, pipeline_id, after=place, rows=self.window)
        is_full = True
        while is_full:
            rows = listing.next_rows(
                conn, pipeline_id, plan.parts, after=place, up_to=end, limit=size
            )
            is_full = len(rows) == size
            place = listing.place(rows[-1]) if is_full else end
            yield rows, place


def component_page(
    ids: Sequence[str],
    subjects: Callable[[Sequence[str]], Iterable[Subject]],
    conditions: Sequence[Condition],
    marker: str | None,
    limit: int,
) -> Page:
    """A page of components in the order of the definition, which may have changed meanwhile."""
    first = 0
    if marker is not None:
        number, _, last = marker.partition(" ")
        if not last or not number.isdecimal():
            raise unknown_marker()
        # Of a component that has been removed, the next one has the place.
        first = ids.index(last) + 1 if last in ids else int(number)
    rest = list(enumerate(ids))[first:]
    met = [
        (number, key)
        for (number, key), subject in zip(rest, subjects(ids[first:]), strict=True)
        if all(condition.met_by(subject) for condition in conditions)
    ]
    page = met[:limit]
    more = len(met) > limit
    return Page([key for _, key in page], "{} {}".format(*page[-1]) if more else None)


def marker_of(place: Place) -> str:
    """A place as a marker."""
    return " ".join(part.isoformat() if isinstance(part, datetime) else str(part) for part in place)


def place_of(marker: str, order: Sequence[sa.Column[Any]]) -> Place:
    """The place of a marker. Raises InvalidRequest for one that no query gave."""
    parts = marker.split(" ", len(order) - 1)
    try:
        return tuple(
            _READ[type(column.type)](part) for column, part in zip(order, parts, strict=True)
        )
    except (ValueError, OverflowError):
        raise unknown_marker() from None


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(text)
    return found


_READ: Mapping[type, Callable[[str], Any]] = {
    UtcDateTime: _moment,
    sa.Integer: int,
    sa.Text: str,
}


def unknown_marker() -> InvalidRequest:
    """What is said of a marker that is none."""
    return InvalidRequest("the marker is not one that this query gave")
