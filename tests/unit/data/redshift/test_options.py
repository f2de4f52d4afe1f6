from __future__ import annotations

import pytest

from taskrunner.data.redshift.options import Verb, make, parse_options
from taskrunner.errors import ErrorId, PermanentTaskError


def written(verb: Verb, *texts: str) -> list[str]:
    return [option.written for option in parse_options(verb, texts)]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        # As Amazon's templates have them.
        (["GZIP", "CSV", "IGNOREHEADER AS 1"], ["GZIP", "CSV", "IGNOREHEADER AS 1"]),
        (["EMPTYASNULL", "IGNOREBLANKLINES"], ["EMPTYASNULL", "IGNOREBLANKLINES"]),
        (["delimiter ',' null as 'x'"], ["DELIMITER ','", "NULL AS 'x'"]),
        (["DELIMITER", "AS", r"'\t'"], [r"DELIMITER AS '\t'"]),
        (["csv quote as '%'"], ["CSV", "QUOTE AS '%'"]),
        (["format as json 'auto'"], ["JSON 'auto'"]),
        (["FORMAT JSON AS 's3://b/paths'"], ["JSON AS 's3://b/paths'"]),
        (["FORMAT PARQUET"], ["PARQUET"]),
        (["compupdate preset statupdate off"], ["COMPUPDATE PRESET", "STATUPDATE OFF"]),
        (["COMPUPDATE STATUPDATE"], ["COMPUPDATE", "STATUPDATE"]),
        (["acceptinvchars as '^' maxerror 5"], ["ACCEPTINVCHARS AS '^'", "MAXERROR 5"]),
        (["ACCEPTINVCHARS", "ENCODING UTF16"], ["ACCEPTINVCHARS", "ENCODING UTF16"]),
        (["IAM_ROLE default"], ["IAM_ROLE default"]),
        (["with credentials 'aws_iam_role=r'"], ["CREDENTIALS 'aws_iam_role=r'"]),
        ([], []),
    ],
)
def test_options_of_copy(texts: list[str], expected: list[str]) -> None:
    assert written(Verb.COPY, *texts) == expected


def test_options_of_unload() -> None:
    found = parse_options(
        Verb.UNLOAD,
        [
            "addquotes escape gzip manifest verbose parallel off allowoverwrite",
            "maxfilesize as 5 mb partition by (a, b) include encrypted auto extension 'x'",
        ],
    )
    assert [(option.name, option.value) for option in found] == [
        ("ADDQUOTES", None),
        ("ESCAPE", None),
        ("GZIP", None),
        ("MANIFEST", "VERBOSE"),
        ("PARALLEL", "OFF"),
        ("ALLOWOVERWRITE", None),
        ("MAXFILESIZE", "5 MB"),
        ("PARTITION", "( a , b ) INCLUDE"),
        ("ENCRYPTED", "AUTO"),
        ("EXTENSION", "x"),
    ]


@pytest.mark.parametrize(
    ("verb", "text", "expected"),
    [
        ("COPY", "GZIPP", "'GZIPP' is no option of COPY that is known; known: ACCEPTANYDATE"),
        ("UNLOAD", "IGNOREHEADER 1", "'IGNOREHEADER' is no option of UNLOAD"),
        ("COPY", "DROP TABLE orders", "'DROP' is no option of COPY"),
        ("COPY", "CSV; DELETE FROM orders", "';' is no option of COPY"),
        ("COPY", "GZIP gzip", "the option GZIP is given twice"),
        ("COPY", "GZIP BZIP2", "BZIP2 and GZIP exclude each other"),
        ("COPY", "JSON 'auto' CSV", "CSV and JSON exclude each other"),
        ("COPY", "CSV ESCAPE", "ESCAPE cannot be used with CSV"),
        ("COPY", "CSV REMOVEQUOTES", "REMOVEQUOTES cannot be used with CSV"),
        ("COPY", "FIXEDWIDTH 'a:1' DELIMITER ','", "DELIMITER cannot be used with FIXEDWIDTH"),
        ("COPY", "JSON 'auto' NULL AS 'x'", "NULL cannot be used with JSON"),
        ("COPY", "PARQUET GZIP", "GZIP cannot be used with PARQUET"),
        ("COPY", "QUOTE '%'", "QUOTE needs CSV"),
        ("COPY", "MASTER_SYMMETRIC_KEY 'x'", "needs ENCRYPTED"),
        ("COPY", "DELIMITER ,", "DELIMITER is given ,, wanted a text in single quotes"),
        ("COPY", "DELIMITER", "DELIMITER is given nothing, wanted a text"),
        ("COPY", "IGNOREHEADER '1'", "IGNOREHEADER is given '1', wanted a number"),
        ("COPY", "ACCEPTINVCHARS AS", "ACCEPTINVCHARS is given nothing"),
        ("COPY", "FORMAT XML", "'XML' is no FORMAT"),
        ("COPY", "DELIMITER 'x", "the quote has no end"),
        ("UNLOAD", "PARTITION a", "PARTITION wants BY"),
        ("UNLOAD", "ALLOWOVERWRITE CLEANPATH", "exclude each other"),
        ("UNLOAD", "CSV HEADER ADDQUOTES", "ADDQUOTES cannot be used with CSV"),
        ("UNLOAD", "PARQUET HEADER", "HEADER cannot be used with PARQUET"),
    ],
)
def test_what_is_unknown_or_clashes_is_refused(verb: str, text: str, expected: str) -> None:
    with pytest.raises(PermanentTaskError) as found:
        parse_options(Verb(verb), [text])
    assert expected in str(found.value)
    assert found.value.error_id == ErrorId.INVALID_FIELD


def test_one_option_is_made_of_its_text() -> None:
    assert make(Verb.COPY, "READRATIO 50").value == "50"
