"""Rules for texts, and for the few words and bytes that types have in place of any."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from taskrunner.data.fitting.rules import NotKeptError, OnLossyValue, Rule, choose

_SOME_NUMBER = re.compile(r"\s*[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?\s*")
_HEX = re.compile(r"\\x(?:[0-9A-Fa-f]{2})*")


@dataclass(frozen=True)
class Length(Rule):
    """Texts of so many characters, or bytes of UTF-8.

    Servers refuse longer ones, but for blanks beyond the length, which they drop; with
    `cuts_anything` they cut whatever is there.
    """

    most: int
    in_bytes: bool = False
    cuts_anything: bool = False

    @property
    def plain(self) -> str:
        """So few characters that they are not too many bytes either."""
        return rf"(?s:.{{0,{min(self.most // (4 if self.in_bytes else 1), 65535)}}})"

    def keeps_all(self, texts: Iterable[str]) -> bool:
        """Whether the longest is not too long."""
        return max(map(len, texts), default=0) <= self.most // (4 if self.in_bytes else 1)

    def fit(self, text: str, policy: OnLossyValue) -> str:
        """The text, or as much of it as there is place for."""
        cut = self._cut(text)
        if len(cut) == len(text):
            return text
        if policy is OnLossyValue.TRUNCATE:
            return cut
        if self.cuts_anything or not text[len(cut) :].strip(" "):
            unit = "bytes" if self.in_bytes else "characters"
            why = f"would be cut to {self.most} {unit}"
            return choose(policy, rounded=cut, cut=cut, why=why)
        return text  # the server refuses it

    def _cut(self, text: str) -> str:
        if not self.in_bytes:
            return text[: self.most]
        return text.encode()[: self.most].decode(errors="ignore")


@dataclass(frozen=True)
class Padded(Rule):
    """BINARY(n): shorter values get zero bytes behind them."""

    size: int

    @property
    def plain(self) -> str:
        """Hexadecimal digits for as many bytes as there are."""
        return rf"\\x(?:[0-9A-Fa-f]{{2}}){{{self.size}}}"

    def fit(self, text: str, policy: OnLossyValue) -> str:
        """The text, padded by the server where that is no fault."""
        found = (len(text) - 2) // 2 if _HEX.fullmatch(text) else len(text.encode())
        if found >= self.size:
            return text
        why = f"would be filled up with zero bytes from {found} to {self.size}"
        return choose(policy, rounded=text, cut=text, why=why)


@dataclass(frozen=True)
class Words(Rule):
    """ENUM and SET: the words are kept; case, and numbers in place of words, are not."""

    words: tuple[str, ...]
    several: bool = False

    @property
    def plain(self) -> str:
        """One of the words."""
        return "|".join(map(re.escape, self.words))

    def fit(self, text: str, policy: OnLossyValue) -> str:
        """One of the words, or some; what the server makes of others where that is no fault."""
        given = text.split(",") if self.several and text else [text]
        known = {*self.words, ""} if self.several else {*self.words}
        if known.issuperset(given) and len(set(given)) == len(given):
            return text
        why = f"is not {'made of' if self.several else 'one of'} {', '.join(self.words)}"
        return choose(policy, rounded=text, cut=text, why=why)


@dataclass(frozen=True)
class Year(Rule):
    """YEAR: of two digits the server makes four, and 2000 of the number 0."""

    plain = "[0-9]{4}"

    def fit(self, text: str, policy: OnLossyValue) -> str:
        """A year of four digits."""
        if not _SOME_NUMBER.fullmatch(text) or re.fullmatch(r"\s*[0-9]{4}\s*", text):
            return text
        return choose(policy, rounded=text, cut=text, why="is not a year of four digits")


@dataclass(frozen=True)
class Form(Rule):
    """Types of which the server reads what it likes, of other texts as well: 0 of `now`, say."""

    plain: str = ""
    #: What the texts are, for the message.
    what: str = ""

    def fit(self, text: str, policy: OnLossyValue) -> str:
        """The text, when it has the form."""
        if not re.fullmatch(self.plain, text):
            raise NotKeptError(f"is not {self.what}")
        return text


@dataclass(frozen=True)
class Unsigned(Rule):
    """Whole numbers of so many bits; of what is none servers make one."""

    bits: int = 32
    plain = "[0-9]{1,9}"

    def fit(self, text: str, policy: OnLossyValue) -> str:
        """The text, when it is such a number."""
        if not re.fullmatch("[0-9]{1,20}", text) or int(text) >> self.bits:
            raise NotKeptError(f"is not a whole number from 0 to {(1 << self.bits) - 1}")
        return text


@dataclass(frozen=True)
class Nothing(Rule):
    """A type of which nobody can say what it keeps."""

    why: str
    plain = r"(?!)"

    def fit(self, text: str, policy: OnLossyValue) -> str:
        """The text, where any change is the author's will."""
        return choose(policy, rounded=text, cut=text, why=self.why)


@dataclass(frozen=True)
class Elements(Rule):
    """PostgreSQL's arrays and ranges: no element may need the policy, whatever it is."""

    rule: Rule
    #: One element, in quotes (its first group) or without (its second).
    pattern: str = r'"((?:[^"\\]|\\.)*)"|([^{},"\s][^{},"]*)'
    plain = r"\{\}"

    def fit(self, text: str, policy: OnLossyValue) -> str:
        """The text, when every element is kept as it is."""
        for quoted, bare in re.findall(self.pattern, text, re.DOTALL):
            element = re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL) if quoted else bare
            if quoted or element.upper() != "NULL":
                try:
                    self.rule.fit(element, OnLossyValue.FAIL)
                except NotKeptError as error:
                    raise NotKeptError(f"has the element {element!r}, which {error}") from None
        return text


@dataclass(frozen=True)
class Fields(Rule):
    """PostgreSQL's composite types: no field may need the policy, whatever it is."""

    #: One for each field; None: of which the server refuses what it does not keep.
    rules: tuple[Rule | None, ...]
    plain = r"(?!)"

    def fit(self, text: str, policy: OnLossyValue) -> str:
        """The text, when every field is kept as it is; what is no such text the server refuses."""
        if not _FIELDS.fullmatch(text):
            return text
        for rule, found in zip(self.rules, _FIELD.findall(text.strip()[1:-1]), strict=False):
            if rule is None or not found:
                continue
            field = _QUOTES.sub(_unquoted, found)
            try:
                rule.fit(field, OnLossyValue.FAIL)
            except NotKeptError as error:
                raise NotKeptError(f"has the field {field!r}, which {error}") from None
        return text


#: `(1,"a ""b"" \\",)`: quotes are doubled or escaped, and nothing at all is NULL.
_IN_FIELD = r"(?:\"(?:[^\"\\]|\\.|\"\")*+\"|\\.|[^\",()\\])*+"
_FIELDS = re.compile(rf"\s*\({_IN_FIELD}(?:,{_IN_FIELD})*+\)\s*", re.DOTALL)
_FIELD = re.compile(rf"({_IN_FIELD})(?:,|\Z)", re.DOTALL)
_QUOTES = re.compile(r"\"((?:[^\"\\]|\\.|\"\")*+)\"|\\(.)", re.DOTALL)


def _unquoted(match: re.Match[str]) -> str:
    if match[1] is None:
        return match[2]
    return re.sub(r"\\(.)|\"(\")", r"\1\2", match[1], flags=re.DOTALL)
