r"""The SQL that has MySQL and MariaDB quote a value as `formats.quoting` does."""

from __future__ import annotations

from taskrunner.data.formats.quoting import Quoting

_MARK = "\ufeff"
#: Alone in a line it is the end of the data, for PostgreSQL before version 18.
_END_OF_DATA = r"\."


def literal(text: str) -> str:
    """A text, whatever the server takes for quotes and escapes."""
    return f"_utf8mb4 0x{text.encode().hex()}" if text else "_utf8mb4 ''"


def in_quotes_if_needed(text: str, quoting: Quoting, *, is_first: bool, is_only: bool) -> str:
    """A value of which `text` is the SQL, in quotes where the encoder of rows would quote it.

    `is_first`, `is_only`: which of its row's values it is.
    """
    # Whatever collation the column has: in some of them a character is like none, or like others,
    # and a blank at the end counts for nothing (so no text is compared by =).
    exact = f"{text} COLLATE utf8mb4_bin"
    marks = dict.fromkeys((quoting.quote, quoting.separator, "\n", "\r"))
    reasons = [f"OCTET_LENGTH({text}) = 0", *(f"INSTR({exact}, {literal(c)})" for c in marks)]
    if is_first:
        reasons.append(f"INSTR({exact}, {literal(_MARK)}) = 1")
    if is_only:
        size = len(_END_OF_DATA)
        reasons.append(f"OCTET_LENGTH({text}) = {size} AND INSTR({exact}, {literal(_END_OF_DATA)})")
    quote = literal(quoting.quote)
    doubled = f"REPLACE({text}, {quote}, {literal(quoting.quote * 2)})"
    return f"IF({' OR '.join(reasons)}, CONCAT({quote}, {doubled}, {quote}), {text})"
