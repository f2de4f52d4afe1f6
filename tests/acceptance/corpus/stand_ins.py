"""What of a published definition is replaced before it runs; the rest stays as it is written.

Pure. Replaced are:

- every command line: nothing that strangers wrote is run by a shell;
- parameters' values, words that stand where an author or a tool is to put one;
- addresses, users and passwords of databases;
- when it runs: once, in a period that is over, and without a second attempt; where its logs go, if
  that is not said.

Scripts, jars, tables and files that a definition names are not replaced but put where it looks for
them: see `world`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from taskrunner.model.document import (
    Definition,
    Field,
    ParameterObject,
    PipelineObject,
    Ref,
    Unresolved,
    Value,
)
from taskrunner.model.inheritance import DEFAULT_ID
from taskrunner.model.parameters import parameter_values, with_values

#: Databases that an operator puts others in the place of, by their ids: these are made unique.
REDIRECTED = ("RdsDatabase", "RedshiftDatabase")
#: Long ago, so that nothing has to be waited for, whatever the period is.
START = "2026-02-13T02:00:00"
_DATES = ("startDateTime", "endDateTime", "startAt", "occurrences")
_PERIOD = re.compile(r"\d+ (minutes?|hours?|days?|weeks?|months?|years?)", re.IGNORECASE)
_COMMANDS = ("command", "preStepCommand", "postStepCommand")
#: How authors write that a value is to be put there.
_BLANK = re.compile(r"%.+%$|\$[A-Z_]+$|some_|(my-)?(username|password)$|(example-)?table-name$|_+$")

#: What a parameter is given by the field whose whole value it is.
_OF_FIELD = {
    "commandOptions": "CSV",
    "createTableSql": "create table {name}_made (id varchar(20), n int)",
    "insertQuery": "insert into #{{table}} (id, n) values (?, ?)",
    "primaryKeys": "id",
    "scheduleType": "cron",
    "script": "select 1",
    "step": "command-runner.jar,spark-submit,s3://{name}/code/job.py",
    "table": "{name}_{id}",
    "tableName": "{name}_{id}",
    "topicArn": "arn:aws:sns:us-east-1:123456789012:example",
}
#: Else by a part of its name, the first that fits.
_OF_NAME = (
    (r"S3ColMapping|SourceColMapping", "id string, n bigint"),
    (r"DDBColMapping", "id:id,n:n"),
    (r"CreateTable", "create table {name}_made (id varchar(20), n int)"),
    (r"Period|Timeout|TerminateAfter", "1 day"),
    (r"DateTime", START),
    (r"Region", "us-east-1"),
    (r"Percent|Ratio", "0.5"),
    (r"Count|Number|Size", "2"),
    (r"BucketLogLocation", "{name}"),
    (r"(?i)s3|uri|path|loc|output|input|script|folder|data$|bootstrap|logs", "s3://{name}/{id}"),
    (r"(?i)table", "{name}_{id}"),
    (r"InsertMode", "TRUNCATE"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """What stands in for a definition's world: `name` is its own for buckets and tables."""

    name: str
    #: JDBC addresses.
    mysql: str
    postgresql: str
    user: str
    password: str


def stood_in(definition: Definition, places: Places) -> Definition:
    """The definition as it is put."""
    return _StandIn(definition, places).made()


class _StandIn:
    def __init__(self, definition: Definition, places: Places) -> None:
        self._definition = definition
        self._places = places
        self._command = command(definition)
        self._redirected = {item.id for item in definition.objects if item.type in REDIRECTED}

    def made(self) -> Definition:
        given = self._with_values()
        objects = [self._object(item) for item in given.objects]
        if DEFAULT_ID not in {item.id for item in objects}:
            objects.append(PipelineObject(id=DEFAULT_ID, name=DEFAULT_ID))
        tried_once = (_with(item, "maximumRetries", "0") for item in objects)
        logs = f"s3://{self._places.name}/logs"
        logged = (
            item if item.has("pipelineLogUri") else _with(item, "pipelineLogUri", logs)
            for item in tried_once
        )
        return replace(given, objects=tuple(logged))

    # -- parameters -------------------------------------------------------------------------------

    def _with_values(self) -> Definition:
        definition = self._definition
        known = parameter_values(definition)
        declared = {parameter.id: parameter for parameter in definition.parameters}
        missing = sorted(set(self._used()) - declared.keys())
        added = [ParameterObject(id=name, attributes=(("type", "String"),)) for name in missing]
        values = {
            parameter.id: [self._value(parameter)]
            for parameter in (*definition.parameters, *added)
            if _is_blank(known.get(parameter.id, ()))
        }
        whole = replace(definition, parameters=(*definition.parameters, *added))
        return with_values(whole, values)

    def _used(self) -> Iterator[str]:
        for _, field in self._fields():
            yield from re.findall(r"#\{(\*?my\w*)\}", str(field.value))

    def _fields(self) -> Iterator[tuple[PipelineObject, Field]]:
        for item in self._definition.objects:
            for field in item.fields:
                yield item, field

    def _value(self, parameter: ParameterObject) -> str:
        if allowed := parameter.attribute_values("allowedValues"):
            return allowed[0]
        uses = [(i, f.key) for i, f in self._fields() if f.value == f"#{{{parameter.id}}}"]
        for item, key in uses:
            if key == "connectionString":
                return self._address(item)
            if key in _OF_FIELD:
                return self._named(_OF_FIELD[key], parameter.id)
        if "onnectStr" in parameter.id:
            return self._places.postgresql
        return self._by_name(parameter)

    def _by_name(self, parameter: ParameterObject) -> str:
        if parameter.attribute("type") in {"Integer", "Double"}:
            return "1"
        found = (text for form, text in _OF_NAME if re.search(form, parameter.id))
        return self._named(next(found, "value-of-{id}"), parameter.id)

    def _named(self, text: str, name: str) -> str:
        return text.format(name=self._places.name, id=re.sub(r"\W", "", name).lower())

    # -- fields -----------------------------------------------------------------------------------

    def _object(self, item: PipelineObject) -> PipelineObject:
        fields = [replace(field, value=self._field(item, field)) for field in item.fields]
        if item.type == "Schedule":
            fields = [field for field in fields if field.key not in _DATES]
            fields += [Field("startDateTime", START), Field("occurrences", "1")]
        return replace(item, id=self._renamed(item.id), fields=tuple(fields))

    def _renamed(self, name: str) -> str:
        return f"{self._places.name}_{name}" if name in self._redirected else name

    def _field(self, item: PipelineObject, field: Field) -> Value:
        value, key = field.value, field.key
        if isinstance(value, Ref):
            return Ref(self._renamed(value.id))
        own = {
            **dict.fromkeys(_COMMANDS, self._command),
            "username": self._places.user,
            "*password": self._places.password,
            "connectionString": self._address(item),
        }
        return own.get(key) or self._text(item, key, value)

    def _text(self, item: PipelineObject, key: str, value: str) -> str:
        if key == "period" and not (_PERIOD.fullmatch(value) or "#{" in value):
            return "1 day"
        if _BLANK.match(value):
            return f"{self._places.name}_{item.id.lower()}"
        if isinstance(value, Unresolved) or ("${" in value and key not in {"hiveScript", "script"}):
            return re.sub(r"\$\{([^}]*)\}", lambda found: self._of_tool(found[1]), value)
        return value

    def _of_tool(self, name: str) -> str:
        return self._by_name(ParameterObject(id=re.sub(r"\W", "", name)))

    def _address(self, item: PipelineObject) -> str:
        is_mysql = any("mysql" in str(field.value).lower() for field in item.fields)
        return self._places.mysql if is_mysql else self._places.postgresql


def _with(item: PipelineObject, key: str, value: str) -> PipelineObject:
    """The object with this value of a field that it has, or that Default has for all."""
    if not (item.id == DEFAULT_ID or item.has(key)):
        return item
    kept = tuple(field for field in item.fields if field.key != key)
    return replace(item, fields=(*kept, Field(key, value)))


def _is_blank(values: Sequence[str]) -> bool:
    """Whether somebody or a tool is to put a value in its place."""
    return not values or any(not v or "${" in v or _BLANK.match(v) for v in values)


def row(definition: Definition) -> list[str]:
    """A row for each place that is read: as wide as the table that the definition makes."""
    made = [t for item in definition.objects for t in item.strings("createTableSql")]
    columns = re.search(r"\((.*)\)", made[0], re.DOTALL) if made else None
    if columns is None:
        return ["a", "1"]
    inside = re.sub(r"\([^()]*\)", "", columns[1])
    return ["1" for _ in inside.split(",")]


def command(definition: Definition) -> str:
    """What stands in for each command: it writes a row to each place that is staged out."""
    options = {t for item in definition.objects for t in item.strings("commandOptions")}
    packed = "| gzip " if "GZIP" in options else ""
    return (
        'n=1; while eval "folder=\\${OUTPUT${n}_STAGING_DIR:-}"; [ -n "$folder" ]; do\n'
        f"  printf '%s\\n' '{','.join(row(definition))}' {packed}> \"$folder/output\"\n"
        "  n=$((n + 1))\n"
        "done"
    )
