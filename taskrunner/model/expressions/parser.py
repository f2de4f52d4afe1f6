"""From a field's text to its tree: a Pratt parser, strongest binding last.

+ -     addition, concatenation            left
* /     multiplication, division           left
-x      negation
^       power                              right
.       field of a referenced object, or a function called on a value
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from taskrunner.errors import ExpressionError
from taskrunner.model.expressions.tokens import Lexer, Token, unquote, wrong
from taskrunner.model.expressions.tree import (
    Attribute,
    Call,
    Chain,
    Expression,
    Literal,
    Name,
    Negate,
    Node,
    Template,
)

#: How deep parentheses, calls and signs may nest, and how long a chain of dots may be.
MAX_DEPTH = 40
_MAX_DIGITS = 18
#: How strongly each operator binds; those of one strength form a chain.
_SUM, _PRODUCT, _NEGATION, _POWER, _DOT = range(1, 6)
_STRENGTH = {"+": _SUM, "-": _SUM, "*": _PRODUCT, "/": _PRODUCT, "^": _POWER, ".": _DOT}


#: Characters of all texts whose trees are kept: a tree takes some 60 bytes for each.
_MOST_KEPT = 1_000_000
_LONGEST_KEPT = 10_000


class _Kept:
    """The trees of the texts that were parsed last, as many as there is room for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._trees: OrderedDict[str, Template] = OrderedDict()
        self.size = 0

    def get(self, text: str) -> Template | None:
        with self._lock:
            tree = self._trees.get(text)
            if tree is not None:
                self._trees.move_to_end(text)
        return tree

    def put(self, text: str, tree: Template) -> None:
        if len(text) > _LONGEST_KEPT:
            return
        with self._lock:
            if text not in self._trees:
                self._trees[text] = tree
                self.size += len(text)
            while self.size > _MOST_KEPT:
                self.size -= len(self._trees.popitem(last=False)[0])


_kept = _Kept()


def parse(text: str) -> Template:
    """Parse a field's text, literal text included; raises ExpressionError."""
    if "#{" not in text:
        return Template((text,))
    tree = _kept.get(text)
    if tree is None:
        tree = _parse(text)
        _kept.put(text, tree)
    return tree


def _parse(text: str) -> Template:
    parts: list[str | Expression] = []
    position = 0
    while (start := text.find("#{", position)) >= 0:
        if start > position:
            parts.append(text[position:start])
        try:
            root, position = _Parser(text, start).whole()
        except RecursionError:  # the caller has used up the stack: its depth, not ours
            raise wrong("there is no room left to parse the expression", start + 1) from None
        parts.append(Expression(root, text[start:position], start + 1))
    if position < len(text) or not parts:
        parts.append(text[position:])
    return Template(tuple(parts))


def pieces(text: str) -> tuple[str | Expression, ...]:
    """The parts of a text as `parse` finds them, but what is no expression counts as literal."""
    parts: list[str | Expression] = []
    position = searched = 0
    while (start := text.find("#{", searched)) >= 0:
        try:
            root, stop = _Parser(text, start).whole()
        except (ExpressionError, RecursionError):
            searched = start + len("#{")
            continue
        if start > position:
            parts.append(text[position:start])
        parts.append(Expression(root, text[start:stop], start + 1))
        position = searched = stop
    return (*parts, text[position:]) if position < len(text) else tuple(parts)


class _Parser:
    """Parses the one expression of `source` that opens at `start`."""

    __slots__ = ("_depth", "_lexer", "_start")

    def __init__(self, source: str, start: int) -> None:
        self._start = start
        self._depth = 0
        self._lexer = Lexer(source, start + len("#{"))

    def whole(self) -> tuple[Node, int]:
        """The tree, and the position behind the closing brace."""
        root = self._braced(self._start + 1)
        return root, self._lexer.peek.stop

    def _braced(self, column: int) -> Node:
        """What stands up to the closing brace, which stays to be taken."""
        if self._lexer.peek.kind == "}":
            raise wrong("there is nothing between #{ and }", column)
        root = self._expression(0)
        found = self._lexer.peek
        if found.kind == "end":
            raise wrong("an expression begins with #{ and has no } at its end", column)
        if found.kind != "}":
            raise wrong(f"found {found.shown}, wanted an operator or '}}'", found.column)
        return root

    def _expression(self, strength: int) -> Node:
        """Everything that binds more strongly than `strength`."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise wrong(f"the expression nests deeper than {MAX_DEPTH}", self._lexer.peek.column)
        node = self._prefix()
        while (found := _STRENGTH.get(self._lexer.peek.kind, 0)) > strength:
            node = self._dots(node) if found == _DOT else self._chain(node, found)
        self._depth -= 1
        return node

    def _chain(self, first: Node, strength: int) -> Chain:
        column = self._lexer.peek.column
        rest: list[tuple[str, Node, int]] = []
        while _STRENGTH.get(self._lexer.peek.kind) == strength:
            operator = self._lexer.take()
            # The right side of ^ takes further ones in: 2^3^2 is 2^(3^2).
            inner = strength - 1 if strength == _POWER else strength
            rest.append((operator.kind, self._expression(inner), operator.column))
        return Chain(first, tuple(rest), column)

    def _dots(self, node: Node) -> Node:
        count = 0
        while self._lexer.peek.kind == ".":
            node = self._dot(node)
            count += 1
            if count > MAX_DEPTH:
                raise wrong(f"more than {MAX_DEPTH} dots in a row", self._lexer.peek.column)
        return node

    def _dot(self, target: Node) -> Node:
        self._lexer.take()
        name, column = self._full_name("a field or a function after the dot")
        if self._lexer.peek.kind == "(":
            return Call(name, (target, *self._arguments()), column)
        return Attribute(target, name, column)

    def _prefix(self) -> Node:
        token = self._lexer.peek
        if token.kind == "number":
            return self._number()
        if token.kind == "text":
            return Literal(unquote(self._lexer.take().text), token.column)
        if token.kind == "-":
            self._lexer.take()
            return Negate(self._expression(_NEGATION), token.column)
        if token.kind in {"(", "#{"}:
            return self._enclosed(token)
        name, column = self._full_name("a value")
        if self._lexer.peek.kind == "(":
            return Call(name, self._arguments(), column)
        return Name(name, column)

    def _number(self) -> Literal:
        token = self._lexer.take()
        if len(token.text) > _MAX_DIGITS:
            raise wrong(f"a number has more than {_MAX_DIGITS} digits", token.column)
        return Literal(float(token.text) if "." in token.text else int(token.text), token.column)

    def _enclosed(self, opening: Token) -> Node:
        self._lexer.take()
        if opening.kind == "#{":
            node = self._braced(opening.column)
        else:
            node = self._expression(0)
            self._expect(")", f"for the '(' at column {opening.column}")
        self._lexer.take()
        return node

    def _full_name(self, wanted: str) -> tuple[str, int]:
        """A name with the `@` or `*` that belongs to it, and its column."""
        token = self._lexer.take()
        following = self._lexer.peek if token.kind == "*" else token
        if following.kind != "name" or (token.kind == "*" and token.stop != following.start):
            raise wrong(f"found {token.shown}, wanted {wanted}", token.column)
        if token.kind == "name":
            return token.text, token.column
        return "*" + self._lexer.take().text, token.column

    def _arguments(self) -> tuple[Node, ...]:
        opening = self._lexer.take()
        found: list[Node] = []
        while self._lexer.peek.kind != ")" or found:
            found.append(self._expression(0))
            if self._lexer.peek.kind != ",":
                break
            self._lexer.take()
        self._expect(")", f"or ',' for the '(' at column {opening.column}")
        self._lexer.take()
        return tuple(found)

    def _expect(self, kind: str, why: str) -> None:
        found = self._lexer.peek
        if found.kind != kind:
            raise wrong(f"found {found.shown}, wanted {kind!r} {why}", found.column)
