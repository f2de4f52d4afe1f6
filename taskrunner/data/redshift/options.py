"""The options of COPY and UNLOAD: each known by name, all others refused. Pure.

Redshift says of most mistakes here no more than `syntax error`, and of some nothing: what clashes
is refused before anything is sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from taskrunner.data.redshift.tokens import Kind, Token, tokens, unreadable


class Verb(StrEnum):
    """Whose options they are."""

    COPY = "COPY"
    UNLOAD = "UNLOAD"


class Takes(StrEnum):
    """What stands behind an option's name."""

    NOTHING = "nothing"
    TEXT = "a text in single quotes"
    NUMBER = "a number"
    SIZE = "a number, and MB or GB"
    MAYBE_TEXT = "a text in single quotes, or nothing"
    MAYBE_SWITCH = "ON or OFF, or nothing"
    PRESET = "PRESET, ON or OFF, or nothing"
    ROLE = "default, or a role's ARN in single quotes"
    WORD = "a word"
    COLUMNS = "columns in parentheses"


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its name, what it was given, and how it is written in a statement."""

    name: str
    #: What a text says, a number's digits or a word in capitals; None where nothing is given.
    value: str | None
    written: str


_SWITCHES = frozenset({"ON", "OFF", "TRUE", "FALSE"})
_COMPRESSION = frozenset({"GZIP", "BZIP2", "LZOP", "ZSTD"})
_N, _T, _S = Takes.NOTHING, Takes.TEXT, Takes.MAYBE_SWITCH
_BOTH: Mapping[str, Takes] = {
    "ACCESS_KEY_ID": _T, "CREDENTIALS": _T, "SECRET_ACCESS_KEY": _T, "SESSION_TOKEN": _T,
    "IAM_ROLE": Takes.ROLE, "MASTER_SYMMETRIC_KEY": _T, "REGION": _T,
    "BZIP2": _N, "CSV": _N, "DELIMITER": _T, "ESCAPE": _N, "FIXEDWIDTH": _T, "GZIP": _N,
    "MANIFEST": _N, "NULL": _T, "PARQUET": _N, "ZSTD": _N,
}  # fmt: skip
_OF: Mapping[Verb, Mapping[str, Takes]] = {
    Verb.COPY: {
        **_BOTH,
        "ACCEPTANYDATE": _N, "ACCEPTINVCHARS": Takes.MAYBE_TEXT, "AVRO": Takes.MAYBE_TEXT,
        "BLANKSASNULL": _N, "COMPROWS": Takes.NUMBER, "COMPUPDATE": Takes.PRESET,
        "DATEFORMAT": _T, "EMPTYASNULL": _N, "ENCODING": Takes.WORD, "ENCRYPTED": _N,
        "EXPLICIT_IDS": _N, "FILLRECORD": _N, "IGNOREALLERRORS": _N, "IGNOREBLANKLINES": _N,
        "IGNOREHEADER": Takes.NUMBER, "JSON": Takes.MAYBE_TEXT, "LZOP": _N,
        "MAXERROR": Takes.NUMBER, "NOLOAD": _N, "ORC": _N, "QUOTE": _T,
        "READRATIO": Takes.NUMBER, "REMOVEQUOTES": _N, "ROUNDEC": _N, "STATUPDATE": _S,
        "TIMEFORMAT": _T, "TRIMBLANKS": _N, "TRUNCATECOLUMNS": _N,
    },
    Verb.UNLOAD: {
        **_BOTH,
        "ADDQUOTES": _N, "ALLOWOVERWRITE": _N, "CLEANPATH": _N, "ENCRYPTED": _N,
        "EXTENSION": _T, "HEADER": _N, "JSON": _N, "KMS_KEY_ID": _T, "MAXFILESIZE": Takes.SIZE,
        "PARALLEL": _S, "PARTITION": Takes.COLUMNS, "ROWGROUPSIZE": Takes.SIZE,
    },
}  # fmt: skip
#: Of each group there may be one.
_ONE_OF: tuple[frozenset[str], ...] = (
    frozenset({"AVRO", "CSV", "FIXEDWIDTH", "JSON", "ORC", "PARQUET"}),
    _COMPRESSION,
    frozenset({"ALLOWOVERWRITE", "CLEANPATH"}),
    frozenset({"CREDENTIALS", "IAM_ROLE", "ACCESS_KEY_ID"}),
    frozenset({"MAXERROR", "IGNOREALLERRORS"}),
)
_LINES = frozenset({"DELIMITER", "ESCAPE", "NULL", "REMOVEQUOTES", "ADDQUOTES", "IGNOREBLANKLINES"})
_NOT_WITH: Mapping[str, frozenset[str]] = {
    "CSV": frozenset({"ESCAPE", "REMOVEQUOTES", "ADDQUOTES"}),
    "FIXEDWIDTH": frozenset({"DELIMITER", "ESCAPE", "REMOVEQUOTES", "HEADER"}),
    "JSON": _LINES | {"FILLRECORD", "READRATIO", "HEADER", "QUOTE"},
    "AVRO": _LINES | {"FILLRECORD", "READRATIO", "QUOTE"},
    "ORC": _LINES | _COMPRESSION | {"IGNOREHEADER", "QUOTE"},
    "PARQUET": _LINES | _COMPRESSION | {"IGNOREHEADER", "QUOTE", "HEADER"},
}
#: What may stand behind a name that needs nothing.
_MORE = {"MANIFEST": "VERBOSE", "ENCRYPTED": "AUTO"}
_NEEDS = {"QUOTE": "CSV", "MASTER_SYMMETRIC_KEY": "ENCRYPTED"}
#: What says how values stand in a file.
FORMATS = frozenset({"AVRO", "CSV", "DELIMITER", "FIXEDWIDTH", "JSON", "ORC", "PARQUET"})
#: With a data format these make lines of another dialect, or none.
_NAMED_FORMATS = frozenset({"AVRO", "CSV", "JSON", "ORC", "PARQUET"})


def parse_options(verb: Verb, texts: Iterable[str]) -> tuple[Option, ...]:
    """Read options; raises PermanentTaskError for any that is unknown, twice, or clashes.

    They may be divided among the texts anyhow, as long as each one is whole.
    """
    reader = _Reader(verb, [token for text in texts for token in tokens(text)])
    return checked(verb, tuple(reader.options()))


def checked(verb: Verb, options: Sequence[Option]) -> tuple[Option, ...]:
    """The same options, if they go together; raises PermanentTaskError."""
    names = [option.name for option in options]
    for name in names:
        if names.count(name) > 1:
            raise unreadable(f"{verb}: the option {name} is given twice")
    given = frozenset(names)
    for group in _ONE_OF:
        found = sorted(given & group)
        if len(found) > 1:
            raise unreadable(f"{verb}: {' and '.join(found)} exclude each other")
    for name, others in _NOT_WITH.items():
        if name in given and (clash := sorted(given & others)):
            raise unreadable(f"{verb}: {clash[0]} cannot be used with {name}")
    for name, needed in _NEEDS.items():
        if name in given and needed not in given:
            raise unreadable(f"{verb}: {name} needs {needed}")
    return tuple(options)


def make(verb: Verb, text: str) -> Option:
    """One option from its text."""
    (found,) = parse_options(verb, [text])
    return found


class _Reader:
    """Goes through tokens, option by option."""

    def __init__(self, verb: Verb, found: Sequence[Token]) -> None:
        self._verb = verb
        self._tokens = found
        self._at = 0

    def options(self) -> Iterator[Option]:
        while self._at < len(self._tokens):
            yield self._option()

    def _peek(self) -> Token:
        if self._at < len(self._tokens):
            return self._tokens[self._at]
        return Token(Kind.SIGN, "")

    def _next(self) -> Token:
        token = self._peek()
        self._at += 1
        return token

    def _skip(self, *words: str) -> bool:
        if self._peek().word in words:
            self._at += 1
            return True
        return False

    def _option(self) -> Option:
        token = self._next()
        name = token.word
        if name == "WITH":  # in front of CREDENTIALS, in old texts
            return self._option()
        if name == "FORMAT":
            self._skip("AS")
            token = self._next()
            name = token.word
            if name not in _NAMED_FORMATS:
                raise unreadable(f"{self._verb}: {token.written!r} is no FORMAT")
        known = _OF[self._verb]
        if name not in known:
            allowed = ", ".join(sorted(known))
            raise unreadable(
                f"{token.written!r} is no option of {self._verb} that is known; known: {allowed}"
            )
        return self._argument(name, known[name])

    def _argument(self, name: str, takes: Takes) -> Option:
        if name == "PARTITION":
            return self._partition()
        if takes is Takes.NOTHING:
            more = _MORE.get(name, "")
            if more and self._skip(more):
                return Option(name, more, f"{name} {more}")
            return Option(name, None, name)
        joint = " AS" if self._skip("AS") else ""
        value = self._value(takes)
        if value is None:
            if joint or takes not in {Takes.MAYBE_TEXT, Takes.MAYBE_SWITCH, Takes.PRESET}:
                found = self._peek().written or "nothing"
                raise unreadable(f"{self._verb}: {name} is given {found}, wanted {takes}")
            return Option(name, None, name)
        token = self._next()
        meant = token.word or token.meant
        written = token.word or token.written
        if takes is Takes.SIZE and self._peek().word in {"MB", "GB"}:
            unit = self._next().word
            return Option(name, f"{meant} {unit}", f"{name}{joint} {written} {unit}")
        if name == "IAM_ROLE" and token.word:
            written = "default"
        return Option(name, meant, f"{name}{joint} {written}")

    def _value(self, takes: Takes) -> Token | None:
        """The next token if it can be the value."""
        token = self._peek()
        switches = _SWITCHES | ({"PRESET"} if takes is Takes.PRESET else set())
        fits = {
            Takes.TEXT: token.kind is Kind.TEXT,
            Takes.MAYBE_TEXT: token.kind is Kind.TEXT,
            Takes.NUMBER: token.written.isdigit(),
            Takes.SIZE: token.kind is Kind.NUMBER,
            Takes.MAYBE_SWITCH: token.word in switches,
            Takes.PRESET: token.word in switches,
            Takes.ROLE: token.kind is Kind.TEXT or token.word == "DEFAULT",
            Takes.WORD: bool(token.word) or token.kind is Kind.TEXT,
        }
        return token if fits.get(takes) else None

    def _partition(self) -> Option:
        written = ["PARTITION"]
        if not self._skip("BY") or self._peek().written != "(":
            raise unreadable(f"{self._verb}: PARTITION wants BY and {Takes.COLUMNS}")
        written.append("BY")
        while (token := self._next()).written not in {")", ""}:
            written.append(token.written)
        written.append(")")
        if self._skip("INCLUDE"):
            written.append("INCLUDE")
        return Option("PARTITION", " ".join(written[2:]), " ".join(written))
