"""Data nodes of the copies between DynamoDB and S3, and their data formats."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from taskrunner.data.dynamodb.calls import Named
from taskrunner.data.dynamodb.filter.values import CASTS
from taskrunner.data.dynamodb.items import Attribute, Item
from taskrunner.data.dynamodb.table import share_of
from taskrunner.data.formats.compression import Compression
from taskrunner.data.nodes import FileNode, file_node
from taskrunner.errors import ErrorId, PermanentTaskError
from taskrunner.model.task import TaskObject

#: Whole items, of which a filter may name some attributes.
EXPORT_FORMAT = "DynamoDBExportDataFormat"
#: The attributes that are listed, and no others.
COLUMNS_FORMAT = "DynamoDBDataFormat"
ITEM_FORMATS = (COLUMNS_FORMAT, EXPORT_FORMAT)
TABLE_NODE = "DynamoDBDataNode"

_ARN_REGION = re.compile(r"arn:[^:]+:dynamodb:([a-z0-9-]+):[0-9]+:table/.+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """What a data format says of items."""

    #: The types of the attributes that it lists, by name; empty: nothing is said.
    types: Mapping[str, str]
    #: Whether the others are left out.
    only: bool

    def project(self, item: Item) -> Item:
        """The item without the attributes that the format leaves out."""
        if not self.only:
            return item
        found = (_found(item, name) for name in self.types)
        return dict(pair for pair in found if pair is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableNode:
    """A DynamoDBDataNode."""

    id: str
    named: Named
    #: None: that of the agent.
    region: str | None
    read_share: float
    write_share: float
    columns: Columns


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemsNode:
    """An S3DataNode with the files of an export."""

    id: str
    files: FileNode
    columns: Columns


def table_node(described: TaskObject) -> TableNode:
    """Read a DynamoDBDataNode; raises PermanentTaskError."""
    owner = f"{described.type} {described.component_id!r}"
    table = described.required("tableName").strip()
    read, write = "readThroughputPercent", "writeThroughputPercent"
    return TableNode(
        id=described.component_id,
        named=Named(table=table, owner=owner),
        region=region_of(table, described.get("region")),
        read_share=share_of(described.get(read), f"{owner}, field {read!r}"),
        write_share=share_of(described.get(write), f"{owner}, field {write!r}"),
        columns=_columns(described.one("dataFormat"), described),
    )


def items_node(described: TaskObject) -> ItemsNode:
    """Read an S3DataNode that holds items; raises PermanentTaskError."""
    fmt = described.one("dataFormat")
    if fmt is not None and fmt.type != EXPORT_FORMAT:
        message = (
            f"S3DataNode {described.component_id!r}, field 'dataFormat': found the {fmt.type} "
            f"{fmt.component_id!r}, wanted a {EXPORT_FORMAT}: items of DynamoDB have no columns"
        )
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
    # The formats of rows know nothing of items.
    fields = tuple(one for one in described.object.fields if one.key != "dataFormat")
    files = file_node(replace(described, object=replace(described.object, fields=fields)))
    if files.is_manifest:
        message = (
            f"S3DataNode {described.component_id!r} has only a manifestFilePath; items of DynamoDB "
            "need a filePath or directoryPath"
        )
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
    if files.compression is Compression.ZSTD:
        message = (
            f"S3DataNode {described.component_id!r}, field 'compression': found 'zstd', wanted "
            "gzip or none: exports of DynamoDB know no other"
        )
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
    columns = _columns(fmt, described)
    return ItemsNode(id=described.component_id, files=files, columns=columns)


def region_of(table: str, given: str | None) -> str | None:
    """The region of a table: that of its ARN, else the one that is given."""
    if match := _ARN_REGION.fullmatch(table):
        return match[1]
    # AWS's guide itself has us_west_1 in an example.
    return given.strip().replace("_", "-").lower() if given and given.strip() else None


def _columns(fmt: TaskObject | None, node: TaskObject) -> Columns:
    if fmt is None:
        return Columns(types={}, only=False)
    if fmt.type not in ITEM_FORMATS:
        message = (
            f"{node.type} {node.component_id!r}, field 'dataFormat': found the {fmt.type} "
            f"{fmt.component_id!r}, wanted a {' or '.join(ITEM_FORMATS)}"
        )
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
    types = dict(_column(text, fmt) for text in fmt.all("column"))
    if fmt.type == COLUMNS_FORMAT and not types:
        message = (
            f"{fmt.type} {fmt.component_id!r} has no value for the field 'column'; list the "
            f"attributes that are copied, or use a {EXPORT_FORMAT} for all"
        )
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
    return Columns(types=types, only=fmt.type == COLUMNS_FORMAT)


def _column(text: str, fmt: TaskObject) -> tuple[str, str]:
    name, _, kind = text.strip().partition(" ")
    # Types with parameters, as decimal(10,2) or map<string,string>, by their first word.
    word = re.split("[(<]", kind.strip().upper(), maxsplit=1)[0].strip()
    if not name or word not in CASTS.keys() | {"BINARY", "ARRAY", "MAP", "STRUCT"}:
        known = ", ".join([*CASTS, "BINARY", "ARRAY", "MAP", "STRUCT"])
        message = (
            f"{fmt.type} {fmt.component_id!r}, field 'column': found {text!r}, "
            f"wanted a name and a type ({known})"
        )
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
    return name.strip("`"), word


def _found(item: Item, name: str) -> tuple[str, Attribute] | None:
    """An attribute by its column: in any case where no name is exactly that."""
    if name in item:
        return name, item[name]
    folded = name.casefold()
    return next(((key, value) for key, value in item.items() if key.casefold() == folded), None)
