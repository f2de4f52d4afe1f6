"""Writes docs/objects.md and docs/validation.md from the tables in the code.

`--check` writes nothing and fails when a file is not what the tables say.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from taskrunner.model.catalog import (
    CATALOG,
    FieldGroup,
    FieldSpec,
    ObjectType,
    category,
    field_text,
)
from taskrunner.model.validate import CODES, Severity

DOCS = Path(__file__).resolve().parents[1] / "docs"

CATEGORIES = {
    "activity": "Activities",
    "datanode": "Data nodes",
    "precondition": "Preconditions",
    "resource": "Resources",
    "database": "Databases",
    "dataformat": "Data formats",
    "action": "Actions",
    "schedule": "Schedules",
    "utility": "Utilities",
}
GROUPS = {
    FieldGroup.REQUIRED: "required",
    FieldGroup.ONE_OF: "one of group",
    FieldGroup.OBJECT_INVOCATION: "required, here or inherited",
    FieldGroup.OPTIONAL: "",
    FieldGroup.UNDOCUMENTED: "undocumented, but in use",
    FieldGroup.FORBIDDEN: "not allowed",
}
OBJECTS_HEAD = """# Object reference

Generated from `taskrunner/model/catalog/objects.json` by `scripts/generate_docs.py`.
`taskrunner explain TYPE.FIELD` prints the same on a terminal.

Every object has an `id`, a `name` (the id where it is left out), a `type` (not on `Default` and on
objects that only others inherit from) and may have a `parent`, whose fields it inherits. Fields of
the object `Default` count for every object that does not set them. Names that start with `my` are
free; a leading `*` asks for encryption; fields with `@` are set by the service."""
VALIDATION_HEAD = """# What validation reports

Generated from `taskrunner/model/validate/codes.py` by `scripts/generate_docs.py`.

`taskrunner validate FILE` reads a definition (AWS CLI form, API form, a CloudFormation template in
JSON or YAML, a Terraform plan in JSON) and reports everything that is wrong in one pass: object,
field, line and column, what was found and what is wanted. It exits with 0 when there is no error, 1
when there is, 2 when the file cannot be opened or the command line is wrong. `--format json` prints

    {"valid": false, "errors": [FINDING, ...], "warnings": [FINDING, ...]}

with each finding as `{"id", "field", "code", "message", "line", "column"}`; what is not known is
null. Codes are stable: programs may rely on them, while messages may change.

What only a deployment tool knows (`!Ref`, values known after apply) is reported as
`unresolved-value` and not checked; of a choice between structures (`Fn::If`) the first is read."""


def cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def row(spec: FieldSpec) -> str:
    need = GROUPS[spec.group] + (f" {spec.alternatives}" if spec.alternatives is not None else "")
    facts = [field_text(spec.name)]
    if spec.ref_types:
        facts.append(f"Refers to {', '.join(spec.ref_types)}.")
    if spec.enum:
        facts.append("Words: " + ", ".join(f"`{word}`" for word in spec.enum) + ".")
    if spec.default:
        facts.append("Default: " + ", ".join(f"`{word}`" for word in spec.default) + ".")
    if spec.multiple:
        facts.append("May have several values.")
    if spec.note:
        facts.append(f"{spec.note[0].upper()}{spec.note[1:]}.")
    return f"| `{spec.name}` | {spec.slot} | {need} | {cell(' '.join(facts))} |"


def section(object_type: ObjectType) -> Iterator[str]:
    yield f"### {object_type.name}"
    yield ""
    yield object_type.text
    if object_type.replaced_by:
        yield f"Deprecated: use {object_type.replaced_by}."
    yield ""
    yield "| field | value | needed | meaning |"
    yield "|---|---|---|---|"
    yield from (row(spec) for spec in object_type.fields.values() if not spec.runtime)
    runtime = [f"`{spec.name}`" for spec in object_type.fields.values() if spec.runtime]
    if runtime:
        yield ""
        yield f"Set by the service: {', '.join(runtime)}."
    yield ""


def objects() -> str:
    lines = [OBJECTS_HEAD, ""]
    for key, title in CATEGORIES.items():
        lines += [f"## {title}", ""]
        for name in category(key):
            lines += section(CATALOG[name])
    lines += ["## Fields that the service sets", "", "| field | meaning |", "|---|---|"]
    names = {s.name for t in CATALOG.values() for s in t.fields.values() if s.runtime}
    lines += [f"| `{name}` | {cell(field_text(name))} |" for name in sorted(names)]
    return "\n".join(lines) + "\n"


def validation() -> str:
    titles = {
        Severity.ERROR: "Errors",
        Severity.WARNING: "Warnings",
        Severity.LIMIT: "AWS's limits: errors with `--aws-limits`, warnings without",
    }
    lines = [VALIDATION_HEAD, ""]
    for severity, title in titles.items():
        lines += [f"## {title}", "", "| code | meaning |", "|---|---|"]
        found = [code for code in CODES.values() if code.severity is severity]
        lines += [f"| `{code.name}` | {cell(code.text)} |" for code in found]
        lines.append("")
    return "\n".join(lines[:-1]) + "\n"


PAGES = {"objects.md": objects, "validation.md": validation}


def main(args: list[str]) -> int:
    stale = [name for name, page in PAGES.items() if _read(DOCS / name) != page()]
    if "--check" in args:
        for name in stale:
            print(f"docs/{name} is not up to date: run scripts/generate_docs.py")
        return 1 if stale else 0
    for name in stale:
        (DOCS / name).write_text(PAGES[name](), encoding="utf-8")
        print(f"wrote docs/{name}")
    return 0


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
