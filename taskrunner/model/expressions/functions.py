"""The table of functions: everything that an expression may call, with types and meaning."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from taskrunner.model.expressions import dates
from taskrunner.model.expressions.joda import format_date
from taskrunner.model.expressions.values import Scalar


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the language. `call` gets values that already have the types of `parameters`.

    It raises ValueError or OverflowError, with a sentence, for values that cannot be worked with.
    """

    name: str
    parameters: tuple[str, ...]
    result: str
    call: Callable[..., Scalar]
    summary: str

    @property
    def signature(self) -> str:
        """As the documentation prints it: `format(DateTime, String)`."""
        return f"{self.name}({', '.join(self.parameters)})"


_DATE, _INT, _TEXT = "DateTime", "int", "String"

_days = dates.by_calendar(days=1)
_weeks = dates.by_calendar(days=7)
_months = dates.by_calendar(months=1)
_years = dates.by_calendar(months=12)
_hours = dates.by_clock(hours=1)
_minutes = dates.by_clock(minutes=1)

_TABLE = (
    Function("day", (_DATE,), _INT, lambda d: d.day, "Day of the month."),
    Function("dayOfYear", (_DATE,), _INT, lambda d: d.timetuple().tm_yday, "Day of the year."),
    Function("firstOfMonth", (_DATE,), _DATE, lambda d: d.replace(day=1), "First of the month."),
    Function("format", (_DATE, _TEXT), _TEXT, format_date, "The date, written by a Joda pattern."),
    Function("hour", (_DATE,), _INT, lambda d: d.hour, "Hour of the day, 0 to 23."),
    Function("inTimeZone", (_DATE, _TEXT), _DATE, dates.in_time_zone, "The moment in a time zone."),
    Function("makeDate", (_INT,) * 3, _DATE, dates.make, "Midnight (UTC) of year, month, day."),
    Function("makeDateTime", (_INT,) * 5, _DATE, dates.make, "As makeDate, with hour and minute."),
    Function("midnight", (_DATE,), _DATE, dates.midnight, "The beginning of the day."),
    Function("minusDays", (_DATE, _INT), _DATE, lambda d, n: _days(d, -n), "n days earlier."),
    Function("minusHours", (_DATE, _INT), _DATE, lambda d, n: _hours(d, -n), "n hours earlier."),
    Function(
        "minusMinutes", (_DATE, _INT), _DATE, lambda d, n: _minutes(d, -n), "n minutes earlier."
    ),
    Function("minusMonths", (_DATE, _INT), _DATE, lambda d, n: _months(d, -n), "n months earlier."),
    Function("minusPeriod", (_DATE, _TEXT), _DATE, dates.by_period(-1), "A period earlier."),
    Function("minusWeeks", (_DATE, _INT), _DATE, lambda d, n: _weeks(d, -n), "n weeks earlier."),
    Function("minusYears", (_DATE, _INT), _DATE, lambda d, n: _years(d, -n), "n years earlier."),
    Function("minute", (_DATE,), _INT, lambda d: d.minute, "Minute of the hour."),
    Function("month", (_DATE,), _INT, lambda d: d.month, "Month of the year, 1 to 12."),
    Function("plusDays", (_DATE, _INT), _DATE, _days, "n days later."),
    Function("plusHours", (_DATE, _INT), _DATE, _hours, "n hours later."),
    Function("plusMinutes", (_DATE, _INT), _DATE, _minutes, "n minutes later."),
    Function("plusMonths", (_DATE, _INT), _DATE, _months, "n months later."),
    Function("plusPeriod", (_DATE, _TEXT), _DATE, dates.by_period(1), "A period later."),
    Function("plusWeeks", (_DATE, _INT), _DATE, _weeks, "n weeks later."),
    Function("plusYears", (_DATE, _INT), _DATE, _years, "n years later."),
    Function("sunday", (_DATE,), _DATE, dates.sunday, "The last Sunday, or the day itself."),
    Function("year", (_DATE,), _INT, lambda d: d.year, "Year."),
    Function("yesterday", (_DATE,), _DATE, lambda d: _days(d, -1), "One day earlier."),
)

#: Every function by its name.
FUNCTIONS: Mapping[str, Function] = {function.name: function for function in _TABLE}


def nearest(name: str) -> str:
    """A hint at the function that was meant, or an empty string."""
    lowered = {known.lower(): known for known in FUNCTIONS}
    near = difflib.get_close_matches(name.lower(), lowered, n=1)
    return f"; did you mean {lowered[near[0]]!r}?" if near else ""
