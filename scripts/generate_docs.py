"""Writes docs/objects.md, docs/validation.md and config.example.toml from the tables in the code.

Which object types run is read off the plugins that are built in and off the functions that would
do the work, so that neither page nor README can promise more than there is.

`--check` writes nothing and fails when a file is not what the tables say.
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path

from taskrunner.config.kinds import Space, amount, size_text
from taskrunner.config.setting import Setting
from taskrunner.config.settings import SETTINGS
from taskrunner.data.dynamodb.nodes import ITEM_FORMATS, TABLE_NODE, table_node
from taskrunner.data.nodes import node_of
from taskrunner.errors import ErrorId, PermanentTaskError
from taskrunner.model.catalog import (
    CATALOG,
    FieldGroup,
    FieldSpec,
    ObjectType,
    category,
    field_text,
)
from taskrunner.model.catalog.effects import EVERY_WAY, effect_of, runners_of, said
from taskrunner.model.validate import CODES, Severity
from taskrunner.plugins.discovery import Kind, discover
from taskrunner.testing import new_task

WIDTH = 100
ROOT = Path(__file__).resolve().parents[1]

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
    FieldGroup.EXTENSION: "only here, not on AWS",
    FieldGroup.FORBIDDEN: "not allowed",
}
OBJECTS_HEAD = """# Object reference

Generated from `taskrunner/model/catalog/objects.json` by `scripts/generate_docs.py`.
`taskrunner explain TYPE.FIELD` prints the same on a terminal.

Every object has an `id`, a `name` (the id where it is left out), a `type` (not on `Default` and on
objects that only others inherit from) and may have a `parent`, whose fields it inherits. Fields of
the object `Default` count for every object that does not set them. Names that start with `my` are
free; fields with `@` are set by the service. A field whose name starts with `*` is a secret: it is
masked in logs and in what the API and the commands show. AWS encrypts it where it is stored, as
does [the store](operate.md#the-key-of-the-store) of `taskrunner serve`.

The column *here* says what a field does in this program, from
`taskrunner/model/catalog/effect_rows.py`: empty where whoever runs the object honours it; *only by*
those who do; or *no effect*, and why. The names are those of the rules of
[where resources run](resources.md) (`group`, `local`, `ec2`) and of the engines of
[EMR's steps](emr.md) (`command`, `local`, `emr`). Nothing is ignored in silence: a field without
effect is a warning (`no-effect`) of `validate`, of putting a definition and of `run`, is named in
the service's log at activation, and, where nobody honours it, in the log of each attempt."""
RUNS_HEAD = """## What runs

Every type is read, checked and planned; those below are carried out. An attempt of any other type
fails with the errorId `UnsupportedType`; a [plugin](plugins.md) can bring one.
"""
RUNS_TAIL = """
Resources: what runs on an Ec2Resource or EmrCluster goes where the operator's rules say: to the
agents of a worker group, to an agent process on this host, to an instance or
[a cluster of EMR](emr-clusters.md) that is made for it, to EMR Serverless, or to a Spark cluster of
one's own. See [where resources run](resources.md). Steps and scripts of EMR's run by what the agent
has for them ([EMR](emr.md)). By an HttpProxy go the commands and the calls to AWS of what
runs on its resource; the agent itself has proxies of its own, but on an instance that is made."""
VALIDATION_HEAD = """# What validation reports

Generated from `taskrunner/model/validate/codes.py` by `scripts/generate_docs.py`.

`taskrunner validate FILE` reads a definition (AWS CLI form, API form, a CloudFormation template in
JSON or YAML, a Terraform plan in JSON) and reports everything that is wrong in one pass: object,
field, line and column, what was found and what is wanted. It exits with 0 when there is no error, 1
when there is, 2 when the file cannot be opened or the command line is wrong. `--format json` prints

    {"valid": false, "errors": [FINDING, ...], "warnings": [FINDING, ...]}

with each finding as `{"id", "field", "code", "message", "line", "column"}`; what is not known is
null. Codes are stable: programs may rely on them, while messages may change.

`--target local`, `self-hosted` or `aws` says where the definition is to run: a type that nobody
there can carry out is an error then (`cannot-run`), a field that does nothing there a warning. With
`--resources` the rules of a service say where each resource runs, and the fields that do nothing
there are told; without either, those that nobody honours anywhere. `docs/objects.md` has the table.

What only a deployment tool knows (`!Ref`, values known after apply) is reported as
`unresolved-value` and not checked; of a choice between structures (`Fn::If`) the first is read."""

EXAMPLE_HEAD = """\
# Settings of the taskrunner agent (`taskrunner --worker-group NAME`), with their defaults.
# Read from the file named by --config or TASKRUNNER_CONFIG, else /etc/taskrunner/taskrunner.toml.
# A flag wins over its environment variable, that over this file, and this file over the default.
# Secrets are best kept in files of their own that only the agent's user can read (each secret
# setting can name one), in systemd's credentials (LoadCredential=secret_key:PATH), or in boto3's
# usual places. A running agent takes over what is marked so when it is reloaded (SIGHUP).
#
# Generated from `taskrunner/config/settings.py` by `scripts/generate_docs.py`."""


def cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def prose(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def here(object_type: ObjectType, spec: FieldSpec) -> str:
    """What the field does here: nothing is said where whoever runs the object honours it."""
    effect = effect_of(object_type.name, spec.name)
    if effect is None or (effect.by == EVERY_WAY and not effect.why):
        return ""
    if not effect.by:
        return f"no effect: {effect.why}"
    return effect.summary if effect.by != EVERY_WAY else effect.why


def row(object_type: ObjectType, spec: FieldSpec) -> str:
    need = GROUPS[spec.group] + (f" {spec.alternatives}" if spec.alternatives is not None else "")
    facts = [field_text(spec.name)]
    if spec.ref_types:
        facts.append(f"Refers to {', '.join(spec.ref_types)}.")
    if spec.words:
        facts.append("Words: " + ", ".join(f"`{word}`" for word in spec.words) + ".")
    if spec.own:
        facts.append("Only here, not on AWS: " + ", ".join(f"`{word}`" for word in spec.own) + ".")
    if spec.default:
        facts.append("Default: " + ", ".join(f"`{word}`" for word in spec.default) + ".")
    if spec.multiple:
        facts.append("May have several values.")
    if spec.note:
        facts.append(f"{spec.note[0].upper()}{spec.note[1:]}.")
    told = cell(here(object_type, spec))
    return f"| `{spec.name}` | {spec.slot} | {need} | {cell(' '.join(facts))} | {told} |"


@cache
def _registered() -> frozenset[tuple[Kind, str]]:
    return frozenset((plugin.kind, plugin.name) for plugin in discover() if plugin.built_in)


def _built_in(kind: Kind, name: str) -> bool:
    return (kind, name) in _registered()


def _node(name: str) -> bool:
    try:
        (table_node if name == TABLE_NODE else node_of)(new_task(name).main)
    except PermanentTaskError as error:
        return error.error_id != ErrorId.UNSUPPORTED_TYPE
    return True


def _format(name: str) -> bool:
    return name in ITEM_FORMATS or _built_in(Kind.FORMAT, name)


def _always(_name: str) -> bool:
    return True


#: For each category of types that do something: whether one of its types does it.
RUNS: Mapping[str, Callable[[str], bool]] = {
    "activity": partial(_built_in, Kind.ACTIVITY),
    "precondition": partial(_built_in, Kind.PRECONDITION),
    "datanode": _node,
    "database": _always,
    "dataformat": _format,
    "action": _always,
}


def runs_table() -> list[str]:
    """What runs and, if there is any, what does not: a line of a table for each category."""
    rows = []
    for key, runs in RUNS.items():
        done = ", ".join(name for name in category(key) if runs(name))
        left = ", ".join(name for name in category(key) if not runs(name))
        rows.append([CATEGORIES[key], done, left])
    if all(not left for _, _, left in rows):
        rows = [["", "runs"], *(row[:2] for row in rows)]
    else:
        rows = [["", "runs", "not yet"], *rows]
    lines = [f"| {' | '.join(row)} |".replace("|  |", "| |") for row in rows]
    return [lines[0], "|---" * len(rows[0]) + "|", *lines[1:]]


def section(object_type: ObjectType, key: str) -> Iterator[str]:
    yield f"### {object_type.name}"
    yield ""
    yield prose(object_type.text)
    if not RUNS.get(key, _always)(object_type.name):
        yield ""
        yield "**Does not run yet**: an attempt that uses it fails with `UnsupportedType`."
    if object_type.replaced_by:
        yield f"Deprecated: use {object_type.replaced_by}."
    if (ways := runners_of(object_type.name)) != EVERY_WAY:
        yield ""
        yield f"Runs by: {said(ways)}."
    yield ""
    yield "| field | value | needed | meaning | here |"
    yield "|---|---|---|---|---|"
    yield from (row(object_type, spec) for spec in object_type.fields.values() if not spec.runtime)
    runtime = [f"`{spec.name}`" for spec in object_type.fields.values() if spec.runtime]
    if runtime:
        yield ""
        yield prose(f"Set by the service: {', '.join(runtime)}.")
    yield ""


def objects() -> str:
    lines = [OBJECTS_HEAD, "", RUNS_HEAD, *runs_table(), RUNS_TAIL, ""]
    for key, title in CATEGORIES.items():
        lines += [f"## {title}", ""]
        for name in category(key):
            lines += section(CATALOG[name], key)
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


def toml(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Space):
        value = str(value)
    if isinstance(value, dict):
        pairs = (
            f"{key if key.isalnum() else json.dumps(key)} = {toml(v)}" for key, v in value.items()
        )
        return f"{{ {', '.join(pairs)} }}"
    return json.dumps(value)


def value_lines(setting: Setting) -> Iterator[str]:
    value = setting.fallback
    if setting.default_text is not None:
        yield f"# Default: {setting.default_text}"
        value = setting.example
    elif value in (None, (), {}):
        yield "# Not set by default; for example:"
        value = "..." if setting.secret and setting.example is None else setting.example
    elif setting.kind is amount and isinstance(value, int):
        value = size_text(value)
    yield f"# {setting.name} = {toml(value)}"


def explained(setting: Setting) -> Iterator[str]:
    yield ""
    yield f"# {setting.help} [{setting.flag}, ${setting.variables[0]}]"
    if setting.live:
        yield "# A reload takes it over."
    yield from value_lines(setting)
    if setting.secret:
        holds = f"with lines {setting.metavar}, or a JSON object"
        alone = "that holds it and nothing else"
        names = f"[{setting.file_flag}, ${setting.file_variable}]"
        yield f"# Or the path of a file {holds if setting.multiple else alone}. {names}"
        yield f'# {setting.file_name} = "/etc/taskrunner/{setting.name.replace("_", "-")}"'


def example() -> str:
    lines = [EXAMPLE_HEAD]
    for setting in SETTINGS:
        lines += explained(setting)
    return "\n".join(lines) + "\n"


PAGES = {
    "docs/objects.md": objects,
    "docs/validation.md": validation,
    "config.example.toml": example,
}


def main(args: list[str]) -> int:
    stale = [name for name, page in PAGES.items() if _read(ROOT / name) != page()]
    if "--check" in args:
        for name in stale:
            print(f"{name} is not up to date: run scripts/generate_docs.py")
        return 1 if stale else 0
    for name in stale:
        (ROOT / name).write_text(PAGES[name](), encoding="utf-8")
        print(f"wrote {name}")
    return 0


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
