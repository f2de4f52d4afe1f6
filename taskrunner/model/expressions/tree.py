"""What an expression is made of, each part with its column in the field's text (from 1)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Literal:
    """A number or a quoted text."""

    value: int | float | str
    column: int


@dataclass(frozen=True, slots=True)
class Name:
    """A field, a parameter or a keyword, with its `@` or `*` when it has one."""

    name: str
    column: int


@dataclass(frozen=True, slots=True)
class Attribute:
    """A field of the object that `target` refers to."""

    target: Node
    name: str
    column: int


@dataclass(frozen=True, slots=True)
class Call:
    """A function; `x.format(p)` is `format(x, p)`. `column` is that of the function's name."""

    function: str
    arguments: tuple[Node, ...]
    column: int


@dataclass(frozen=True, slots=True)
class Negate:
    """Minus in front of a value."""

    operand: Node
    column: int


@dataclass(frozen=True, slots=True)
class Chain:
    """Operators of one strength, worked off from the left; flat, so that it needs no recursion."""

    first: Node
    rest: tuple[tuple[str, Node, int], ...]
    column: int


Node = Literal | Name | Attribute | Call | Negate | Chain


@dataclass(frozen=True, slots=True)
class Expression:
    """One `#{...}`; `column` is that of its `#`."""

    root: Node
    source: str
    column: int


@dataclass(frozen=True, slots=True)
class Template:
    """A field's text: literal pieces and expressions, in order."""

    parts: tuple[str | Expression, ...]

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """The expressions, in order."""
        return tuple(part for part in self.parts if isinstance(part, Expression))
