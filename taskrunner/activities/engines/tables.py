r"""S3 data nodes as tables of Hive and as relations of Pig: `${input1}`, `${output1}`.

A table is made, and a relation loaded, only where the script uses it. Tables are external: what is
dropped after the script is the description, not the data.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from taskrunner.data.formats.delimited import Delimited
from taskrunner.data.formats.registry import format_of
from taskrunner.data.nodes import encryption_of
from taskrunner.errors import ErrorId, PermanentTaskError
from taskrunner.model.task import Task, TaskObject

_VARIABLE = re.compile(r"\$\{(?:hivevar:)?(input|output)([0-9]+)\}")
_BETWEEN_COLUMNS = re.compile(r",(?![^(<]*[)>])")
_NAME = re.compile(r"[A-Za-z_]\w*")
_TYPE = re.compile(r"[A-Za-z][\w<>(),: ]*")
_REGEX_SERDE = "org.apache.hadoop.hive.serde2.RegexSerDe"
_PIG_TYPES = {
    "string": "chararray",
    "varchar": "chararray",
    "char": "chararray",
    "tinyint": "int",
    "smallint": "int",
    "int": "int",
    "integer": "int",
    "bigint": "long",
    "float": "float",
    "double": "double",
    "decimal": "bigdecimal",
    "numeric": "bigdecimal",
    "boolean": "boolean",
    "binary": "bytearray",
    "timestamp": "datetime",
}
#: What Hadoop is told so that a script's output is compressed as the data node says.
_GZIP = (
    ("hive.exec.compress.output", "true"),
    (
        "mapreduce.output.fileoutputformat.compress.codec",
        "org.apache.hadoop.io.compress.GzipCodec",
    ),
)
_PIG_GZIP = (
    "SET output.compression.enabled true;",
    "SET output.compression.codec org.apache.hadoop.io.compress.GzipCodec;",
)


#: S3DataNodes in the places of nodes that are elsewhere, by the variable's name.
StandIns = Mapping[str, TaskObject]
_NONE: StandIns = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """A script with its tables around it."""

    text: str
    #: Properties of Hadoop's that the data nodes ask for.
    properties: tuple[tuple[str, str], ...] = ()
    #: Whether anything was staged.
    changed: bool = False


def stage_hive(task: Task, script: str, stand_ins: StandIns = _NONE) -> Staged:
    """A Hive script with the tables that it uses; raises PermanentTaskError."""
    used = {**used_nodes(task, script), **stand_ins}
    if not used:
        return Staged(text=script)
    names = {name: f"taskrunner_{name}_{_mark(task)}" for name in used}
    lines = []
    for name, node in used.items():
        lines.append(f"DROP TABLE IF EXISTS `{names[name]}`;")
        lines.append(f"{_create_table(names[name], node, name.startswith('output'))};")
    body = _VARIABLE.sub(lambda match: f"`{names[match[1] + match[2]]}`", script).rstrip()
    end = [f"DROP TABLE IF EXISTS `{table}`;" for table in names.values()]
    gzip = _wants_gzip(used)
    text = "\n".join([*lines, body if body.endswith(";") else f"{body}\n;", *end, ""])
    properties = (*(_GZIP if gzip else ()), *_encryption(used))
    return Staged(text=text, properties=properties, changed=True)


def stage_pig(task: Task, script: str, stand_ins: StandIns = _NONE) -> Staged:
    """A Pig script with its inputs loaded and its outputs stored; raises PermanentTaskError."""
    used = {**used_nodes(task, script), **stand_ins}
    if not used:
        return Staged(text=script)
    settings = list(_PIG_GZIP) if _wants_gzip(used) else []
    settings += [f"SET {name} {value};" for name, value in _encryption(used)]
    loads = [_load(name, node) for name, node in used.items() if name.startswith("input")]
    stores = [_store(name, node) for name, node in used.items() if name.startswith("output")]
    body = _VARIABLE.sub(lambda match: match[1] + match[2], script).rstrip()
    text = "\n".join([*settings, *loads, body if body.endswith(";") else f"{body};", *stores, ""])
    return Staged(text=text, changed=True)


def used_nodes(task: Task, script: str) -> dict[str, TaskObject]:
    """The data nodes that a script's variables stand for, by the variable's name.

    Raises PermanentTaskError for a variable that no data node belongs to.
    """
    main, found = task.main, {}
    for match in _VARIABLE.finditer(script):
        name = match[1] + match[2]
        nodes = main.related(match[1])
        number = int(match[2])
        if not 1 <= number <= len(nodes):
            wanted = f"wanted a number from 1 to {len(nodes)}" if nodes else "there is none"
            what = f"the script has ${{{name}}}, but the field {match[1]!r} has {len(nodes)} data"
            raise _invalid(main, f"{what} nodes: {wanted}")
        found[name] = nodes[number - 1]
    return found


def _encryption(used: dict[str, TaskObject]) -> tuple[tuple[str, str], ...]:
    """What EMR's file system is told of encryption at rest, where an output says something."""
    outputs = (node for name, node in used.items() if name.startswith("output"))
    given = [told for told in map(encryption_of, outputs) if told is not None]
    return (("fs.s3.enableServerSideEncryption", str(any(given)).lower()),) if given else ()


def _wants_gzip(used: dict[str, TaskObject]) -> bool:
    """Whether an output is to be compressed; inputs are known by their names."""
    found = [
        (node, (node.get("compression") or "none").lower())
        for name, node in used.items()
        if name.startswith("output")
    ]
    for node, compression in found:
        if compression == "zstd":
            problem = "field 'compression': found 'zstd', which is for copies; wanted gzip or none"
            raise _invalid(node, problem)
    return any(compression == "gzip" for _, compression in found)


def _mark(task: Task) -> str:
    """The same for every attempt of an instance, so that a later one drops what is left."""
    return hashlib.sha256(f"{task.pipeline_id}\0{task.instance_id}".encode()).hexdigest()[:12]


def _create_table(table: str, node: TaskObject, is_output: bool) -> str:
    columns = ", ".join(f"`{name}` {kind}" for name, kind in _columns(node))
    described = node.one("dataFormat")
    if described is not None and described.type == "RegEx":
        layout = _regex_layout(described, is_output)
    else:
        layout = _delimited_layout(node, described)
    location = hive_literal(_directory(node))
    return f"CREATE EXTERNAL TABLE `{table}` ({columns})\n{layout}\nLOCATION {location}"


def _delimited_layout(node: TaskObject, described: TaskObject | None) -> str:
    found = format_of(described)
    if not isinstance(found, Delimited):
        raise _invalid(described or node, "it cannot be staged as a table of Hive")
    _check_plain(found, described or node)
    escapes = found.escapes
    if escapes.record_separator != "\n":
        raise _invalid(
            described or node,
            f"field 'recordSeparator': found {escapes.record_separator!r}, and Hive knows only "
            "the newline",
        )
    return (
        f"ROW FORMAT DELIMITED FIELDS TERMINATED BY {hive_literal(escapes.separator)} "
        f"ESCAPED BY {hive_literal(escapes.escape)} LINES TERMINATED BY '\\n'\nSTORED AS TEXTFILE"
    )


def _check_plain(found: Delimited, described: TaskObject) -> None:
    """Refuse what neither Hive nor Pig reads; raises PermanentTaskError."""
    if found.header:
        raise _invalid(described, "field 'header': tables that are staged have no rows of names")
    if not found.charset.is_utf8:
        raise _invalid(described, "field 'charset': tables that are staged are in UTF-8")


def _regex_layout(described: TaskObject, is_output: bool) -> str:
    if is_output:
        raise _invalid(described, "RegEx describes what is read; an output needs another format")
    pattern = hive_literal(described.required("inputRegEx"))
    properties = f"'input.regex' = {pattern}"
    return (
        f"ROW FORMAT SERDE '{_REGEX_SERDE}'\nWITH SERDEPROPERTIES ({properties})\n"
        "STORED AS TEXTFILE"
    )


def _columns(node: TaskObject) -> list[tuple[str, str]]:
    """Name and type of each column; raises PermanentTaskError where there are none."""
    described = node.one("dataFormat")
    texts = described.all("column") if described is not None else ()
    parts = [part.strip() for text in texts for part in _BETWEEN_COLUMNS.split(text)]
    found = []
    for part in filter(None, parts):
        name, _, kind = part.partition(" ")
        name, kind = name.strip('`"'), kind.strip() or "STRING"
        if not _NAME.fullmatch(name) or not _TYPE.fullmatch(kind):
            raise _invalid(described or node, f"field 'column': found {part!r}, wanted NAME TYPE")
        found.append((name, kind))
    if not found:
        raise _invalid(node, "to be staged as a table it needs a dataFormat with columns")
    return found


def _directory(node: TaskObject) -> str:
    directory = node.get("directoryPath")
    if not directory:
        raise _invalid(
            node, "to be staged as a table it needs a directoryPath: a table is a folder"
        )
    return f"{directory.rstrip('/')}/"


def _load(name: str, node: TaskObject) -> str:
    described = node.one("dataFormat")
    columns = _pig_columns(node) if described is not None and described.all("column") else ""
    path = _pig_literal(node.get("filePath") or _directory(node))
    return f"{name} = LOAD {path} USING PigStorage({_pig_separator(node)}){columns};"


def _store(name: str, node: TaskObject) -> str:
    path = _pig_literal(_directory(node))
    return f"STORE {name} INTO {path} USING PigStorage({_pig_separator(node)});"


def _pig_separator(node: TaskObject) -> str:
    described = node.one("dataFormat")
    found = format_of(described)
    if not isinstance(found, Delimited):
        raise _invalid(described or node, "it cannot be staged for Pig")
    _check_plain(found, described or node)
    return _pig_literal(found.escapes.separator)


def _pig_columns(node: TaskObject) -> str:
    described = []
    for name, kind in _columns(node):
        plain = kind.partition("(")[0].strip().lower()
        known = _PIG_TYPES.get(plain, plain if plain in _PIG_TYPES.values() else None)
        if known is None:
            raise _invalid(node, f"the column {name!r} is a {kind}, which Pig does not have")
        described.append(f"{name}:{known}")
    return f" AS ({', '.join(described)})"


def hive_literal(text: str) -> str:
    """A text in quotes, as Hive and Spark read it; a semicolon would end the statement for Hive."""
    return f"'{''.join(map(_hive_character, text))}'"


def _hive_character(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if character in ';"' or ord(character) < 32:
        return f"\\{ord(character):03o}"
    return character


def _pig_literal(text: str) -> str:
    def spelled(character: str) -> str:
        if character in "\\'":
            return f"\\{character}"
        return f"\\u{ord(character):04x}" if ord(character) < 32 else character

    return f"'{''.join(map(spelled, text))}'"


def _invalid(described: TaskObject, problem: str) -> PermanentTaskError:
    message = f"{described.type} {described.component_id!r}: {problem}"
    return PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)


Stage = Callable[[Task, str, StandIns], Staged]
