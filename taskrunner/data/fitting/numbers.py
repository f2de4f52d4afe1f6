"""Rules for numbers: whole ones, decimals, and the binary ones that have so many digits only.

A binary number is kept when, printed with as many digits as the text has, it reads as the text: 0.1
and 0.10000000000000001 are kept in a double, 9007199254740993 is not.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_UP, Context, Decimal, InvalidOperation

from taskrunner.data.databases.values import BitDigits, BitNumber
from taskrunner.data.fitting.rules import NotKeptError, OnLossyValue, Rule, choose

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE]([+-]?)0*(\d+))?", re.ASCII)
#: Beyond every type: of longer ones servers drop digits in silence, or take them for zero.
_MOST_DIGITS = 20_000
#: What a text of money may have besides its number: signs of currencies, brackets, blanks.
_NO_DIGITS = re.compile(r"[^-0-9.]")
#: What the server makes an amount of in any case: of nothing zero, and 15 of 1,5.
_AMOUNT = re.compile(r"[-+($ ]*(?:\d{1,3}(?:,\d{3})+|\d+|(?=\.\d))(?:\.\d*)?[-) ]*", re.ASCII)
#: What only servers with other signs take: theirs are not known here.
_OTHER_MONEY = re.compile(r"[^-+($ )0-9.,\t]")
_EXACTLY = Context(prec=3 * _MOST_DIGITS)


def number_of(text: str) -> Decimal | None:
    """The number that a text is, exactly; None for what is none, or is larger than any column.

    Raises NotKeptError for one with more digits behind its point than any column has.
    """
    text = text.strip()
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    sign, exponent = found[1], found[2] or "0"
    if len(exponent) > len(str(_MOST_DIGITS)) or len(text) + int(exponent) > _MOST_DIGITS:
        if len(text) <= _MOST_DIGITS and sign != "-":
            return None
        raise NotKeptError(f"has more than {_MOST_DIGITS:,} digits behind its point")
    return Decimal(text)


@dataclass(frozen=True)
class Scaled(Rule):
    """Numbers with so many digits behind the point: integers have none, decimal(5,2) has two."""

    digits: int = 0

    @property
    def plain(self) -> str:
        """As many digits behind the point as there are, or fewer."""
        fraction = rf"(?:\.[0-9]{{1,{self.digits}}}+|)" if self.digits > 0 else ""
        return rf"-?[0-9]{{1,60}}+{fraction}" if self.digits >= 0 else "0"

    def fit(self, text: str, policy: OnLossyValue) -> str:
        """The same number, or the nearest one below or around."""
        number = number_of(text)
        if number is None:
            return text
        least = Decimal(1).scaleb(-self.digits)
        rounded = number.quantize(least, ROUND_HALF_UP, _EXACTLY)
        if rounded == number:
            return f"{rounded:f}" if "e" in text.lower() or self.digits == 0 else text.strip()
        cut = number.quantize(least, ROUND_DOWN, _EXACTLY)
        return choose(policy, rounded=f"{rounded:f}", cut=f"{cut:f}")


@dataclass(frozen=True)
class Binary(Rule):
    """Binary floating point of 4 or 8 bytes; `digits` where the server rounds to so many as well.

    With `whole`, integers of 64 bits are kept besides: the column of SQLite's that has both.
    """

    size: int = 8
    digits: int | None = None
    whole: bool = False

    @property
    def plain(self) -> str:
        """So few digits that every number of them is kept."""
        if self.digits is not None:
            return rf"-?[0-9]{{1,3}}(?:\.[0-9]{{1,{min(self.digits, 3)}}})?" if self.digits else "0"
        if self.size == 4:
            return r"-?(?:[0-9]{1,6}|[0-9]{1,3}\.[0-9]{1,3})"
        return r"-?(?:[0-9]{1,15}|[0-9]{1,9}\.[0-9]{1,6}|[0-9]{1,3}\.[0-9]{1,12})"

    def fit(self, text: str, policy: OnLossyValue) -> str:
        """The same number; else as the server would round it, or the next one towards zero."""
        number = number_of(text)
        if number is None:
            return text
        if self.digits is not None:
            text = Scaled(self.digits).fit(text, policy)
            number = Decimal(text)
        if self.whole and number == number.to_integral_value() and abs(number) < 1 << 63:
            return text
        stored = nearest(number, self.size)
        if math.isinf(stored) or _reads_as(stored, number):
            return text
        below = stored if abs(Decimal(stored)) <= abs(number) else _towards_zero(stored, self.size)
        return choose(policy, rounded=repr(stored), cut=repr(below))


@dataclass(frozen=True)
class Money(Rule):
    """PostgreSQL's money: two digits behind the point, and signs that are none of the number."""

    plain = r"-?[0-9]{1,15}(?:\.[0-9]{1,2})?"

    def fit(self, text: str, policy: OnLossyValue) -> str:
        """As a decimal with two digits; commas stand before three digits each, and nowhere else."""
        if not _OTHER_MONEY.search(text) and not _AMOUNT.fullmatch(text):
            raise NotKeptError("is no amount as it is written here, such as 1,234.50")
        bare = _NO_DIGITS.sub("", text)
        if "(" in text or bare.endswith("-"):  # other ways to write a minus
            bare = f"-{bare.strip('-')}"
        fitted = Scaled(2).fit(bare, policy)
        return text if fitted == bare else fitted


@dataclass(frozen=True)
class BitsAsNumber(Rule):
    """MySQL's BIT, whose text is a number: the digits 0101 of other databases are none."""

    plain = r"0|[1-9][0-9]{0,19}"

    def keeps_all(self, texts: Iterable[str]) -> bool:
        """Whether all are numbers, and none is known to be digits."""
        texts = [*texts]
        return super().keeps_all(texts) and not any(type(text) is BitDigits for text in texts)

    def fit(self, text: str, policy: OnLossyValue) -> str:
        """The number as it is written without zeros in front, or that of another's digits."""
        if type(text) is BitDigits and text:
            return str(int(text, 2))
        if re.fullmatch(self.plain, text):
            return text
        message = "is not a whole number without zeros in front, as the bits are written here"
        raise NotKeptError(message)


@dataclass(frozen=True)
class BitsAsDigits(Rule):
    """PostgreSQL's bits, whose text is their digits; `size` where there must be so many."""

    size: int | None

    plain = "[01]*"

    def keeps_all(self, texts: Iterable[str]) -> bool:
        """Whether all are digits, and none is known to be a number."""
        texts = [*texts]
        return super().keeps_all(texts) and not any(type(text) is BitNumber for text in texts)

    def fit(self, text: str, policy: OnLossyValue) -> str:
        """The digits, or those of another's number."""
        if type(text) is not BitNumber:
            if text[:1] in set("bBxX"):  # which say that what is behind them is digits of that kind
                raise NotKeptError("is not made of the digits 0 and 1")
            return text
        if self.size is None or int(text).bit_length() > self.size:
            raise NotKeptError("is a number, of which it is not known how many bits it stands for")
        return f"{int(text):0{self.size}b}"


def nearest(number: Decimal, size: int) -> float:
    """The binary number that a server would store; infinite beyond the largest."""
    try:
        double = float(number)
        return double if size == 8 else float(struct.unpack("f", struct.pack("f", double))[0])
    except (OverflowError, InvalidOperation):
        return math.inf


def _reads_as(stored: float, number: Decimal) -> bool:
    digits = "".join(map(str, number.as_tuple().digits))
    zeros = len(digits) - len(digits.rstrip("0"))
    # A half either way: programs round it up or to the even digit.
    half = Decimal("0.5").scaleb(int(number.as_tuple().exponent) + zeros, _EXACTLY)
    return _EXACTLY.abs(_EXACTLY.subtract(Decimal(stored), number)) <= half


def _towards_zero(stored: float, size: int) -> float:
    if size == 8:
        return math.nextafter(stored, 0.0)
    (bits,) = struct.unpack("I", struct.pack("f", stored))
    return float(struct.unpack("f", struct.pack("I", bits - 1))[0])
