"""The rule for dates and times: fractions of a second, parts that a type has not, zones."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal

from taskrunner.data.fitting.rules import NotKeptError, OnLossyValue, Rule, choose

_TEXT = re.compile(
    r"(?P<date>\d{1,6}-\d{1,2}-\d{1,2})?"
    r"(?:(?:(?<=\d)[ T])?(?P<time>-?\d{1,3}:\d{2}(?::\d{2})?)(?P<fraction>\.\d*)?)?"
    r" ?(?P<zone>[Zz]|UTC|[+-]\d{2}(?::?\d{2}){0,2})?(?P<era> BC)?",
    re.ASCII,
)
_TWO = "[0-9]{2}+"
#: What servers take for the moment of the load.
_OF_THE_LOAD = re.compile(r"\b(now|today|tomorrow|yesterday)\b", re.IGNORECASE)
#: Dates whose year has two digits; without separators, all that are not of eight or 14 digits.
_SHORT_YEAR = re.compile(
    r"\s*(?:[-+]?(?!\d{8}(?:\d{6})?\b)\d+(?:\.\d*)?"
    r"|\d{1,2}[-./ ](?:\d{1,2}|[A-Za-z]{3,9})[-./ ]\d{1,2}\b.*)\s*",
    re.ASCII | re.DOTALL,
)
#: MySQL takes 1011 for eleven minutes behind ten, PostgreSQL for eleven past ten.
_ONLY_DIGITS = re.compile(r"\s*[-+]?\d+(?:\.\d*)?\s*", re.ASCII)
#: In texts of other forms than servers write: a time of day; the zone that it is of; a date.
_CLOCK = re.compile(r"\d:\d|\d{14}|\d\s*[ap]m\b", re.ASCII | re.IGNORECASE)
_ZONE = re.compile(
    r"(?::\d{2}(?:\.\d*)?\s*([-+]\d{1,2}(?::?\d{2}){0,2})"
    r"|\d\s*((?!(?:am|pm|ad|bc|gmt|utc|z|zulu)\b)[a-z][\w/+-]*)(?: (?:ad|bc))?)\s*\Z",
    re.ASCII | re.IGNORECASE,
)
_DAY = re.compile(r"[a-z]{3}\W+\d+\W+\d{4}|\d[-./]\w+[-./]\d", re.ASCII | re.IGNORECASE)
_UTC = re.compile(r"[Zz]|UTC|[+-]00(?::?00){0,2}")
_FRACTION = re.compile(r"(?::\d{1,2}|\d{14})\.(\d+)", re.ASCII)
#: Signs that PostgreSQL passes over: it takes {1,2,3} for a date.
_NO_SIGN = re.compile(r"[^\w\s:./,+-]")


@dataclass(frozen=True)
class Temporal(Rule):
    """Dates (`has_time` is false), times (`has_date` is), and both together.

    `digits` of a second's fraction are kept. Where there is no zone in the type, sessions are in
    UTC and so are the texts: its offset is dropped, and any other is refused.
    """

    has_date: bool = True
    has_time: bool = True
    digits: int = 0
    has_zone: bool = False

    @property
    def plain(self) -> str:
        """As servers write them."""
        # Or nothing: the library takes longer for what may be there or not.
        fraction = rf"(?:\.[0-9]{{1,{self.digits}}}+|)" if self.digits else ""
        clock = f"{_TWO}:{_TWO}:{_TWO}{fraction}"
        day = rf"[0-9]{{4}}+-{_TWO}-{_TWO}"
        if not self.has_time:
            return day
        zone = r"\+00" if self.has_zone else ""
        return f"{day} {clock}{zone}" if self.has_date else f"-?[0-9]?{clock}{zone}"

    def fit(self, text: str, policy: OnLossyValue) -> str:
        """The same moment; else without what the type has not."""
        found = _TEXT.fullmatch(text.strip())
        if found is None or not (found["date"] or found["time"]):
            return self._unread(text, policy)
        day, clock, zone = found["date"], found["time"], found["zone"] or ""
        if self.has_date and not day:
            # MySQL would take the hour for the year, and so on.
            raise NotKeptError("has no date")
        if day and self.has_date and not found["era"] and day.index("-") < 3:
            choose(policy, rounded="", cut="", why=_NO_YEAR)
        if zone and not self.has_zone and not _UTC.fullmatch(zone):
            raise NotKeptError(f"has the offset {zone}, which the type has not")
        fraction = (found["fraction"] or "").strip(".").rstrip("0")
        if not self.has_time:
            return self._day(day, clock, fraction, text, policy) + (found["era"] or "")
        if day and not self.has_date:
            choose(policy, rounded="", cut="", why=f"would lose its date {day}")
            day = None
        if clock is None:
            return text
        if len(fraction) > self.digits:
            day, clock, fraction = self._shorter(day, clock, fraction, policy)
        whole = f"{clock}.{fraction}" if fraction else clock
        kept = zone if self.has_zone else ""
        return " ".join(filter(None, (day, whole))) + kept + (found["era"] or "")

    def _unread(self, text: str, policy: OnLossyValue) -> str:
        """A text of another form: the server reads it, but for what it would change in silence."""
        if word := _OF_THE_LOAD.search(text):
            raise NotKeptError(f"would be stored as what {word[0]!r} is at the load")
        zone = None if self.has_zone else _ZONE.search(text)
        if zone and not _UTC.fullmatch(zone[1] or zone[2]):
            raise NotKeptError(f"has the offset {zone[1] or zone[2]}, which the type has not")
        if why := self._lost(text):
            choose(policy, rounded="", cut="", why=why)
        found = _FRACTION.search(text)
        if found and len(found[1].rstrip("0")) > self.digits:
            raise NotKeptError("has a fraction in a form of which it is not known what is kept")
        if sign := _NO_SIGN.search(text):
            raise NotKeptError(f"has the sign {sign[0]!r}, which no date and no time has")
        return text

    def _lost(self, text: str) -> str:
        """What a server would drop of such a text, or add to it; empty: nothing."""
        if not self.has_date:
            if _ONLY_DIGITS.fullmatch(text):
                return "is a time without colons, of which servers make different ones"
            return "would lose its date" if _DAY.search(text) else ""
        if not self.has_time and _CLOCK.search(text):
            return "would lose its time of day"
        return _NO_YEAR if _SHORT_YEAR.fullmatch(text) else ""

    def _day(
        self, day: str | None, clock: str | None, fraction: str, text: str, policy: OnLossyValue
    ) -> str:
        if day is None:
            return text
        if clock is not None and (fraction or clock.strip("0:-")):
            choose(policy, rounded="", cut="", why=f"would be stored as {day!r}")
        return day

    def _shorter(
        self, day: str | None, clock: str, fraction: str, policy: OnLossyValue
    ) -> tuple[str | None, str, str]:
        """Day, clock and fraction with as many digits as the type has."""
        cut = fraction[: self.digits]
        if policy is OnLossyValue.FAIL:
            choose(policy, rounded="", cut="", why=_more_than(self.digits))
        if policy is OnLossyValue.TRUNCATE or fraction[self.digits] < "5":
            return day, clock, cut.rstrip("0")
        sign = "-" if clock.startswith("-") else ""
        hours, minutes, seconds = (*clock.lstrip("-").split(":"), "0")[:3]
        least = Decimal(1).scaleb(-self.digits)
        total = Decimal(int(hours) * 3600 + int(minutes) * 60 + int(seconds))
        total += Decimal(f"0.{fraction}").quantize(least, ROUND_HALF_UP)
        days, rest = divmod(int(total), 86400) if day else (0, int(total))
        if day and days:
            day = _later(day, days)
        behind = f"{total % 1:f}".partition(".")[2].rstrip("0")
        return day, f"{sign}{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}", behind


@dataclass(frozen=True)
class Interval(Rule):
    """PostgreSQL's interval, with so many digits of a second's fraction."""

    digits: int = 6

    @property
    def plain(self) -> str:
        """As the server writes it."""
        fraction = rf"(?:\.[0-9]{{1,{self.digits}}})?" if self.digits else ""
        return rf"[-+a-z0-9 ]*(?:-?[0-9]{{2,9}}:[0-9]{{2}}:[0-9]{{2}}{fraction})?"

    def fit(self, text: str, policy: OnLossyValue) -> str:
        """The text, or one with fewer digits; rounding is the server's."""
        longer = re.compile(rf"(\.\d{{{self.digits}}})\d*[1-9]\d*", re.ASCII)
        if not longer.search(text):
            return text
        cut = longer.sub(r"\1" if self.digits else "", text)
        return choose(policy, rounded=text, cut=cut, why=_more_than(self.digits))


_NO_YEAR = "has a year of two digits, of which servers make one of four"


def _more_than(digits: int) -> str:
    if not digits:
        return "has a fraction of a second"
    return f"has more than {digits} digits of a second's fraction"


def _later(day: str, days: int) -> str:
    year, month, number = map(int, day.split("-"))
    try:
        return (date(year, month, number) + timedelta(days=days)).isoformat()
    except (ValueError, OverflowError):
        raise NotKeptError("cannot be rounded to the next day, which there is not") from None
