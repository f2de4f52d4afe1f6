"""Tables of a Hive script that are STORED BY DynamoDB's storage handler, for Spark. Pure.

Spark knows no storage handlers. So such a table becomes a view of a copy of the items, and each
INSERT into it goes into a view of its own, whose rows become items when the script has run: a table
of DynamoDB takes rows by their keys, whether INTO or OVERWRITE is said. Views are the session's, so
that nothing is left in a metastore.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from taskrunner.activities.engines.hive_text import blanked, statements, with_values
from taskrunner.activities.engines.hive_text import storage_handler as handler_of
from taskrunner.activities.engines.tables import hive_literal
from taskrunner.data.dynamodb.nodes import region_of
from taskrunner.data.dynamodb.table import DEFAULT_SHARE, share_of
from taskrunner.data.dynamodb.typed_rows import Column
from taskrunner.errors import TaskError
from taskrunner.model.steps.works import Pairs

_NAME = r"(?:`[^`]+`|\w+)"
_CREATE = re.compile(
    rf"(?i)\s*CREATE\s+(?:EXTERNAL\s+)?TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?({_NAME})(\s*\.)?\s*\("
)
_TEXT = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
_REST = re.compile(
    rf"(?is)\s*(?:COMMENT\s+(?:{_TEXT})\s*)?STORED\s+BY\s+(?:{_TEXT})"
    r"\s*(?:(?:TBLPROPERTIES|WITH\s+SERDEPROPERTIES)\s*\(([^)]*)\)\s*)?"
)
_PAIR = re.compile(rf"\s*({_TEXT})\s*=\s*({_TEXT})\s*(?:,|$)")
_SET = re.compile(r"(?is)\s*SET\s+(dynamodb\.[\w.]+)\s*=(.*)")
_INSERT = re.compile(rf"(?i)\bINSERT\s+(?:INTO|OVERWRITE)\s+(?:TABLE\s+)?({_NAME})")
_DROP = re.compile(rf"(?i)\s*DROP\s+TABLE\s+(?:IF\s+EXISTS\s+)?({_NAME})\s*(?:PURGE)?\s*")
_WORD = re.compile(rf"(\.\s*)?({_NAME})")
_IN_DATABASE = re.compile(rf"(?i)\b(?:FROM|INTO|JOIN|OVERWRITE|TABLE)\s+{_NAME}\s*\.\s*({_NAME})")
#: What Hive does to its own tables, and not to those of a storage handler.
_NOT_DONE = re.compile(r"(?i)\s*(ALTER|ANALYZE|DELETE|LOAD|MERGE|MSCK|TRUNCATE|UPDATE)\b")
_BETWEEN_COLUMNS = re.compile(r",(?![^(<]*[)>])")
#: Of a column, its text hidden.
_COMMENT = re.compile(r"(?i)\s+COMMENT\s*$")
_ENDPOINT = re.compile(r"(?:https?://)?dynamodb\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/?")
_CLASS = "DynamoDBStorageHandler"
_READ, _WRITE = "dynamodb.throughput.read.percent", "dynamodb.throughput.write.percent"
_TABLE, _MAPPING = "dynamodb.table.name", "dynamodb.column.mapping"
_REGION, _SERVER = "dynamodb.region", "dynamodb.endpoint"
_SETTINGS = (_READ, _WRITE, _REGION, _SERVER)
#: They say how fast it goes, which nothing but the share of the capacity does here.
_PACE = ("dynamodb.max.map.tasks", "dynamodb.retry.duration", "dynamodb.scan.segments")


class BadTable(ValueError):
    """A table that cannot be had by Spark; the message is the end of a sentence."""


@dataclass(slots=True, kw_only=True)
class StoredTable:
    """A table of the script's."""

    name: str
    #: DynamoDB's.
    table: str
    columns: tuple[Column, ...]
    properties: Mapping[str, str]
    #: What the script's SET said until the table was first used.
    settings: Mapping[str, str] = field(default_factory=dict)
    is_read: bool = False
    #: Its INSERTs, counted over the script.
    inserts: list[int] = field(default_factory=list)

    @property
    def views(self) -> Sequence[str]:
        """The views that stand for it: of its items if it is read, and of each INSERT."""
        return [*([self.name] if self.is_read else []), *map(insert_view, self.inserts)]

    @property
    def region(self) -> str | None:
        """The region that is said; None: the agent's."""
        server = self._said(_SERVER)
        found = _ENDPOINT.fullmatch(server) if server else None
        if server and found is None:
            raise BadTable(
                f"the table {self.name} is at {_SERVER} {server!r}, wanted "
                "dynamodb.REGION.amazonaws.com (AWS_ENDPOINT_URL_DYNAMODB names other servers)"
            )
        return region_of(self.table, self._said(_REGION) or (found[1] if found else None))

    @property
    def read_share(self) -> float:
        """The share of its read capacity that may be used."""
        return self._share(_READ)

    @property
    def write_share(self) -> float:
        """The share of its write capacity that may be used."""
        return self._share(_WRITE)

    def _share(self, key: str) -> float:
        text = self._said(key)
        try:
            return DEFAULT_SHARE if text is None else share_of(text, f"{self.name}, {key}")
        except TaskError as error:
            raise BadTable(f"the table {error}") from None

    def _said(self, key: str) -> str | None:
        return self.properties.get(key, self.settings.get(key))

    def check(self) -> None:
        """Raise BadTable for what is said and cannot be done."""
        _ = (self.region, self.read_share, self.write_share)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredScript:
    """A script, its tables of DynamoDB taken out."""

    #: Parts in order: text, or a table in whose place its views are made.
    parts: Sequence[str | StoredTable]

    @property
    def tables(self) -> Sequence[StoredTable]:
        """The tables, in order."""
        return [part for part in self.parts if isinstance(part, StoredTable)]

    def text(self, folder_of: Callable[[str], str]) -> str:
        """The script for Spark; `folder_of` says where the rows of a view are."""

        def made() -> Iterator[str]:
            for part in self.parts:
                if isinstance(part, str):
                    yield part
                    continue
                for view in part.views:
                    yield _view(view, part.columns, folder_of(view))

        return "".join(made())


def read_script(text: str, variables: Pairs = ()) -> StoredScript:
    """Read a Hive script; raises BadTable for a table that cannot be had by Spark."""
    reader = _Reader(variables)
    for statement in statements(text):
        reader.add(statement)
    for table in reader.tables.values():
        table.check()
    return StoredScript(parts=reader.parts)


def insert_view(number: int) -> str:
    """The name of the view for an INSERT."""
    return f"taskrunner_insert{number}"


def _view(name: str, columns: Sequence[Column], folder: str) -> str:
    schema = ", ".join(f"`{column.name}` {column.spark_type}" for column in columns)
    # What is not as the schema says would be NULL without FAILFAST.
    options = f"path {hive_literal(folder)}, mode 'FAILFAST'"
    return (
        f"\nCREATE OR REPLACE TEMPORARY VIEW `{name}` ({schema})\nUSING json OPTIONS ({options});"
    )


class _Reader:
    """Goes through the statements of a script."""

    def __init__(self, variables: Pairs) -> None:
        self._variables = variables
        self.tables: dict[str, StoredTable] = {}
        self.parts: list[str | StoredTable] = []
        self._settings: dict[str, str] = {}
        self._is_used = False
        self._count = 0

    def add(self, raw: str) -> None:
        """Take a statement, with its semicolon; raises BadTable."""
        text = with_values(raw, self._variables)
        if handler_of(text) is not None:
            self.parts.append(self._created(text))
            return
        plain = blanked(text)
        if found := _SET.fullmatch(_bare(blanked(text, comments_only=True))):
            self._set(found[1].lower(), found[2].strip())
        changed = self._used(text, plain)
        self.parts.append(raw if changed is None else changed)

    def _created(self, text: str) -> StoredTable:
        table = _created(text)
        if table.name.casefold() in self.tables:
            raise BadTable(f"the script makes the table {table.name} twice")
        table.settings = self._settings
        self.tables[table.name.casefold()] = table
        return table

    def _set(self, key: str, value: str) -> None:
        if key in _SETTINGS and self._is_used:
            raise BadTable(
                f"the script sets {key} after a table of DynamoDB was used; set it before"
            )
        if key not in (*_SETTINGS, *_PACE):
            raise BadTable(f"the script sets {key}, which is not known here")
        self._settings[key] = value

    def _used(self, text: str, plain: str) -> str | None:
        """The statement as Spark is to have it; None: as it is."""
        if not self.tables:
            return None
        if (found := _DROP.fullmatch(_bare(plain))) and self._table(found[1]):
            return f"\nDROP VIEW IF EXISTS {found[1]};"
        targets = [match for match in _INSERT.finditer(plain) if self._table(match[1])]
        self._note_reads(plain, {match.start(1) for match in targets})
        views = [self._insert(match[1]) for match in targets]
        for match, view in zip(reversed(targets), reversed(views), strict=True):
            text = f"{text[: match.start()]}INSERT INTO TABLE `{view}`{text[match.end() :]}"
        return text if targets else None

    def _note_reads(self, plain: str, targets: set[int]) -> None:
        for match in _IN_DATABASE.finditer(plain):
            if table := self._table(match[1]):
                raise BadTable(f"the script names the table {table.name} with a database before it")
        for match in _WORD.finditer(plain):
            table = self._table(match[2])
            # After a dot it is a column.
            if table is None or match[1] or match.start(2) in targets:
                continue
            what = f"the table {table.name} of DynamoDB"
            if found := _NOT_DONE.match(plain):
                raise BadTable(f"the script has {found[1].upper()} for {what}")
            if table.inserts:
                raise BadTable(f"the script reads {what} after it has written to it")
            table.is_read = self._is_used = True

    def _insert(self, name: str) -> str:
        table = self._table(name)
        assert table is not None  # noqa: S101  it was looked for before
        self._count += 1
        table.inserts.append(self._count)
        self._is_used = True
        return insert_view(self._count)

    def _table(self, name: str) -> StoredTable | None:
        return self.tables.get(name.strip("`").casefold())


def _created(text: str) -> StoredTable:
    """The table of a CREATE TABLE; raises BadTable."""
    handler = (handler_of(text) or "").rpartition(".")[2]
    if handler != _CLASS:
        raise BadTable(
            f"the script has a table STORED BY {handler}, which spark-sql cannot read or write: "
            "that needs Hive (a hive command, or EMR)"
        )
    plain = blanked(text)
    begun = _CREATE.match(plain)
    if begun is None or begun[2]:
        raise BadTable(
            "the script makes a table STORED BY DynamoDBStorageHandler in another way than CREATE "
            "EXTERNAL TABLE NAME (COLUMN TYPE, ...), without a database before the name"
        )
    name, close = begun[1].strip("`"), _closing(plain, begun.end())
    rest = _REST.fullmatch(_bare(_uncommented(text))[close + 1 :])
    if rest is None:
        raise BadTable(
            f"the table {name} of DynamoDB has more than columns, STORED BY and TBLPROPERTIES"
        )
    properties = _properties(name, rest[1] or "")
    table = properties.get(_TABLE, "")
    if not table or "${" in table:
        raise BadTable(f"the table {name} has the {_TABLE} {table!r}, wanted a table of DynamoDB")
    columns = _columns(name, plain[begun.end() : close], properties.get(_MAPPING, ""))
    return StoredTable(name=name, table=table, columns=columns, properties=properties)


def _uncommented(text: str) -> str:
    return blanked(text, comments_only=True)


def _bare(statement: str) -> str:
    return statement.rstrip().removesuffix(";").rstrip()


def _closing(plain: str, at: int) -> int:
    depth = 1
    for place in range(at, len(plain)):
        depth += {"(": 1, ")": -1}.get(plain[place], 0)
        if not depth:
            return place
    raise BadTable("the script has a CREATE TABLE whose parenthesis is not closed")


def _properties(name: str, text: str) -> dict[str, str]:
    found, at = dict[str, str](), 0
    text = text.strip()
    while at < len(text):
        pair = _PAIR.match(text, at)
        if pair is None:
            raise BadTable(
                f"the table {name} has the properties {text[at:][:60]!r}, wanted 'a'='b'"
            )
        key, value = (re.sub(r"\\(.)", r"\1", part[1:-1]) for part in pair.groups())
        found[key.strip().lower()] = value.strip()
        at = pair.end()
    known = {_TABLE, _MAPPING, *_SETTINGS, *_PACE}
    for key in found:
        if key.startswith("dynamodb.") and key not in known:
            raise BadTable(f"the table {name} has the property {key}, which is not known here")
    return found


def _columns(table: str, text: str, mapping: str) -> tuple[Column, ...]:
    pairs = [part.partition(":") for part in mapping.split(",") if part.strip()]
    attributes = {column.strip().casefold(): name.strip() for column, _, name in pairs}
    found = []
    for part in _BETWEEN_COLUMNS.split(text):
        name, _, kind = _COMMENT.sub("", part.strip()).partition(" ")
        name = name.strip("`")
        attribute = attributes.pop(name.casefold(), "")
        if "<" in kind:
            raise BadTable(
                f"the table {table} has the column {name} {kind.strip()}, and only texts, numbers, "
                "BOOLEAN and BINARY can be columns here; HiveCopyActivity copies whole items"
            )
        if not attribute:
            raise BadTable(f"the table {table} has no attribute for {name!r} in {_MAPPING}")
        try:
            found.append(Column(name=name, type=kind.strip(), attribute=attribute))
        except ValueError as error:
            raise BadTable(f"in the table {table} {error}") from None
    if attributes:
        raise BadTable(f"the {_MAPPING} of {table} has {next(iter(attributes))!r}, no column of it")
    return tuple(found)
