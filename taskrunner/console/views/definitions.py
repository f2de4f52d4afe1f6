"""A version of a definition, what is wrong in it at its line, and what differs from another one."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from taskrunner.console.views import addresses
from taskrunner.console.views.differences import DiffLine, changes, differences
from taskrunner.console.views.words import Sign
from taskrunner.errors import DefinitionError
from taskrunner.model.reader import read_document
from taskrunner.service.v1.definition_shapes import Definition, Finding, Severity

SIGNS: Mapping[Severity, Sign] = {
    Severity.ERROR: Sign("✕", "error", "bad"),
    Severity.WARNING: Sign("!", "warning", "wait"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Something that is wrong, or has no effect."""

    sign: Sign
    message: str
    code: str
    #: Where it stands in the text that is shown; 0: it is of the whole definition.
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TextLine:
    """A line, and what is to be said of it."""

    number: int
    text: str
    marks: Sequence[Mark]


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionChoice:
    """A version that can be shown, or compared with."""

    version: int
    put: datetime
    active: bool
    shown: bool
    compared: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinitionPage:
    """The page."""

    version: int
    choices: Sequence[VersionChoice]
    marks: Sequence[Mark]
    #: `2 errors`, `1 warning`, each with its sign.
    counts: Sequence[tuple[Sign, int]]
    lines: Sequence[TextLine]
    #: The version that it is compared with; 0: none.
    against: int
    differences: Sequence[DiffLine]
    #: How many lines came, and how many went.
    added: int
    removed: int
    #: The address of the comparison with the active version, where that is another one.
    beside_active: str
    #: The same as a file.
    download: str
    #: The same from a shell; nothing for a version that AWS's operations do not name.
    command: str


def text_of(definition: Mapping[str, Any]) -> str:
    """The text of a file in the AWS CLI's form."""
    return json.dumps(definition, indent=2, ensure_ascii=False)


def definition_page(
    pipeline_id: str, found: Definition, other: Definition | None = None
) -> DefinitionPage:
    """The page of a version, and of another one that it is compared with."""
    text = text_of(found.definition)
    marks = list(_marks(text, found.findings))
    by_line: dict[int, list[Mark]] = {}
    for mark in marks:
        by_line.setdefault(mark.line, []).append(mark)
    lines = text.splitlines()
    diff = differences(text_of(other.definition).splitlines(), lines) if other else []
    added, removed = changes(diff)
    path = addresses.pipeline(pipeline_id, "definition")
    active = next((one.version for one in found.versions if one.active), 0)
    this = str(found.version)
    return DefinitionPage(
        version=found.version,
        choices=_choices(found, other.version if other else 0),
        marks=marks,
        counts=[
            (shown, count)
            for shown in SIGNS.values()
            if (count := sum(mark.sign is shown for mark in marks))
        ],
        lines=[
            TextLine(number=number, text=line, marks=by_line.get(number, ()))
            for number, line in enumerate(lines, 1)
        ],
        against=other.version if other else 0,
        differences=diff,
        added=added,
        removed=removed,
        beside_active=addresses.with_query(path, {}, version=this, against=str(active))
        if active not in {0, found.version}
        else "",
        download=addresses.with_query(f"{path}/file", {}, version=this),
        command=_command(pipeline_id, found),
    )


def _command(pipeline_id: str, found: Definition) -> str:
    newest = max(one.version for one in found.versions)
    is_active = any(one.active and one.version == found.version for one in found.versions)
    if not is_active and found.version != newest:
        return ""
    which = "latest" if found.version == newest else "active"
    words = ["--pipeline-id", pipeline_id, "--pipeline-version", which]
    return shlex.join(["aws", "datapipeline", "get-pipeline-definition", *words])


def _choices(found: Definition, against: int) -> Sequence[VersionChoice]:
    return [
        VersionChoice(
            version=one.version,
            put=one.put,
            active=one.active,
            shown=one.version == found.version,
            compared=one.version == against,
        )
        for one in found.versions
    ]


def _marks(text: str, findings: Sequence[Finding]) -> Iterator[Mark]:
    lines = _lines_of(text) if findings else {}
    for found in findings:
        line = lines.get((found.id, found.field)) or lines.get((found.id, None)) or 0
        where = f"{found.field}: " if found.field and (found.id, found.field) not in lines else ""
        if found.id and not line:
            where = f"{found.id}: {where}"
        yield Mark(
            sign=SIGNS[found.severity],
            message=f"{where}{found.message}",
            code=found.code,
            line=line,
        )


def _lines_of(text: str) -> Mapping[tuple[str | None, str | None], int]:
    """Where objects, their fields and parameters stand in a text."""
    try:
        read = read_document(text).definition
    except DefinitionError:
        return {}
    found: dict[tuple[str | None, str | None], int] = {}
    for value in read.values:
        if value.position:
            found[value.id, None] = value.position.line
    # Each begins with a brace; its id is in the line below, as the text is written.
    for parameter in read.parameters:
        if parameter.position:
            found[parameter.id, None] = parameter.position.line + 1
    for obj in read.objects:
        if obj.position:
            found[obj.id, None] = obj.position.line + 1
        for field in obj.fields:
            if field.position:
                found.setdefault((obj.id, field.key), field.position.line)
    return found
