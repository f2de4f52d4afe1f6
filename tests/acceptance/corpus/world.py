"""What published definitions look for outside of themselves, put where they look.

The service tells where that is: every field of an instance, evaluated. What another activity of
the pipeline really makes is not put.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import psycopg
from psycopg import sql

from taskrunner.model.document import Definition, PipelineObject
from tests.acceptance import seed
from tests.acceptance.corpus.stand_ins import row

ROWS = (("a", 1), ("b", 2))
#: A script of ours stands in for each that is named, and for the programs of a Hadoop cluster.
SCRIPT = '#!/bin/sh\necho stood in for: "$0" "$@"\n'
PROGRAMS = ("hadoop", "hive", "pig", "spark-submit")
#: What steps and arguments name that is read: by a program of ours, which does not look inside.
_NAMED = re.compile(
    r"s3n?://[^\s,'\"]+\.(?:sh|py|q|hql|pig|rb|pl|jar)\b|s3://[^\s,]+/libs/hive/dynamodb/[^\s,]+"
)
#: Programs that are stood in for write nothing, so that what they would write is put.
_STOOD_IN_FOR = ("HadoopActivity", "HiveActivity", "PigActivity", "EmrActivity")
_TOOLS = ("DynamoDbExport", "DynamoDbImport")


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """An instance as DescribeObjects tells it, evaluated."""

    id: str
    type: str
    fields: Mapping[str, Sequence[str]]

    def first(self, key: str) -> str:
        """The first value of a field, or an empty text."""
        return next(iter(self.fields.get(key, ())), "")

    @property
    def component(self) -> str:
        """The id of its component."""
        return re.sub(r"^@|_\d{4}-\d\d-\d\dT[\d:]+$", "", self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The stand-ins for S3 (a folder), DynamoDB, and the two databases (their URLs)."""

    s3: Path
    dynamodb: str
    mysql: str
    postgresql: str

    def of(self, database: str) -> World:
        """The world with this database in place of PostgreSQL's."""
        return replace(self, postgresql=database)

    def furnish(self, definition: Definition, instances: Iterable[Instance]) -> None:
        """Put there what the instances of one pipeline look for."""
        _Furnishing(self, definition, tuple(instances)).work()


class _Furnishing:
    def __init__(self, world: World, definition: Definition, instances: Sequence[Instance]) -> None:
        self._world = world
        self._definition = definition
        self._instances = instances
        self._objects: dict[str, PipelineObject] = {item.id: item for item in definition.objects}
        self._made = {
            node
            for one in instances
            if not _is_stood_in_for(one)
            for node in one.fields.get("output", ())
        }

    def work(self) -> None:
        for one in self._instances:
            self._named(one)
            match one.type:
                case "S3KeyExists":
                    self._put(one.first("s3Key"), "")
                case "S3PrefixNotEmpty":
                    self._put(f"{one.first('s3Prefix')}/part-0", "")
                case "S3DataNode" if one.id not in self._made:
                    self._file(one)
                case "DynamoDBDataNode":
                    region = one.first("region").replace("_", "-") or "us-east-1"
                    self._items(one.first("tableName"), region)
                case "SqlDataNode" | "MySqlDataNode":
                    self._table(one)
                case "RedshiftDataNode":
                    self._in_postgresql(one.first("tableName"), one.first("createTableSql"))

    # -- S3 ---------------------------------------------------------------------------------------

    def _put(self, uri: str, text: str) -> None:
        path = self._world.s3 / uri.split("://", 1)[1].rstrip("/")
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def _file(self, node: Instance) -> None:
        folder, file = node.first("directoryPath"), node.first("filePath")
        separator = {"TSV": "\t"}.get(self._format_of(node), ",")
        text = separator.join(row(self._definition)) + "\n"
        uri = f"{folder.rstrip('/')}/part-0" if folder else file
        if any(one.first("s3Prefix").rstrip("/") == uri for one in self._instances):
            return
        self._put(uri, text)

    def _format_of(self, node: Instance) -> str:
        ref = self._objects[node.component].ref("dataFormat")
        return (self._objects[ref.id].type or "") if ref else ""

    def _named(self, one: Instance) -> None:
        for uri in one.fields.get("scriptUri", ()):
            self._put(uri, "select 1;\n" if one.type == "SqlActivity" else SCRIPT)
        for key in ("step", "argument", "jarUri"):
            for text in one.fields.get(key, ()):
                for uri in _NAMED.findall(text):
                    self._put(uri, SCRIPT)
        for step in one.fields.get("step", ()):
            words = step.split(",")
            tables = [words[i + 2] for i, word in enumerate(words) if word.endswith(_TOOLS)]
            for table in tables:
                self._items(table, "us-east-1")

    # -- DynamoDB ---------------------------------------------------------------------------------

    def _items(self, name: str, region: str) -> None:
        client = boto3.client("dynamodb", region_name=region, endpoint_url=self._world.dynamodb)
        with closing(client):
            if _is_new_table(client, name):
                for key, number in ROWS:
                    item = {"id": {"S": key}, "n": {"N": str(number)}}
                    client.put_item(TableName=name, Item=item)

    # -- databases --------------------------------------------------------------------------------

    def _table(self, node: Instance) -> None:
        component = self._objects[node.component]
        database = component.ref("database")
        items = [component, *([self._objects[database.id]] if database else ())]
        texts = (f.value for item in items for f in item.fields if isinstance(f.value, str))
        words = " ".join(texts).lower()
        named = {node.first("table"), *re.findall(r"(?i)\bfrom (\w+)", node.first("selectQuery"))}
        wanted = re.search(r"\((\w+)\) values", node.first("insertQuery"))
        column = wanted[1] if wanted else "id"
        for table in filter(None, named):
            if "mysql" in words or "rdsdatabase" in words:
                self._in_mysql(table, column)
            else:
                self._in_postgresql(table, "")

    def _in_mysql(self, name: str, column: str) -> None:
        with closing(seed.mysql(self._world.mysql)) as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE TABLE IF NOT EXISTS `{name}` ({column} VARCHAR(20), n INT)")
            cursor.execute(f"INSERT INTO `{name}` VALUES ('a', 1), ('b', 2)")

    def _in_postgresql(self, name: str, made_by: str) -> None:
        if name.lower() in made_by.lower() or "#{tableName}" in made_by:
            return
        table = sql.Identifier(name.lower())
        columns = sql.SQL(", ").join(
            sql.SQL("{} varchar(20)").format(sql.Identifier(f"c{number}" if number else "id"))
            for number in range(len(row(self._definition)))
        )
        with psycopg.connect(self._world.postgresql) as connection:
            create = sql.SQL("CREATE TABLE IF NOT EXISTS {} ({}, PRIMARY KEY (id))")
            connection.execute(create.format(table, columns))


def _is_stood_in_for(one: Instance) -> bool:
    steps = one.fields.get("step", ())
    return one.type in _STOOD_IN_FOR and not any(tool in s for tool in _TOOLS for s in steps)


def _is_new_table(client: Any, name: str) -> bool:
    try:
        client.create_table(
            TableName=name,
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            ProvisionedThroughput={"ReadCapacityUnits": 1000, "WriteCapacityUnits": 1000},
        )
    except client.exceptions.ResourceInUseException:
        return False
    return True


def install_programs(folder: Path) -> Path:
    """Stand-ins for the programs of a Hadoop cluster; returns the folder for PATH."""
    jars, programs = folder / "lib" / "hadoop-mapreduce", folder / "bin"
    for made in (jars, programs):
        made.mkdir(parents=True)
    (jars / "hadoop-streaming.jar").touch()
    for name in PROGRAMS:
        (programs / name).write_text(SCRIPT)
        (programs / name).chmod(0o755)
    return programs
