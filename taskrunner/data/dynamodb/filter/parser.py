"""A filter in a subset of Hive's SQL, read into a function of an item.

Comparisons (also with a list, a range, a pattern, NULL), AND, OR, NOT, brackets, `+ - *`, CAST,
and the functions of `functions`. What else there is in SQL is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Context, Decimal

from taskrunner.data.dynamodb.filter.functions import FUNCTIONS, date_pattern
from taskrunner.data.dynamodb.filter.tokens import BadFilter, Kind, Token, tokens
from taskrunner.data.dynamodb.filter.values import (
    CASTS,
    Cast,
    Value,
    is_like,
    number,
    order,
    value_of,
)
from taskrunner.data.dynamodb.items import Item

#: A part of a filter: its value for an item.
Part = Callable[[Item], Value]

_COMPARE: Mapping[str, Callable[[int], bool]] = {
    "=": lambda found: found == 0,
    "==": lambda found: found == 0,
    "<>": lambda found: found != 0,
    "!=": lambda found: found != 0,
    "<": lambda found: found < 0,
    "<=": lambda found: found <= 0,
    ">": lambda found: found > 0,
    ">=": lambda found: found >= 0,
}
#: Enough for the 38 digits that numbers have here.
_EXACT = Context(prec=80)
_COMBINE: Mapping[str, Callable[[Decimal, Decimal], Decimal]] = {
    "+": _EXACT.add,
    "-": _EXACT.subtract,
    "*": _EXACT.multiply,
}
_REFUSED = {"RLIKE", "REGEXP", "CASE", "EXISTS", "SELECT", "WHERE", "INTERVAL", "DIV"}


def parse(text: str, *, columns: Mapping[str, str], now: datetime) -> Callable[[Item], bool]:
    """The items that a filter lets pass; raises BadFilter.

    `columns` are the types of those that are declared, by name; without any, every attribute can
    be named, and is what it is.
    """
    try:
        part = _Parser(text, columns, now).whole()
        part({})
    except RecursionError:
        raise BadFilter("it is nested too deeply", column=1) from None
    return lambda item: part(item) is True


class _Parser:
    def __init__(self, text: str, columns: Mapping[str, str], now: datetime) -> None:
        self._tokens = list(tokens(text))
        self._at = 0
        self._columns = {name.casefold(): kind for name, kind in columns.items()}
        self._now = now

    def whole(self) -> Part:
        part = self._either()
        if self._token.kind is not Kind.END:
            raise self._wrong("AND, OR or the end")
        return part

    @property
    def _token(self) -> Token:
        return self._tokens[self._at]

    def _take(self) -> Token:
        token = self._token
        self._at += 1
        return token

    def _if_word(self, *words: str) -> bool:
        found = self._token.is_word(*words)
        self._at += found
        return found

    def _if_sign(self, *signs: str) -> bool:
        found = self._token.is_sign(*signs)
        self._at += found
        return found

    def _wrong(self, wanted: str) -> BadFilter:
        token = self._token
        if token.is_word(*_REFUSED):
            known = ", ".join(sorted(FUNCTIONS))
            message = (
                f"{token.text} cannot be used here; there are comparisons, IN, BETWEEN, LIKE, "
                f"IS NULL, AND, OR, NOT, + - *, CAST and the functions {known}"
            )
            return BadFilter(message, column=token.column)
        return BadFilter(f"found {token}, wanted {wanted}", column=token.column)

    def _expect(self, sign: str) -> None:
        if not self._if_sign(sign):
            raise self._wrong(repr(sign))

    def _either(self) -> Part:
        parts = [self._both()]
        while self._if_word("OR"):
            parts.append(self._both())
        return _any_of(parts)

    def _both(self) -> Part:
        parts = [self._negated()]
        while self._if_word("AND"):
            parts.append(self._negated())
        return _all_of(parts)

    def _negated(self) -> Part:
        if self._if_word("NOT"):
            return _negated(self._negated())
        return self._predicate()

    def _predicate(self) -> Part:
        left = self._sum()
        token = self._token
        if token.is_sign("<=>"):
            self._take()
            return _same(left, self._sum())
        if token.is_sign(*_COMPARE):
            self._take()
            return _compared(_COMPARE[token.text], left, self._sum())
        if self._if_word("IS"):
            negated = self._if_word("NOT")
            if not self._if_word("NULL"):
                raise self._wrong("NULL")
            return lambda item: (left(item) is None) != negated
        negated = self._if_word("NOT")
        part = self._membership(left)
        if part is None and negated:
            raise self._wrong("IN, BETWEEN or LIKE after NOT")
        if part is None:
            return left
        return _negated(part) if negated else part

    def _membership(self, left: Part) -> Part | None:
        equal = _COMPARE["="]
        if self._if_word("IN"):
            self._expect("(")
            parts = [_compared(equal, left, self._sum())]
            while self._if_sign(","):
                parts.append(_compared(equal, left, self._sum()))
            self._expect(")")
            return _any_of(parts)
        if self._if_word("BETWEEN"):
            low = self._sum()
            if not self._if_word("AND"):
                raise self._wrong("AND")
            high = self._sum()
            return _all_of(
                [_compared(_COMPARE[">="], left, low), _compared(_COMPARE["<="], left, high)]
            )
        if self._if_word("LIKE"):
            pattern = self._sum()
            return lambda item: is_like(left(item), pattern(item))
        return None

    def _sum(self) -> Part:
        part = self._product()
        while self._token.is_sign("+", "-"):
            part = _combined(_COMBINE[self._take().text], part, self._product())
        return part

    def _product(self) -> Part:
        part = self._signed()
        while self._token.is_sign("*"):
            part = _combined(_COMBINE[self._take().text], part, self._signed())
        return part

    def _signed(self) -> Part:
        if self._if_sign("-"):
            return _combined(_COMBINE["-"], lambda _: Decimal(0), self._signed())
        return self._primary()

    def _primary(self) -> Part:
        token = self._token
        if token.is_sign("("):
            self._take()
            part = self._either()
            self._expect(")")
            return part
        if token.kind in {Kind.TEXT, Kind.NUMBER}:
            self._take()
            value = Decimal(token.text) if token.kind is Kind.NUMBER else token.text
            return lambda _: value
        if token.is_word("TRUE", "FALSE", "NULL"):
            self._take()
            known = {"TRUE": True, "FALSE": False, "NULL": None}[token.text.upper()]
            return lambda _: known
        if token.kind is Kind.QUOTED:
            return self._column()
        if token.kind is Kind.WORD and not token.is_word(*_REFUSED):
            return self._call() if self._tokens[self._at + 1].is_sign("(") else self._column()
        raise self._wrong("a column, a value or a function")

    def _column(self) -> Part:
        token = self._take()
        name, folded = token.text, token.text.casefold()
        if not self._columns:
            return lambda item: value_of(_attribute(item, name, folded))
        kind = self._columns.get(folded)
        if kind is None:
            listed = ", ".join(sorted(self._columns))
            message = f"found {name!r}, wanted a column of the data format ({listed})"
            raise BadFilter(message, column=token.column)
        cast: Cast = CASTS.get(kind.upper(), _as_it_is)
        return lambda item: cast(value_of(_attribute(item, name, folded)))

    def _call(self) -> Part:
        token = self._take()
        name = token.text.upper()
        self._expect("(")
        if name == "CAST":
            return self._cast()
        function = FUNCTIONS.get(name)
        if function is None:
            known = ", ".join(sorted(FUNCTIONS))
            message = f"there is no function {token.text!r} here; known: {known}"
            raise BadFilter(message, column=token.column)
        given = self._arguments()
        if not function.least <= len(given) <= function.most:
            wanted = f"{function.least} to {function.most}"
            message = f"found {len(given)} arguments of {token.text}, wanted {wanted}"
            raise BadFilter(message, column=token.column)
        if name == "UNIX_TIMESTAMP" and len(given) == 2:
            self._check_pattern()
        return lambda item: function.call([part(item) for part in given], self._now)

    def _check_pattern(self) -> None:
        """Refuse a date's pattern that is not understood before it makes every date unknown."""
        comma, pattern = self._tokens[self._at - 3 : self._at - 1]
        if comma.is_sign(",") and pattern.kind is Kind.TEXT:
            try:
                date_pattern(pattern.text)
            except ValueError as error:
                raise BadFilter(str(error), column=pattern.column) from None

    def _arguments(self) -> list[Part]:
        given: list[Part] = []
        if not self._token.is_sign(")"):
            given.append(self._sum())
            while self._if_sign(","):
                given.append(self._sum())
        self._expect(")")
        return given

    def _cast(self) -> Part:
        part = self._sum()
        if not self._if_word("AS"):
            raise self._wrong("AS")
        cast = CASTS.get(self._token.text.upper())
        if self._token.kind is not Kind.WORD or cast is None:
            raise self._wrong(f"a type ({', '.join(CASTS)})")
        self._take()
        self._expect(")")
        return lambda item: cast(part(item))


def _as_it_is(value: Value) -> Value:
    return value


def _attribute(item: Item, name: str, folded: str) -> dict[str, object] | None:
    """Names of columns have no case, those of attributes do: the exact one counts first."""
    found = item.get(name)
    if found is None:
        found = next((value for key, value in item.items() if key.casefold() == folded), None)
    return found


def _compared(judge: Callable[[int], bool], left: Part, right: Part) -> Part:
    def compared(item: Item) -> Value:
        found = order(left(item), right(item))
        return None if found is None else judge(found)

    return compared


def _same(left: Part, right: Part) -> Part:
    """Equality for which two NULLs are equal."""

    def same(item: Item) -> Value:
        first, second = left(item), right(item)
        if first is None or second is None:
            return first is second
        return order(first, second) == 0

    return same


def _combined(how: Callable[[Decimal, Decimal], Decimal], left: Part, right: Part) -> Part:
    def combined(item: Item) -> Value:
        first, second = number(left(item)), number(right(item))
        return None if first is None or second is None else how(first, second)

    return combined


def _negated(part: Part) -> Part:
    def negated(item: Item) -> Value:
        found = part(item)
        return not found if isinstance(found, bool) else None

    return negated


def _all_of(parts: list[Part]) -> Part:
    def all_of(item: Item) -> Value:
        unknown = False
        for part in parts:
            found = part(item)
            if found is False:
                return False
            unknown = unknown or found is not True
        return None if unknown else True

    return all_of if len(parts) > 1 else parts[0]


def _any_of(parts: list[Part]) -> Part:
    def any_of(item: Item) -> Value:
        unknown = False
        for part in parts:
            found = part(item)
            if found is True:
                return True
            unknown = unknown or found is not False
        return None if unknown else False

    return any_of if len(parts) > 1 else parts[0]
