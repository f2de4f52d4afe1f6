from __future__ import annotations

import pytest

from taskrunner.activities.engines.hive_text import storage_handler, why_not_spark, with_values


@pytest.mark.parametrize(
    ("text", "handler"),
    [
        ("CREATE TABLE t (a INT) STORED BY 'org.x.DynamoDBStorageHandler'", "org.x.DynamoDB"),
        ('create table t (a int) stored\n by\n "org.x.H"', "org.x.H"),
        ("CREATE TABLE t STORED BY HANDLER", "?"),
        ("SELECT 'STORED BY', \"x STORED BY 'y'\" -- STORED BY 'z'", None),
        ("SELECT 'it\\'s STORED BY'", None),
        ("SELECT `STORED BY` FROM t STORED AS TEXTFILE", None),
    ],
)
def test_tables_of_storage_handlers_are_found(text: str, handler: str | None) -> None:
    found = storage_handler(text)
    assert (found is None) == (handler is None)
    assert (found or "").startswith(handler or "")


def test_what_spark_cannot_do_is_one_sentence() -> None:
    assert why_not_spark("SELECT 1") is None
    text = "CREATE EXTERNAL TABLE t (a INT) STORED BY 'org.x.DynamoDBStorageHandler'"
    assert why_not_spark(text) == (
        "the script has a table STORED BY DynamoDBStorageHandler, which spark-sql cannot read or "
        "write: that needs Hive (a hive command, or EMR)"
    )


def test_values_take_the_place_of_variables() -> None:
    text = "LOCATION 's3://${B}/${hivevar:K}' ${UNKNOWN} ${hiveconf:K}"
    assert with_values(text, (("B", "b"), ("K", "${B}"))) == (
        "LOCATION 's3://b/${B}' ${UNKNOWN} ${hiveconf:K}"
    )
