"""COPY and UNLOAD, read as Redshift reads them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from taskrunner.data.redshift.options import Option, Verb, parse_options
from taskrunner.data.redshift.tokens import Kind, Token, tokens, unreadable

#: What changes nothing here: how values are stored, and with whose rights S3 is reached.
_NO_EFFECT = frozenset(
    {
        *("ACCESS_KEY_ID", "COMPROWS", "COMPUPDATE", "CREDENTIALS", "IAM_ROLE", "READRATIO"),
        *("SECRET_ACCESS_KEY", "SESSION_TOKEN", "STATUPDATE"),
    }
)
_OF_COPY = frozenset(
    {
        *("ACCEPTINVCHARS", "BLANKSASNULL", "BZIP2", "CSV", "DATEFORMAT", "DELIMITER"),
        *("EMPTYASNULL", "ENCODING", "ESCAPE", "EXPLICIT_IDS", "FILLRECORD", "FIXEDWIDTH", "GZIP"),
        *("IGNOREALLERRORS", "IGNOREBLANKLINES", "IGNOREHEADER", "JSON", "MANIFEST", "MAXERROR"),
        *("NULL", "QUOTE", "REGION", "REMOVEQUOTES", "TIMEFORMAT", "TRIMBLANKS", "TRUNCATECOLUMNS"),
    }
)
_OF_UNLOAD = frozenset(
    {
        *("ADDQUOTES", "ALLOWOVERWRITE", "BZIP2", "CLEANPATH", "CSV", "DELIMITER", "ESCAPE"),
        *("EXTENSION", "GZIP", "HEADER", "MANIFEST", "NULL", "PARALLEL", "REGION"),
    }
)
_FROM_S3 = re.compile(
    r"\s*COPY\b.*?\bFROM\s+'(?:s3|dynamodb|emr|ssh)://", re.IGNORECASE | re.DOTALL
)
_UNLOAD = re.compile(r"\s*UNLOAD\s*\(", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A COPY."""

    #: As it stands in the statement.
    table: str
    columns: tuple[str, ...]
    source: str
    options: Mapping[str, Option]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unload:
    """An UNLOAD."""

    query: str
    prefix: str
    options: Mapping[str, Option]


def is_copy(statement: str) -> bool:
    """Whether it is a COPY of Redshift's, and none of PostgreSQL's own."""
    return bool(_FROM_S3.match(statement))


def is_unload(statement: str) -> bool:
    """Whether it is an UNLOAD."""
    return bool(_UNLOAD.match(statement))


def read_copy(statement: str) -> Copy:
    """Read a COPY; raises PermanentTaskError for what is not understood here."""
    reader = _Reader("COPY", statement)
    reader.take("COPY")
    table = reader.name()
    columns: list[str] = []
    if reader.took("("):
        columns.append(reader.column())
        while reader.took(","):
            columns.append(reader.column())
        reader.take(")")
    reader.take("FROM")
    source = reader.text()
    if urlsplit(source).scheme not in {"s3", "dynamodb"}:
        raise unreadable(
            f"COPY FROM {source!r}: the PostgreSQL in Redshift's place knows S3 and DynamoDB only"
        )
    return Copy(
        table=table,
        columns=tuple(columns),
        source=source,
        options=_options(Verb.COPY, reader.rest(), _OF_COPY),
    )


def read_unload(statement: str) -> Unload:
    """Read an UNLOAD; raises PermanentTaskError for what is not understood here."""
    reader = _Reader("UNLOAD", statement)
    reader.take("UNLOAD")
    reader.take("(")
    query = reader.text()
    reader.take(")")
    reader.take("TO")
    prefix = reader.text()
    if not prefix.startswith("s3://"):
        raise unreadable(f"UNLOAD TO {prefix!r}: wanted s3://bucket/prefix")
    return Unload(
        query=query.strip().rstrip(";"),
        prefix=prefix,
        options=_options(Verb.UNLOAD, reader.rest(), _OF_UNLOAD),
    )


def _options(verb: Verb, text: str, known: frozenset[str]) -> Mapping[str, Option]:
    options = parse_options(verb, [text])
    for option in options:
        if option.name not in known | _NO_EFFECT:
            raise unreadable(
                f"{verb}: the PostgreSQL in Redshift's place has no {option.name}; it knows "
                f"{', '.join(sorted(known))}"
            )
    return {option.name: option for option in options if option.name in known}


class _Reader:
    """Goes through the tokens of a statement."""

    def __init__(self, verb: str, statement: str) -> None:
        self._verb = verb
        self._tokens = tokens(statement.strip().rstrip(";"))
        self._at = 0

    def took(self, word: str) -> bool:
        """Pass over a word or a sign, if it is there."""
        if self._peek().written.upper() != word:
            return False
        self._at += 1
        return True

    def take(self, word: str) -> None:
        """Pass over a word or a sign that must be there."""
        if not self.took(word):
            found = self._peek().written or "the end"
            raise unreadable(f"{self._verb}: found {found}, wanted {word}")

    def text(self) -> str:
        """A text in single quotes."""
        token = self._next()
        if token.kind is not Kind.TEXT:
            raise unreadable(f"{self._verb}: found {token.written!r}, wanted a text in quotes")
        return token.meant

    def name(self) -> str:
        """A table's name, as it is written."""
        written = self._next().written
        while self.took("."):
            written += "." + self._next().written
        return written

    def column(self) -> str:
        """A column's name, as the catalog has it."""
        token = self._next()
        return token.meant if token.kind is Kind.NAME else token.written.lower()

    def rest(self) -> str:
        """All that follows."""
        return " ".join(token.written for token in self._tokens[self._at :])

    def _peek(self) -> Token:
        return self._tokens[self._at] if self._at < len(self._tokens) else Token(Kind.SIGN, "")

    def _next(self) -> Token:
        token = self._peek()
        self._at += 1
        return token
