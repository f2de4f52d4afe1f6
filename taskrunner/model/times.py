"""DateTime values as text: `YYYY-MM-DDTHH:MM:SS`, always UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

from taskrunner.secret import Secret, told

_ISO = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})(?:T(\d{2}):(\d{2})(?::(\d{2})(?:\.\d{1,9})?)?)?"
    r"(?:[Zz]|([+-])(\d{2}):?(\d{2}))?",
    re.ASCII,
)
# The guide sets a startDateTime to "makeDate(2011,5,24)", outside of any #{...}.
_CALL = re.compile(
    r"makeDate(?:Time)?\( *(\d{1,4}) *, *(\d{1,2}) *, *(\d{1,2}) *"
    r"(?:, *(\d{1,2}) *, *(\d{1,2}) *)?\)",
    re.ASCII,
)


def parse_datetime(text: str) -> datetime:
    """Read a DateTime; aware, in UTC, whole seconds.

    Besides the documented form a bare date (midnight), a time without seconds, a `Z` or an
    offset, and `makeDate(y,m,d)` are understood. Raises ValueError with a sentence that says what
    was found and wanted.
    """
    stripped = text.strip()
    try:
        if match := _ISO.fullmatch(stripped):
            return _from_iso(match)
        if match := _CALL.fullmatch(stripped):
            year, month, day, hour, minute = (int(part or 0) for part in match.groups())
            return datetime(year, month, day, hour, minute, tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        why = "" if isinstance(text, Secret) else f": {error}"
        raise ValueError(f"{told(stripped, text)!r} is not a date that exists{why}") from None
    raise ValueError(
        f"found {told(stripped, text)!r}, wanted a date and time as YYYY-MM-DDTHH:MM:SS (UTC)"
    )


def _from_iso(match: re.Match[str]) -> datetime:
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    zone: timezone = UTC
    if match[7]:
        offset = timedelta(hours=int(match[8]), minutes=int(match[9]))
        zone = timezone(-offset if match[7] == "-" else offset)
    return datetime(year, month, day, hour, minute, second, tzinfo=zone).astimezone(UTC)


def format_datetime(moment: datetime) -> str:
    """Write an aware moment as `YYYY-MM-DDTHH:MM:SS` in UTC; fractions of a second are dropped."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.replace(tzinfo=None).isoformat("T", "seconds")
