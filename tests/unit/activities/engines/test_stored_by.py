"""Hive scripts with tables of DynamoDB, as Spark is to have them."""

from __future__ import annotations

import pytest

from taskrunner.activities.engines.stored_by import BadTable, StoredTable, read_script

HANDLER = "STORED BY 'org.apache.hadoop.hive.dynamodb.DynamoDBStorageHandler'"


def create(name: str = "t", more: str = "", columns: str = "id STRING, n BIGINT") -> str:
    properties = f'"dynamodb.table.name" = "users", "dynamodb.column.mapping" = "id:Id,n:N"{more}'
    return f"CREATE EXTERNAL TABLE {name} ({columns})\n{HANDLER}\nTBLPROPERTIES ({properties});"


def only(script: str) -> StoredTable:
    (table,) = read_script(script).tables
    return table


def text_of(script: str) -> str:
    return read_script(script).text(lambda view: f"s3://b/{view}/")


def test_a_table_that_is_read_becomes_a_view_of_its_items() -> None:
    script = f"DROP TABLE IF EXISTS t;\n{create()}\nSELECT * FROM T x JOIN `t` y ON x.t = 1;"
    assert text_of(script) == (
        "DROP TABLE IF EXISTS t;"
        "\nCREATE OR REPLACE TEMPORARY VIEW `t` (`id` STRING, `n` BIGINT)"
        "\nUSING json OPTIONS (path 's3://b/t/', mode 'FAILFAST');"
        "\nSELECT * FROM T x JOIN `t` y ON x.t = 1;"
    )
    table = only(script)
    assert (table.table, table.region, table.inserts) == ("users", None, [])
    assert [(one.name, one.type, one.attribute) for one in table.columns] == [
        ("id", "STRING", "Id"),
        ("n", "BIGINT", "N"),
    ]


def test_each_insert_goes_into_a_view_of_its_own() -> None:
    script = (
        f"{create()}\nFROM s INSERT OVERWRITE TABLE t SELECT a, 't' INSERT INTO `T` SELECT b, 1;"
        "\nINSERT INTO TABLE t (n, id) SELECT 1, 'INSERT INTO t'; -- t"
    )
    made = text_of(script)
    assert only(script).inserts == [1, 2, 3]
    assert not only(script).is_read
    assert "VIEW `t`" not in made
    assert made.count("CREATE OR REPLACE TEMPORARY VIEW `taskrunner_insert") == 3
    assert made.endswith(
        "\nFROM s INSERT INTO TABLE `taskrunner_insert1` SELECT a, 't' "
        "INSERT INTO TABLE `taskrunner_insert2` SELECT b, 1;"
        "\nINSERT INTO TABLE `taskrunner_insert3` (n, id) SELECT 1, 'INSERT INTO t'; -- t"
    )


def test_a_table_may_be_written_from_itself() -> None:
    table = only(f"{create()} INSERT INTO t SELECT id, n + 1 FROM t;")
    assert (table.is_read, table.inserts) == (True, [1])


def test_what_drops_the_table_drops_the_view() -> None:
    assert text_of(f"{create()}DROP TABLE t;DROP TABLE s").endswith(
        "\nDROP VIEW IF EXISTS t;DROP TABLE s"
    )


def test_where_and_how_fast_may_be_set_or_be_a_property() -> None:
    script = (
        "SET dynamodb.endpoint=dynamodb.eu-west-1.amazonaws.com;\n"
        "SET dynamodb.throughput.read.percent = 0.25; SET dynamodb.max.map.tasks=3;\n"
        + create(more=', "dynamodb.throughput.write.percent" = "0.75"')
    )
    table = only(script)
    assert (table.region, table.read_share, table.write_share) == ("eu-west-1", 0.25, 0.75)
    assert only(create()).read_share == 0.5
    assert only(create(more=", 'dynamodb.region'='us-west-2'")).region == "us-west-2"


def test_variables_are_known() -> None:
    script = create().replace("users", "${TABLE}") + "INSERT INTO ${T} SELECT 1;"
    read = read_script(script, (("TABLE", "people"), ("T", "t")))
    assert [(table.table, table.inserts) for table in read.tables] == [("people", [1])]


def test_columns_may_have_comments_and_types_with_commas() -> None:
    columns = "id STRING COMMENT 'a, b', -- the key\n `n` DECIMAL(10, 2)"
    table = only(create(columns=columns).replace("\nSTORED", " COMMENT 'x' STORED"))
    assert [(one.name, one.type) for one in table.columns] == [
        ("id", "STRING"),
        ("n", "DECIMAL(10, 2)"),
    ]


def test_a_script_without_such_tables_is_as_it_was() -> None:
    script = "SET dynamodb.region = x;\nSELECT 'STORED BY' -- STORED BY 'x'\n; SELECT ${a}"
    assert text_of(script) == script


@pytest.mark.parametrize(
    ("script", "text"),
    [
        (
            "CREATE TABLE t (a INT) STORED BY 'org.x.HBaseStorageHandler';",
            "a table STORED BY HBaseStorageHandler, which spark-sql cannot read or write: that n",
        ),
        (create("db.t"), "in another way than CREATE EXTERNAL TABLE NAME"),
        (f"CREATE TABLE t {HANDLER}", "in another way than CREATE EXTERNAL TABLE NAME"),
        (create().replace("STORED BY", "PARTITIONED BY (d INT) STORED BY"), "has more than colum"),
        (create().replace('"users"', '"${T}"'), "has the dynamodb.table.name '${T}', wanted a"),
        (
            create().replace('"users"', "users"),
            "= users, \"dynamodb.column.mapping\" = \"', wanted 'a'='b'",
        ),
        (create(more=', "dynamodb.type.mapping" = "n:S"'), "dynamodb.type.mapping, which is not"),
        (create(columns="id STRING"), "the dynamodb.column.mapping of t has 'n', no column of it"),
        (create(columns="id STRING, n BIGINT, x INT"), "has no attribute for 'x' in dynamodb.colu"),
        (create(columns="id STRING, n TIMESTAMP"), "in the table t the column 'n' has the type"),
        (create(columns="item map<string,string>"), "HiveCopyActivity copies whole items"),
        (create(more=', "dynamodb.region" = "x", "dynamodb.endpoint" = "http://h"'), "wanted dyna"),
        (create(more=', "dynamodb.throughput.read.percent" = "9"'), "found '9', wanted a share"),
        (create() + create("T"), "makes the table T twice"),
        (create() + "SELECT * FROM default.t;", "names the table t with a database before it"),
        (create() + "INSERT INTO t SELECT 1, 2; SELECT * FROM t;", "reads the table t of DynamoDB"),
        (create() + "LOAD DATA INPATH 'x' INTO TABLE t;", "has LOAD for the table t of DynamoDB"),
        (create() + "SELECT * FROM t; SET dynamodb.region = x;", "after a table of DynamoDB was"),
        (create() + "SET dynamodb.what = 1;", "sets dynamodb.what, which is not known here"),
        ("CREATE TABLE t (a INT STORED BY 'x.DynamoDBStorageHandler'", "parenthesis is not closed"),
    ],
)
def test_what_spark_cannot_have_is_one_sentence(script: str, text: str) -> None:
    with pytest.raises(BadTable) as caught:
        read_script(script)
    assert text in str(caught.value)
