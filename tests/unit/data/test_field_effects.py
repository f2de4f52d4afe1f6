"""What fields of data nodes, formats and databases come to, for each type that has them."""

from __future__ import annotations

import pytest

from taskrunner.data.databases.registry import spec_of
from taskrunner.data.formats.delimited import Delimited
from taskrunner.data.formats.registry import format_of
from taskrunner.data.nodes import TableNode, node_of
from taskrunner.data.settings import DataSettings
from taskrunner.model.document import Ref
from taskrunner.testing import new_object, new_task
from tests.unit.data.databases.test_registry import KnownAddresses


@pytest.mark.parametrize("kind", ["SqlDataNode", "MySqlDataNode"])
def test_a_table_node_is_as_its_fields_say(kind: str) -> None:
    fields: dict[str, str | Ref] = {
        "table": "orders",
        "schemaName": "sales",
        "selectQuery": "select 1",
        "insertQuery": "insert into orders values (?)",
        "createTableSql": "create table orders (id int)",
        "database": Ref("Db"),
    }
    database = new_object("Db", "JdbcDatabase", {"connectionString": "jdbc:mysql://h/d"})
    node = node_of(new_task(kind, fields, database).main)
    assert isinstance(node, TableNode)
    assert (node.table, node.schema, node.select_query) == ("orders", "sales", "select 1")
    assert node.insert_query == fields["insertQuery"]
    assert node.create_table_sql == fields["createTableSql"]
    assert node.database.id == "Db"


@pytest.mark.parametrize("kind", ["SqlDataNode", "MySqlDataNode"])
def test_a_table_node_may_be_its_own_database(kind: str) -> None:
    login = {"connectionString": "jdbc:mysql://h/d", "username": "me", "*password": "pw"}
    node = node_of(new_task(kind, {"table": "t", **login}).main)
    assert isinstance(node, TableNode)
    spec = spec_of(node.database, DataSettings(), lookup=KnownAddresses())
    assert (spec.host, spec.database, spec.username, spec.password) == ("h", "d", "me", "pw")


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        ("JdbcDatabase", {"connectionString": "jdbc:mysql://h/"}),
        ("RdsDatabase", {"rdsInstanceId": "i"}),
        ("RedshiftDatabase", {"clusterId": "c"}),
    ],
)
def test_a_database_is_as_its_fields_say(kind: str, place: dict[str, str]) -> None:
    fields = {
        **place,
        "databaseName": "shop",
        "username": "me",
        "*password": "pw",
        "region": "eu-west-1",
        "jdbcProperties": "sslMode=require",
    }
    lookup = KnownAddresses()
    spec = spec_of(new_task(kind, fields).main, DataSettings(), lookup=lookup)
    assert (spec.database, spec.username, spec.password) == ("shop", "me", "pw")
    assert spec.options.ssl_mode == "require"
    assert lookup.asked == [(name, "eu-west-1") for name in place.values() if "jdbc" not in name]


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        ("CSV", {"escapeChar": "^"}, (",", "\n", "^")),
        ("TSV", {"escapeChar": "^"}, ("\t", "\n", "^")),
        ("TSV", {"columnSeparator": ";", "recordSeparator": "|"}, (";", "|", "\\")),
        ("Custom", {"columnSeparator": ";", "recordSeparator": "|"}, (";", "|", "\\")),
    ],
)
def test_a_format_is_as_its_fields_say(
    kind: str, fields: dict[str, str], expected: tuple[str, str, str]
) -> None:
    found = format_of(new_task(kind, fields).main)
    assert isinstance(found, Delimited)
    escapes = found.escapes
    assert (escapes.separator, escapes.record_separator, escapes.escape) == expected
