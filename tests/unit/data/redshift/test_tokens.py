from __future__ import annotations

import pytest

from taskrunner.data.redshift.tokens import Kind, meaning, quoted, tokens
from taskrunner.errors import PermanentTaskError


def test_a_statement_is_taken_apart() -> None:
    found = tokens("COPY \"S\".t /* not; this */ FROM 's3://b/it''s' -- nor this\n csv 12")
    assert [(token.kind, token.meant) for token in found] == [
        (Kind.WORD, "COPY"),
        (Kind.NAME, "S"),
        (Kind.SIGN, "."),
        (Kind.WORD, "t"),
        (Kind.WORD, "FROM"),
        (Kind.TEXT, "s3://b/it's"),
        (Kind.WORD, "csv"),
        (Kind.NUMBER, "12"),
    ]
    assert found[6].word == "CSV"
    assert found[5].word == ""


def test_a_quote_without_an_end_is_refused() -> None:
    with pytest.raises(PermanentTaskError, match=r"the quote has no end in \"'\|\""):
        tokens("DELIMITER '|")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r"\\N", r"\N"),
        (r"\t", "\t"),
        (r"\001", "\x01"),
        (r"\x1f", "\x1f"),
        (r"a\'b''c", "a'b'c"),
        (r"\|", "|"),
    ],
)
def test_backslashes_escape_as_in_redshift(written: str, meant: str) -> None:
    assert meaning(written) == meant


@pytest.mark.parametrize("text", ["", "it's", r"\N", "\\'", "a\nb", "x\\\\"])
def test_what_is_quoted_means_the_same(text: str) -> None:
    (token,) = tokens(quoted(text))
    assert token.meant == text
