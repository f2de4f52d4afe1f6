"""What + - * / ^ do with two values."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from taskrunner.model.expressions.values import MAX_TEXT, Scalar, as_number, render

Number = int | float
#: Java's long: what a whole number may be.
_LARGEST = 2**63


def _number(symbol: str, value: Scalar) -> Number:
    number = as_number(value)
    if number is None:
        raise ValueError(f"{symbol} needs numbers, found {render(value)!r}")
    return number


def _checked(value: Number) -> Number:
    if isinstance(value, int):
        if not -_LARGEST <= value < _LARGEST:
            raise OverflowError("the result has more digits than a whole number may have")
    elif not math.isfinite(value):
        raise OverflowError("the result is too large for a number")
    return value


def _add(left: Scalar, right: Scalar) -> Scalar:
    """Numbers are added; anything else is written one after the other."""
    if isinstance(left, int | float) and isinstance(right, int | float):
        return _checked(left + right)
    text = render(left) + render(right)
    if len(text) > MAX_TEXT:
        raise OverflowError(f"the result is longer than {MAX_TEXT} characters")
    return text


def _arithmetic(
    symbol: str, compute: Callable[[Number, Number], Number]
) -> Callable[[Scalar, Scalar], Scalar]:
    def operator(left: Scalar, right: Scalar) -> Scalar:
        return _checked(compute(_number(symbol, left), _number(symbol, right)))

    return operator


def _divide(left: Number, right: Number) -> Number:
    if right == 0:
        raise ValueError("division by zero")
    if isinstance(left, float) or isinstance(right, float):
        return left / right
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def _power(base: Number, exponent: Number) -> Number:
    try:
        return math.pow(base, exponent)
    except ValueError:
        raise ValueError(f"{base} ^ {exponent} is not a real number") from None


#: Operator -> what it does; raises ValueError or OverflowError with a sentence.
OPERATORS: Mapping[str, Callable[[Scalar, Scalar], Scalar]] = {
    "+": _add,
    "-": _arithmetic("-", lambda left, right: left - right),
    "*": _arithmetic("*", lambda left, right: left * right),
    "/": _arithmetic("/", _divide),
    "^": _arithmetic("^", _power),
}


def negated(value: Scalar) -> Scalar:
    """Minus the value; raises ValueError when it is no number."""
    return _checked(-_number("-", value))
