"""The published definitions beside the project: what has activities, and what is unfit to run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from taskrunner.errors import DefinitionError
from taskrunner.model.catalog import category_of
from taskrunner.model.document import Definition
from taskrunner.model.reader import decode, read_document

FOLDER = Path(__file__).resolve().parents[4] / "shared" / "corpus"

_NO_JSON = "it is not JSON, and no tool of AWS's reads it"
_FRAGMENT = "input of another program's test: what its objects refer to is not in the file"
#: What cannot run anywhere as it was published, and why.
UNFIT: Mapping[str, str] = {
    "awscli-test-translator-119.json": _FRAGMENT,
    "awscli-test-translator-138.json": _FRAGMENT,
    "awscli-test-translator-196.json": _FRAGMENT,
    "awscli-test-translator-213.json": _FRAGMENT,
    "docs-dp-object-emrconfiguration-2.json": _NO_JSON,
    "docs-dp-object-hadoopactivity.json": "two objects have one id, others are not there",
    "docs-dp-object-httpproxy.json": _NO_JSON,
    "pipeline-builder-2.json": _FRAGMENT,
    "pipeline-builder-3.json": _FRAGMENT,
    "pipewelder-test-data-old2.json": "its expression format(...) has one argument",
    "pipewelder-test-data.json": "its expression format(...) has one argument",
    "samples-old-rdstos3edppipelinedefinition-c3537c.json": _NO_JSON,
    "samples-old-samplesqooprdstoredshift-9eca72.json": "its database has password, not *password",
    "samples-old-samplesqooprdstos3-32b3ed.json": _NO_JSON,
    "samples-shellcommandwithftp-pipeline.json": _NO_JSON,
}


def paths() -> Iterator[Path]:
    """The files of whole definitions, in order."""
    for folder in ("cloudformation", "definitions"):
        yield from sorted((FOLDER / folder).glob("*"))


def read(path: Path) -> Definition | None:
    """The definition; None where the file cannot be read."""
    try:
        text = decode(path.read_bytes(), source=path.name)
        return read_document(text, source=path.name).definition
    except DefinitionError:
        return None


def with_activities() -> dict[str, Definition | None]:
    """What is to run, by the file's name; unreadable files count."""
    found = {path.name: read(path) for path in paths()}
    return {
        name: definition
        for name, definition in found.items()
        if definition is None or "activity" in map(category_of, types(definition))
    }


def types(definition: Definition) -> set[str]:
    """The types of its objects."""
    return {item.type for item in definition.objects if item.type}


def few(definitions: Mapping[str, Definition]) -> dict[str, Definition]:
    """As many as it takes to have every type of object that any of them has."""
    chosen: dict[str, Definition] = {}
    seen: set[str] = set()
    for name, definition in sorted(definitions.items(), key=lambda item: -len(types(item[1]))):
        if not types(definition) <= seen:
            chosen[name] = definition
            seen |= types(definition)
    return chosen
