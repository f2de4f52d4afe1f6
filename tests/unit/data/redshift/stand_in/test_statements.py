from __future__ import annotations

import pytest

from taskrunner.data.redshift.stand_in.statements import (
    is_copy,
    is_unload,
    read_copy,
    read_unload,
)
from taskrunner.errors import PermanentTaskError


@pytest.mark.parametrize(
    ("statement", "copy", "unload"),
    [
        ("copy t from 's3://b/k' csv", True, False),
        ("COPY t (a)\nFROM 'dynamodb://t' readratio 5", True, False),
        ("copy t from stdin", False, False),
        ("copy t to '/tmp/x'", False, False),
        ("unload ('select 1') to 's3://b/k'", False, True),
        ("select 'copy t from s3'", False, False),
    ],
)
def test_what_is_redshifts(statement: str, copy: bool, unload: bool) -> None:
    assert (is_copy(statement), is_unload(statement)) == (copy, unload)


def test_a_copy() -> None:
    found = read_copy(
        "copy \"S\".t (a, \"B\") from 's3://b/k' access_key_id 'x' secret_access_key 'y' csv "
        "ignoreheader as 1 compupdate off"
    )
    assert (found.table, found.columns, found.source) == ('"S".t', ("a", "B"), "s3://b/k")
    assert {name: option.value for name, option in found.options.items()} == {
        "CSV": None,
        "IGNOREHEADER": "1",
    }


def test_an_unload() -> None:
    found = read_unload(
        "unload ('select ''x'' from t;') to 's3://b/k' escape gzip iam_role default"
    )
    assert (found.query, found.prefix) == ("select 'x' from t", "s3://b/k")
    assert set(found.options) == {"ESCAPE", "GZIP"}


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("copy t from 'emr://j-1/x'", "knows S3 and DynamoDB only"),
        ("copy t from 's3://b' avro 'auto'", "has no AVRO; it knows ACCEPTINVCHARS, BLANKSASNULL"),
        ("copy t from 's3://b' noload", "has no NOLOAD"),
        ("copy t from 's3://b' frobnicate", "'frobnicate' is no option of COPY"),
        ("copy t (a b) from 's3://b'", "COPY: found b, wanted )"),
        ("copy t from s3", "COPY: found 's3', wanted a text in quotes"),
    ],
)
def test_what_it_does_not_know_is_refused(statement: str, expected: str) -> None:
    with pytest.raises(PermanentTaskError) as found:
        read_copy(statement)
    assert expected in str(found.value)


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("unload ('select 1') to '/tmp'", "wanted s3://bucket/prefix"),
        ("unload ('select 1') to 's3://b' parquet", "has no PARQUET"),
        ("unload ('select 1') to 's3://b' partition by (a)", "has no PARTITION"),
        ("unload ('select 1')", "UNLOAD: found the end, wanted TO"),
    ],
)
def test_what_no_unload_knows_is_refused(statement: str, expected: str) -> None:
    with pytest.raises(PermanentTaskError) as found:
        read_unload(statement)
    assert expected in str(found.value)
