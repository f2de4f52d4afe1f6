"""Period values: `15 minutes`, `1 day`, `3 months`; and adding them to a date."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

_FORM = re.compile(r"\s*(\d{1,9})\s*([a-z]+)\s*", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Unit:
    """What one of a period's units is worth: months, or seconds; never both."""

    name: str
    months: int = 0
    seconds: int = 0


#: Every unit by its singular name. Seconds are not AWS's, but short timeouts are useful locally.
UNITS: Mapping[str, Unit] = {
    unit.name: unit
    for unit in (
        Unit("second", seconds=1),
        Unit("minute", seconds=60),
        Unit("hour", seconds=3600),
        Unit("day", seconds=86_400),
        Unit("week", seconds=604_800),
        Unit("month", months=1),
        Unit("year", months=12),
    )
}


@dataclass(frozen=True, slots=True)
class Period:
    """`count` times a unit; `count` is positive."""

    count: int
    unit: Unit

    @classmethod
    def parse(cls, text: str) -> Period:
        """Read `N units`, in any case, plural or not; raises ValueError with a sentence."""
        match = _FORM.fullmatch(text)
        unit = UNITS.get(match[2].lower().removesuffix("s")) if match else None
        if match is None or unit is None or int(match[1]) == 0:
            wanted = "wanted a number above 0 and minutes, hours, days, weeks, months or years"
            raise ValueError(f"found {text!r}, {wanted}, such as '15 minutes'")
        return cls(int(match[1]), unit)

    def __str__(self) -> str:
        return f"{self.count} {self.unit.name}{'' if self.count == 1 else 's'}"

    @property
    def months(self) -> int:
        """Length in months, 0 for a period of a fixed length."""
        return self.count * self.unit.months

    @property
    def fixed(self) -> timedelta | None:
        """Length when it is the same everywhere in the calendar; none for months and years."""
        return timedelta(seconds=self.count * self.unit.seconds) if self.unit.seconds else None

    def add_to(self, start: datetime, n: int = 1) -> datetime:
        """`start` and n periods (n may be negative).

        A day that the month does not have becomes its last, counted from `start` itself: 31 January
        and 1 month is 28 February, and 2 months 31 March. Raises OverflowError outside of the
        years 1 to 9999.
        """
        if self.unit.months:
            return plus_months(start, n * self.months)
        return start + timedelta(seconds=n * self.count * self.unit.seconds)

    def timedelta_from(self, start: datetime) -> timedelta:
        """How long the period is when it begins at `start`."""
        return self.add_to(start) - start


def plus_months(start: datetime, months: int) -> datetime:
    """`start` moved by months, on the same day or the month's last; raises OverflowError."""
    year, month0 = divmod(start.year * 12 + start.month - 1 + months, 12)
    if not 1 <= year <= 9999:
        raise OverflowError(f"year {year} is outside of the calendar")
    day = min(start.day, monthrange(year, month0 + 1)[1])
    return start.replace(year=year, month=month0 + 1, day=day)
