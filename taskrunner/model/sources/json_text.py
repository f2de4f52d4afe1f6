"""A JSON parser that keeps what the standard one drops: positions and repeated keys."""

from __future__ import annotations

import re
from bisect import bisect_right
from json.decoder import JSONDecodeError, scanstring  # type: ignore[attr-defined]

from taskrunner.errors import Place
from taskrunner.model.document import Position
from taskrunner.model.sources.problems import Unreadable
from taskrunner.model.sources.tree import (
    MAX_DEPTH,
    ListNode,
    MapNode,
    Member,
    Node,
    Scalar,
    ScalarKind,
)

_SPACE = re.compile(r"[ \t\r\n]*")
# The usual forms of a key and a separator, each in one step; what they miss goes the long way.
_KEY = re.compile(r'"([ !#-\[\]-~]*)"[ \t\r\n]*:[ \t\r\n]*')
_TEXT = re.compile(r'"([ !#-\[\]-~]*)"')
_COMMA = re.compile(r"[ \t\r\n]*,[ \t\r\n]*(?![ \t\r\n\]}])")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?(?![0-9A-Za-z.+-])")
_WORD = re.compile(r"[^\s,:{}\[\]\"]+")
_LITERALS: dict[str, ScalarKind] = {"true": "boolean", "false": "boolean", "null": "null"}
#: Words that other languages have.
_TAKEN_FOR_JSON = frozenset(
    {"true", "false", "null", "none", "nil", "nan", "infinity", "-infinity", "undefined"}
)


def parse_json(text: str, source: str | None = None) -> Node:
    """The tree of a JSON text; raises DefinitionError with line and column when it is not JSON."""
    return _Parser(text, source).document()


class _Parser:
    """Recursive descent, held to MAX_DEPTH levels so that no input can exhaust the stack."""

    def __init__(self, text: str, source: str | None) -> None:
        self.text = text
        self.source = source
        self.lines = [0, *(match.end() for match in re.finditer("\n", text))]

    def document(self) -> Node:
        """The one value of the text."""
        start = self.skip(0)
        if start == len(self.text):
            raise self.error("the text is empty; wanted a JSON object", start)
        node, end = self.value(start, 0)
        end = self.skip(end)
        if end != len(self.text):
            raise self.error(f"found {self.seen(end)} after the end of the JSON value", end)
        return node

    def value(self, at: int, depth: int, position: Position | None = None) -> tuple[Node, int]:
        """The value that starts at this offset, and the offset after it.

        A scalar in an object has the position of its key, which is given.
        """
        opening = self.text[at : at + 1]
        if opening == '"':
            string, end = self.string(at)
            return Scalar(string, "string", position or self.position(at)), end
        if opening in {"{", "["} and depth >= MAX_DEPTH:
            raise self.error(f"nested more than {MAX_DEPTH} levels deep", at)
        if opening == "{":
            return self.map(at, depth)
        if opening == "[":
            return self.list(at, depth)
        return self.bare(at, position or self.position(at))

    def map(self, at: int, depth: int) -> tuple[Node, int]:
        """An object, all members of a repeated key kept."""
        members: list[Member] = []
        end = self.skip(at + 1)
        if self.text[end : end + 1] == "}":
            return MapNode((), self.position(at)), end + 1
        more = True
        while more:
            member, end = self.member(end, depth)
            members.append(member)
            end, more = self.separator(end, "}")
        return MapNode(tuple(members), self.position(at)), end

    def member(self, at: int, depth: int) -> tuple[Member, int]:
        """One `"key": value`."""
        usual = _KEY.match(self.text, at)
        if usual:
            position = self.position(at)
            node, end = self.value(usual.end(), depth + 1, position)
            return Member(usual[1], node, position), end
        if self.text[at : at + 1] != '"':
            raise self.error(f"found {self.seen(at)}, wanted a key in double quotes", at)
        key, end = self.string(at)
        end = self.skip(end)
        if self.text[end : end + 1] != ":":
            raise self.error(f"found {self.seen(end)}, wanted ':' after a key", end)
        position = self.position(at)
        node, end = self.value(self.skip(end + 1), depth + 1, position)
        return Member(key, node, position), end

    def list(self, at: int, depth: int) -> tuple[Node, int]:
        """An array."""
        items: list[Node] = []
        end = self.skip(at + 1)
        if self.text[end : end + 1] == "]":
            return ListNode((), self.position(at)), end + 1
        more = True
        while more:
            item, end = self.value(end, depth + 1)
            items.append(item)
            end, more = self.separator(end, "]")
        return ListNode(tuple(items), self.position(at)), end

    def separator(self, at: int, closing: str) -> tuple[int, bool]:
        """The offset after a comma or the closing bracket, and whether another item follows."""
        usual = _COMMA.match(self.text, at)
        if usual:
            return usual.end(), True
        end = self.skip(at)
        found = self.text[end : end + 1]
        if found == closing:
            return end + 1, False
        if found != ",":
            raise self.error(f"found {self.seen(end)}, wanted ',' or '{closing}'", end)
        following = self.skip(end + 1)
        if self.text[following : following + 1] == closing:
            raise self.error(f"a comma before '{closing}', which JSON does not allow", end)
        return following, True

    def string(self, at: int) -> tuple[str, int]:
        """The string whose opening quote is at this offset."""
        usual = _TEXT.match(self.text, at)
        if usual:
            return usual[1], usual.end()
        try:
            string, end = scanstring(self.text, at + 1, True)
        except JSONDecodeError as error:
            raise self.error(f"in a string: {_reason(error.msg)}", error.pos) from None
        if not string.isascii() and any("\ud800" <= letter <= "\udfff" for letter in string):
            raise self.error("in a string: half of a surrogate pair is not a character", at)
        return string, end

    def bare(self, at: int, position: Position) -> tuple[Node, int]:
        """A number, true, false or null."""
        match = _NUMBER.match(self.text, at)
        if match:
            return Scalar(match[0], "number", position), match.end()
        word = _WORD.match(self.text, at)
        kind = _LITERALS.get(word[0]) if word else None
        if word is None or kind is None:
            raise self.error(f"found {self.seen(at)}, wanted a JSON value", at)
        return Scalar(word[0], kind, position), word.end()

    def skip(self, at: int) -> int:
        """The offset of the next letter that is not white space."""
        match = _SPACE.match(self.text, at)
        return match.end() if match else at

    def position(self, at: int) -> Position:
        """The line and column of an offset."""
        line = bisect_right(self.lines, at)
        return Position(line=line, column=at - self.lines[line - 1] + 1)

    def seen(self, at: int) -> str:
        """What stands at an offset; a word only if it is one of those that people take for JSON.

        Any other may be a piece of a password whose quotes are missing, or do not match.
        """
        if at >= len(self.text):
            return "the end of the text"
        word = _WORD.match(self.text, at)
        if word is None or (len(word[0]) == 1 and not word[0].isalnum()):
            return repr(self.text[at])
        return repr(word[0]) if word[0].lower() in _TAKEN_FOR_JSON else "text without quotes"

    def error(self, message: str, at: int) -> Unreadable:
        """The error for an offset."""
        where = self.position(at)
        place = Place(source=self.source, line=where.line, column=where.column)
        return Unreadable(f"not JSON: {message}", place, code="not-json")


def _reason(message: str) -> str:
    """The standard decoder's reason in our words."""
    if message.startswith("Unterminated"):
        return "no closing double quote"
    if message.startswith("Invalid control"):
        return "a raw line break or control character; write it with a backslash"
    return "a backslash that starts no JSON escape"
