"""What a RedshiftCopyActivity moves, read from its objects. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from taskrunner.data.formats.delimited import Delimited
from taskrunner.data.formats.registry import format_of
from taskrunner.data.nodes import database_of
from taskrunner.data.redshift.options import Option, Verb, make
from taskrunner.data.redshift.tokens import quoted
from taskrunner.errors import ErrorId, PermanentTaskError
from taskrunner.model.task import TaskObject

#: What DynamoDBDataNode.readThroughputPercent is where it is left out, as on AWS.
_READ_SHARE = 0.5


class InsertMode(StrEnum):
    """What becomes of the rows that the table has."""

    KEEP_EXISTING = "KEEP_EXISTING"
    OVERWRITE_EXISTING = "OVERWRITE_EXISTING"
    TRUNCATE = "TRUNCATE"
    APPEND = "APPEND"

    @property
    def compares(self) -> bool:
        """Whether rows are found by their keys."""
        return self in {InsertMode.KEEP_EXISTING, InsertMode.OVERWRITE_EXISTING}


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """An S3DataNode as COPY and UNLOAD see it."""

    id: str
    #: A directory's ends with a slash.
    uri: str
    is_directory: bool
    is_manifest: bool
    gzip: bool
    #: The options that its data format comes to; None where it has none.
    format: tuple[Option, ...] | None
    #: The columns that its data format lists, each as it is written there.
    columns: tuple[str, ...]

    #: The field that a manifest makes useless.
    useless: str | None = None

    @property
    def location(self) -> str:
        """Where the bytes are."""
        return self.uri


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamoDbTable:
    """A DynamoDBDataNode as COPY sees it."""

    id: str
    table: str
    region: str | None
    #: How much of the table's read capacity may be used, in percent.
    read_ratio: int

    @property
    def location(self) -> str:
        """As COPY names it."""
        return f"dynamodb://{self.table}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A RedshiftDataNode."""

    id: str
    database: TaskObject
    table: str
    schema: str | None
    primary_keys: tuple[str, ...]
    create_table_sql: str | None


Source = Files | DynamoDbTable | Table
Target = Files | Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the activity's object asks for."""

    id: str
    source: Source
    target: Target
    mode: InsertMode
    transform: str | None
    options: tuple[str, ...]
    queue: str | None


def read_request(main: TaskObject) -> Request:
    """Read a RedshiftCopyActivity; raises PermanentTaskError naming object and field."""
    source, target = _source(_only(main, "input")), _target(_only(main, "output"))
    if not isinstance(source, Table) and not isinstance(target, Table):
        raise invalid(
            main, f"neither {source.id!r} nor {target.id!r} is a RedshiftDataNode; wanted one"
        )
    if isinstance(source, Table) and isinstance(target, Table):
        one, other = source.database, target.database
        if one.component_id != other.component_id:
            raise invalid(
                main,
                f"{source.id!r} and {target.id!r} are in different databases "
                f"({one.component_id!r}, {other.component_id!r}); copy by way of an S3DataNode",
            )
    return Request(
        id=main.component_id,
        source=source,
        target=target,
        mode=_mode(main),
        transform=_without_end(main.get("transformSql")),
        options=main.all("commandOptions"),
        queue=main.get("queue"),
    )


def invalid(described: TaskObject, problem: str) -> PermanentTaskError:
    """The error for an object that cannot be used so."""
    message = f"{described.type} {described.component_id!r}: {problem}"
    return PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)


def _mode(main: TaskObject) -> InsertMode:
    value = main.required("insertMode").strip().upper()
    try:
        return InsertMode(value)
    except ValueError:
        wanted = ", ".join(InsertMode)
        raise invalid(main, f"insertMode: found {value!r}, wanted one of {wanted}") from None


def _without_end(sql: str | None) -> str | None:
    text = (sql or "").strip().rstrip(";").strip()
    return text or None


def _only(main: TaskObject, key: str) -> TaskObject:
    nodes = main.related(key)
    if len(nodes) != 1:
        raise invalid(main, f"{len(nodes)} data nodes in its field {key!r}, wanted one")
    return nodes[0]


def _source(described: TaskObject) -> Source:
    if described.type == "DynamoDBDataNode":
        return _dynamodb(described)
    return _target(described)


def _target(described: TaskObject) -> Target:
    if described.type == "RedshiftDataNode":
        return _table(described)
    if described.type == "S3DataNode":
        return _files(described)
    raise invalid(described, "wanted an S3DataNode or a RedshiftDataNode here")


def _table(described: TaskObject) -> Table:
    return Table(
        id=described.component_id,
        database=database_of(described),
        table=described.required("tableName"),
        schema=described.get("schemaName"),
        primary_keys=_names(described.all("primaryKeys")),
        create_table_sql=described.get("createTableSql"),
    )


def _names(values: tuple[str, ...]) -> tuple[str, ...]:
    """Columns, given one by one or with commas between."""
    parts = [part.strip().strip('"') for value in values for part in value.split(",")]
    return tuple(dict.fromkeys(part for part in parts if part))


def _files(described: TaskObject) -> Files:
    manifest, path = described.get("manifestFilePath"), described.get("filePath")
    folder = described.get("directoryPath")
    if manifest is None and (path is None) == (folder is None):
        raise invalid(described, "wanted either filePath or directoryPath, or a manifestFilePath")
    uri = manifest or path or f"{(folder or '').rstrip('/')}/"
    if not uri.startswith("s3://"):
        raise invalid(
            described, f"found {uri!r}, wanted s3://bucket/key: Redshift reads and writes S3 only"
        )
    data_format = described.one("dataFormat")
    compression = (described.get("compression") or "none").lower()
    if compression not in {"none", "gzip"}:
        raise invalid(described, f"compression: found {compression!r}, wanted none or gzip")
    return Files(
        id=described.component_id,
        uri=uri,
        is_directory=manifest is None and path is None,
        is_manifest=manifest is not None,
        gzip=compression == "gzip",
        useless=_useless(manifest, filePath=path, directoryPath=folder),
        format=None if data_format is None else _format(data_format),
        columns=() if data_format is None else _columns(data_format),
    )


def _useless(manifest: str | None, **paths: str | None) -> str | None:
    return next((name for name, path in paths.items() if path and manifest), None)


def _columns(described: TaskObject) -> tuple[str, ...]:
    return tuple(text.strip() for text in described.all("column") if text.strip())


def _format(described: TaskObject) -> tuple[Option, ...]:
    found = format_of(described)
    if not isinstance(found, Delimited):
        raise invalid(
            described,
            "COPY and UNLOAD have no such data format; wanted CSV, TSV or Custom, "
            "or commandOptions and no data format",
        )
    if found.header or not found.charset.is_utf8:
        raise invalid(
            described,
            "header and charset are for copies; commandOptions have IGNOREHEADER and ENCODING",
        )
    if found.escapes.escape != "\\" or found.escapes.record_separator != "\n":
        raise invalid(
            described,
            r"COPY and UNLOAD know only \ as escapeChar and a newline as recordSeparator",
        )
    return delimited(found.escapes.separator)


def delimited(separator: str) -> tuple[Option, ...]:
    """The dialect of the data formats, as COPY and UNLOAD call it."""
    texts = (f"DELIMITER {quoted(separator)}", "ESCAPE", f"NULL AS {quoted(chr(92) + 'N')}")
    return tuple(make(Verb.COPY, text) for text in texts)


def _dynamodb(described: TaskObject) -> DynamoDbTable:
    text = described.get("readThroughputPercent")
    try:
        share = _READ_SHARE if text is None else float(text)
    except ValueError:
        share = 0
    if not 0 < share <= 1:
        raise invalid(
            described, f"readThroughputPercent: found {text!r}, wanted a number from 0.1 to 1.0"
        )
    return DynamoDbTable(
        id=described.component_id,
        table=described.required("tableName"),
        region=described.get("region"),
        read_ratio=max(1, round(share * 100)),
    )
