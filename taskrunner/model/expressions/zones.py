"""Time zones by name, and the names that dates are printed with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

_OFFSET = re.compile(r"([+-])(\d{1,2})(?::?(\d{2}))?", re.ASCII)
_UTC_NAMES = frozenset({"UTC", "GMT", "Z", "ETC/UTC", "ETC/GMT", "UNIVERSAL", "ZULU"})

#: Abbreviations that mean one zone only; for the rest the id's own words must do.
_FULL_NAMES: Mapping[str, str] = {
    "UTC": "Coordinated Universal Time",
    "GMT": "Greenwich Mean Time",
    "BST": "British Summer Time",
    "WET": "Western European Time",
    "WEST": "Western European Summer Time",
    "CET": "Central European Time",
    "CEST": "Central European Summer Time",
    "EET": "Eastern European Time",
    "EEST": "Eastern European Summer Time",
    "MSK": "Moscow Standard Time",
    "EST": "Eastern Standard Time",
    "EDT": "Eastern Daylight Time",
    "MST": "Mountain Standard Time",
    "MDT": "Mountain Daylight Time",
    "PST": "Pacific Standard Time",
    "PDT": "Pacific Daylight Time",
    "AKST": "Alaska Standard Time",
    "AKDT": "Alaska Daylight Time",
    "HST": "Hawaii Standard Time",
    "JST": "Japan Standard Time",
    "KST": "Korea Standard Time",
    "HKT": "Hong Kong Time",
    "SAST": "South Africa Standard Time",
    "AEST": "Australian Eastern Standard Time",
    "AEDT": "Australian Eastern Daylight Time",
    "ACST": "Australian Central Standard Time",
    "ACDT": "Australian Central Daylight Time",
    "AWST": "Australian Western Standard Time",
    "NZST": "New Zealand Standard Time",
    "NZDT": "New Zealand Daylight Time",
}


def find_zone(name: str) -> tzinfo:
    """The zone with an IANA id, `UTC`, or an offset such as `+02:00`; raises ValueError."""
    if name.upper() in _UTC_NAMES:
        return UTC
    match = _OFFSET.fullmatch(name)
    try:
        if match:
            offset = timedelta(hours=int(match[2]), minutes=int(match[3] or 0))
            return timezone(-offset if match[1] == "-" else offset)
        return ZoneInfo(name)
    except (ValueError, KeyError, OSError, ImportError):
        wanted = "wanted one such as 'America/Los_Angeles', 'UTC' or '+02:00'"
        raise ValueError(f"no time zone {name!r}; {wanted}") from None


def offset_text(moment: datetime, colon: str = ":") -> str:
    """The distance from UTC, as +hh:mm."""
    minutes = int((moment.utcoffset() or timedelta()).total_seconds()) // 60
    hours, minutes_left = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02d}{colon}{minutes_left:02d}"


def zone_id(moment: datetime) -> str:
    """The id of the moment's zone: `America/Los_Angeles`, `UTC`, `+02:00`."""
    zone = moment.tzinfo
    if isinstance(zone, ZoneInfo) and zone.key:
        return zone.key
    return "UTC" if not moment.utcoffset() else offset_text(moment)


def zone_name(moment: datetime) -> str:
    """The short name at that moment: `PST`, `PDT`, `UTC`; the offset where there is none."""
    name = moment.tzname() or ""
    return name if name.isalpha() else offset_text(moment)


def zone_full_name(moment: datetime) -> str:
    """The long name at that moment in English, the short one where none is known."""
    name = zone_name(moment)
    return _FULL_NAMES.get(name, name)
