"""Data nodes as the data plane sees them: files behind a URI, or a table behind a connection."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from taskrunner.data.formats.base import Format
from taskrunner.data.formats.compression import Compression
from taskrunner.data.formats.registry import format_of
from taskrunner.errors import ErrorId, PermanentTaskError
from taskrunner.model.task import TaskObject

_Meaning = TypeVar("_Meaning")
_ENCRYPTION = {"SERVER_SIDE_ENCRYPTION": True, "NONE": False}
_COMPRESSIONS = {word.value: word for word in Compression}


@dataclass(frozen=True, slots=True, kw_only=True)
class FileNode:
    """An object, every object in a directory, or those that a manifest lists.

    A directory's URI ends with a slash; of a manifest it is the manifest's.
    """

    id: str
    uri: str
    is_directory: bool
    format: Format
    compression: Compression = Compression.NONE
    #: None where the author left it to the default.
    encrypt: bool | None = None
    is_manifest: bool = False

    @property
    def is_many(self) -> bool:
        """Whether it may be several objects."""
        return self.is_directory or self.is_manifest

    def has_same_bytes_as(self, other: FileNode) -> bool:
        """Whether equal rows would be equal bytes in both."""
        return self.compression is other.compression and self.format == other.format


@dataclass(frozen=True, slots=True, kw_only=True)
class TableNode:
    """A table, or a query's answer, in the database that an object describes."""

    id: str
    database: TaskObject
    table: str
    schema: str | None
    select_query: str | None
    insert_query: str | None
    create_table_sql: str | None


def node_of(described: TaskObject) -> FileNode | TableNode:
    """Read a data node; raises PermanentTaskError for types that hold no rows or files."""
    read = _TYPES.get(described.type)
    if read is None:
        known = ", ".join(_TYPES)
        message = f"{described.type} {described.component_id!r} cannot be used here; known: {known}"
        raise PermanentTaskError(message, error_id=ErrorId.UNSUPPORTED_TYPE)
    return read(described)


def file_node(described: TaskObject) -> FileNode:
    """Read an S3DataNode."""
    path, folder = described.get("filePath"), described.get("directoryPath")
    manifest = described.get("manifestFilePath") if path is None and folder is None else None
    if manifest is None and (path is None) == (folder is None):
        raise _invalid(described, "wanted either filePath or directoryPath, or a manifestFilePath")
    if path is not None and path.endswith("/"):
        raise _invalid(described, f"filePath {path!r} names a directory")
    form = format_of(described.one("dataFormat"))
    compression = _choice(described, "compression", _COMPRESSIONS) or Compression.NONE
    if compression is not Compression.NONE and not form.compressible:
        problem = f"compression: found {compression.value!r}, wanted none"
        raise _invalid(described, f"{problem}: files of this format are compressed inside")
    return FileNode(
        id=described.component_id,
        uri=manifest or path or f"{(folder or '').rstrip('/')}/",
        is_directory=folder is not None,
        is_manifest=manifest is not None,
        format=form,
        compression=compression,
        encrypt=encryption_of(described),
    )


def encryption_of(described: TaskObject) -> bool | None:
    """Whether what is written to an S3DataNode is encrypted; None: as is usual there."""
    return _choice(described, "s3EncryptionType", _ENCRYPTION)


def table_node(described: TaskObject) -> TableNode:
    """Read a SqlDataNode, a MySqlDataNode or a RedshiftDataNode."""
    key = "tableName" if described.type == "RedshiftDataNode" else "table"
    select_query = described.get("selectQuery")
    return TableNode(
        id=described.component_id,
        database=database_of(described),
        table=described.get(key, "") or "" if select_query else described.required(key),
        schema=described.get("schemaName"),
        select_query=select_query,
        insert_query=described.get("insertQuery"),
        create_table_sql=described.get("createTableSql"),
    )


def database_of(described: TaskObject) -> TaskObject:
    """The database that an object refers to; a MySqlDataNode may be its own."""
    database = described.one("database")
    if database is not None:
        return database
    name = described.get("database")
    if name:
        return described.task.object(name)
    if described.get("connectionString"):
        return described
    raise _invalid(described, "wanted a database")


_TYPES: dict[str, Callable[[TaskObject], FileNode | TableNode]] = {
    "S3DataNode": file_node,
    "SqlDataNode": table_node,
    "MySqlDataNode": table_node,
    "RedshiftDataNode": table_node,
}


def _choice(described: TaskObject, key: str, choices: Mapping[str, _Meaning]) -> _Meaning | None:
    value = described.get(key)
    if value is None:
        return None
    folded = {name.lower(): meaning for name, meaning in choices.items()}
    if value.lower() not in folded:
        raise _invalid(described, f"{key}: found {value!r}, wanted {' or '.join(choices)}")
    return folded[value.lower()]


def _invalid(described: TaskObject, problem: str) -> PermanentTaskError:
    message = f"{described.type} {described.component_id!r}: {problem}"
    return PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
