"""Secrets of tasks: in nothing that an agent reports, logs, counts or answers, nor a local run."""

from __future__ import annotations

import json
import socket
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from taskrunner.agent.handouts.allowance import Allowance
from taskrunner.agent.handouts.deadlines import Deadlines
from taskrunner.data.databases.dialect import Dialect
from taskrunner.data.databases.properties import parse_options
from taskrunner.data.databases.schemes import MYSQL
from taskrunner.data.databases.script import parse_statement
from taskrunner.data.databases.spec import Login, from_jdbc
from taskrunner.data.formats.registry import format_of
from taskrunner.data.nodes import node_of
from taskrunner.data.objects.location import parse
from taskrunner.errors import PermanentTaskError
from taskrunner.model.codec import TASK
from taskrunner.model.task import Task
from taskrunner.secret import HIDDEN
from tests.integration.agent_harness import FakeService, running_agent, task_json, wait_for
from tests.integration.test_run import ON_DEMAND, run, write
from tests.security.canaries import WORD, tells
from tests.security.undefended_secrets import without

#: A secret that can be the first word of a statement.
VERB = "c0rrecthorse"
#: The agent without what is tested here.
MUTANT = ("tests.chaos.mutants", "unmasked")


@pytest.fixture
def service() -> Iterator[FakeService]:
    fake = FakeService()
    yield fake
    fake.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A task that fails by its secret; or that its secret is only passed to."""

    name: str
    kind: str = "ShellCommandActivity"
    fields: Mapping[str, Any] = field(default_factory=dict)
    objects: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def task(self) -> dict[str, Any]:
        """As PollForTask returns it: the secret goes along, as the service sends it."""
        fields = {"*mySecret": WORD, **self.fields}
        command = str(fields.get("command", ""))
        made = task_json(self.name, command, kind=self.kind, fields=fields, objects=self.objects)
        return {**made, "pipelineId": f"df-{self.name}"}


def _shell(name: str, command: str = "true", **fields: Any) -> Work:
    return Work(name=name, fields={"command": command, **fields})


def _sql(name: str, script: str = "select 1", **database: Any) -> Work:
    fields = {"script": script, "database": {"ref": "Db"}}
    given = {"type": "JdbcDatabase", "username": "u", "*password": f"pw-{WORD}", **database}
    return Work(name=name, kind="SqlActivity", fields=fields, objects={"Db": given})


def _copy(name: str, source: Mapping[str, Any], target: Mapping[str, Any], **more: Any) -> Work:
    fields = {"input": {"ref": "In"}, "output": {"ref": "Out"}}
    objects = {"In": source, "Out": target, **more}
    return Work(name=name, kind="CopyActivity", fields=fields, objects=objects)


def works(folder: Path) -> list[Work]:
    """Every way in which a task's secret may get into an error, or into a log."""
    sqlite = f"jdbc:sqlite:{folder}/open/x.db"
    csv = {"type": "S3DataNode", "filePath": "s3://bucket/in.csv"}
    out = {"type": "S3DataNode", "filePath": "s3://bucket/out.csv"}
    table = {"type": "SqlDataNode", "table": "t", "database": {"ref": "Db"}}
    db = {"type": "JdbcDatabase", "connectionString": sqlite, "username": "u"}
    return [
        _shell("stderr", f"echo no {WORD} >&2; exit 3"),
        _shell("output", f"echo {WORD}; echo {WORD} | base64; exit 4"),
        _shell("argument", "echo $1 >&2; exit 5", scriptArgument=["x", WORD]),
        _shell("timeout", attemptTimeout=WORD),
        _shell("lease", reportProgressTimeout=f"{WORD} minutes"),
        _shell("flag", stage=WORD),
        _shell("log uri", pipelineLogUri=f"nowhere://{WORD}/x"),
        _shell("stdout", stdout=WORD),
        _shell("stderr uri", stderr=f"s3:///{WORD}"),
        Work(name="script", fields={"command": "", "scriptUri": f"s3://bucket/{WORD}.sh"}),
        Work(name="script uri", fields={"command": "", "scriptUri": WORD}),
        _sql("syntax", WORD, connectionString=sqlite),
        _sql("verb", f"{VERB} x from y", connectionString=sqlite, **{"*myVerb": VERB}),
        _sql("table", f'select * from "{WORD}"', connectionString=sqlite),
        _sql("quote", f"select '{WORD}' '{WORD[1:]}' x y", connectionString=sqlite),
        _sql("no statement", f"-- {WORD}", connectionString=sqlite),
        _sql("connection string", connectionString=WORD),
        _sql("scheme", connectionString=f"jdbc:{WORD}://h/x"),
        _sql("path", connectionString=f"jdbc:sqlite:{WORD}"),
        _sql("folder", connectionString=f"jdbc:sqlite:{folder}/open/{WORD}/x.db"),
        _sql("forbidden", connectionString=f"jdbc:sqlite:/root/{WORD}/x.db"),
        _sql("refused", connectionString=f"jdbc:postgresql://127.0.0.1:1/{WORD}"),
        _sql("host", connectionString=f"jdbc:postgresql://{WORD}.invalid:1/x"),
        _sql("login", connectionString=f"jdbc:mysql://u:{WORD}@127.0.0.1:1/x"),
        _sql("password", connectionString=f"jdbc:mysql://127.0.0.1:1/x?password={WORD}"),
        _sql("port", connectionString=f"jdbc:mysql://127.0.0.1:{WORD}/x"),
        _sql(
            "property",
            connectionString="jdbc:mysql://127.0.0.1:1/x",
            jdbcProperties=[f"sslMode={WORD}"],
        ),
        _sql(
            "property's name",
            connectionString="jdbc:mysql://127.0.0.1:1/x",
            jdbcProperties=[f"{WORD}=1"],
        ),
        _copy("missing", {**csv, "filePath": f"s3://bucket/{WORD}"}, out),
        _copy("a local file", {**csv, "filePath": f"/root/{WORD}"}, out),
        _copy("compression", {**csv, "compression": WORD}, out),
        _copy("encryption", csv, {**out, "s3EncryptionType": WORD}),
        _copy(
            "separator",
            {**csv, "dataFormat": {"ref": "F"}},
            out,
            F={"type": "Custom", "columnSeparator": WORD},
        ),
        _copy("a format", {**csv, "dataFormat": {"ref": "F"}}, out, F={"type": WORD}),
        _copy("create", csv, {**table, "createTableSql": f"create {WORD}"}, Db=db),
        _copy("insert", csv, {**table, "insertQuery": f"insert into t '{WORD}'"}, Db=db),
        _copy("select", {**table, "selectQuery": f"select 1; select '{WORD}'"}, out, Db=db),
        _copy("a table", csv, {**table, "table": WORD}, Db=db),
        Work(name="key", kind="S3KeyExists", fields={"command": "", "s3Key": WORD}),
    ]


@dataclass(frozen=True, slots=True)
class Reported:
    """What came of each work, and what else was said."""

    verdicts: Mapping[str, str]
    rest: Mapping[str, str]


def reported(service: FakeService, folder: Path, *program: str) -> Reported:
    """Have an agent run all works, and gather everything that it says of them."""
    (folder / "open").mkdir()
    (folder / "s3" / "bucket").mkdir(parents=True)
    (folder / "s3" / "bucket" / "in.csv").write_text("1\n")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ("--health-listen", str(port), "--local-paths", str(folder / "open"))
    run_by = program or ("taskrunner",)
    with running_agent(service, folder, *options, "--tasks", "2", program=run_by) as agent:
        verdicts = {}
        for work in works(folder):
            service.tasks.put(work.task())
        for work in works(folder):
            verdicts[work.name] = json.dumps(service.verdict(work.name))
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

        def answer(path: str) -> str:
            with opener.open(f"http://127.0.0.1:{port}{path}", timeout=10) as reply:
                return str(reply.read().decode())

        metrics = wait_for("the metrics", lambda: answer("/metrics"))
        rest = {"metrics": metrics, "status": agent.status()}
        agent.stop()
        rest["agent's log"] = agent.log
    rest["reports"] = json.dumps(service.events)
    for path in (agent.work_dir / "output" / "logs").rglob("*"):
        if path.is_file():
            rest[str(path)] = path.read_text(errors="replace")
    return Reported(verdicts, rest)


def test_nothing_that_an_agent_says_of_its_tasks_has_a_secret(
    service: FakeService, tmp_path: Path
) -> None:
    said = reported(service, tmp_path)
    assert not {name: text for name, text in said.verdicts.items() if tells(text)}
    assert not {name: text for name, text in said.rest.items() if tells(text)}
    logs = "".join(text for name, text in said.rest.items() if "Activity.log" in name)
    assert "every user of this host can see it" in logs
    assert "pipelineLogUri is secret" in said.verdicts["log uri"]
    failed = [name for name, text in said.verdicts.items() if "FAILED" in text]
    assert len(failed) >= 38, said.verdicts


def test_an_agent_that_looks_for_no_secret_tells_them(service: FakeService, tmp_path: Path) -> None:
    said = reported(service, tmp_path, *MUTANT)
    told = {name for name, text in said.verdicts.items() if tells(text)}
    assert {"stderr", "script", "table", "missing", "verb", "a local file"} <= told
    assert any(tells(text) for name, text in said.rest.items() if "Activity.log" in name)


# -- what is too short to be looked for --------------------------------------------------------

#: Shorter than what is masked in texts: that messages do not have it is due to its mark alone.
SHORT = "hunt3r"
NOW = datetime(2026, 2, 13, tzinfo=UTC)


def task_of(name: str, value: str) -> Task:
    """A task with a secret, and a field of a referred object that holds it."""
    objects = {"O": {"type": "S3DataNode", "filePath": "s3://b/k", name: value}}
    fields = {"*mySecret": SHORT, "ref": {"ref": "O"}, name: value}
    return TASK.decode(task_json("t", "true", fields=fields, objects=objects))


def _jdbc(text: str | None) -> None:
    spec = from_jdbc("Db", text or "", Login())
    raise PermanentTaskError(str(spec))


MESSAGES: Mapping[str, tuple[str, str, Callable[[Task], object]]] = {
    "a period": ("attemptTimeout", SHORT, lambda t: Deadlines.of(t, lease_s=1, now=NOW)),
    "a flag": ("stage", SHORT, lambda t: t.main.flag("stage")),
    "a log URI": (
        "pipelineLogUri",
        f"s3://{SHORT}/x",
        lambda t: Allowance(log_uris=("s3://other",)).check(t),
    ),
    "a URI": ("filePath", SHORT, lambda t: parse(t.main.required("filePath"))),
    "a directory": ("filePath", f"s3://b/{SHORT}/", lambda t: node_of(t.object("O"))),
    "a compression": ("compression", SHORT, lambda t: node_of(t.object("O"))),
    "a format": ("type", SHORT, lambda t: format_of(t.object("O"))),
    "a statement": (
        "script",
        f"a; b {SHORT}" + "x" * 300,
        lambda t: parse_statement(t.main.required("script"), Dialect()),
    ),
    "a property": (
        "p",
        f"sslMode={SHORT}",
        lambda t: parse_options("mysql", MYSQL.properties, t.main.all("p"), where="Db"),
    ),
    "a property's name": (
        "p",
        f"{SHORT}=1",
        lambda t: parse_options("mysql", MYSQL.properties, t.main.all("p"), where="Db"),
    ),
    "a host": ("c", f"jdbc:mysql://{SHORT}/x", lambda t: _jdbc(t.main.get("c"))),
    "a scheme": ("c", f"jdbc:{SHORT}://h/x", lambda t: _jdbc(t.main.get("c"))),
    "a file": ("c", f"jdbc:sqlite:/x/{SHORT}", lambda t: _jdbc(t.main.get("c"))),
    "a path": ("c", f"jdbc:sqlite:{SHORT}", lambda t: _jdbc(t.main.get("c"))),
}


def said_of(name: str) -> str:
    """The message of an error of our own."""
    key, value, use = MESSAGES[name]
    with pytest.raises(PermanentTaskError) as caught:
        use(task_of(key, value))
    return str(caught.value)


@pytest.mark.parametrize("name", MESSAGES)
def test_errors_of_our_own_do_not_quote_what_holds_a_secret(name: str) -> None:
    said = said_of(name)
    assert SHORT not in said.lower()
    assert HIDDEN in said or "its address is secret" in said, said


def test_without_the_mark_they_would() -> None:
    with without("unsearched"):
        told = [name for name in MESSAGES if SHORT in said_of(name).lower()]
    assert len(told) == len(MESSAGES), told


# -- a local run -------------------------------------------------------------------------------


def test_a_local_run_says_nothing_of_its_secrets(tmp_path: Path) -> None:
    store = {
        "id": "Db",
        "type": "JdbcDatabase",
        "connectionString": f"jdbc:sqlite:{tmp_path}/x.db",
        "jdbcDriverClass": "x",
        "username": "u",
        "*password": f"pw-{WORD}",
    }
    common = {"maximumRetries": "0"}
    activities = (
        {"id": "Date", "command": "#{makeDate(*myWord, 1, 1)}"},
        {"id": "Nested", "command": "#{myField.day()}", "myField": "#{*myWord}"},
        {"id": "Inline", "command": "#{Db.*password.day()}"},
        {"id": "Shell", "command": "echo #{*myWord} >&2; exit 3"},
        {"id": "Argument", "command": "exit 4", "scriptArgument": "#{*myWord}"},
        {"id": "Timeout", "command": "true", "attemptTimeout": "#{*myWord}"},
        {"id": "Log", "command": "true", "pipelineLogUri": "nowhere://#{*myWord}"},
        {"id": "Year", "command": "echo #{*myNumber + 1}; exit 5"},
    )
    shells = [{"type": "ShellCommandActivity", **common, **given} for given in activities]
    sql = {
        "id": "Sql",
        "type": "SqlActivity",
        **common,
        "script": "select '#{*myWord}' from",
        "database": {"ref": "Db"},
    }
    declared = [{"id": "*myWord", "type": "String"}, {"id": "*myNumber", "type": "Integer"}]
    definition = write(tmp_path, ON_DEMAND, store, sql, *shells, parameters=declared)
    values = tmp_path / "values.json"
    values.write_text(json.dumps({"values": {"*myWord": WORD, "*myNumber": "4711081508150471"}}))
    options = ("--values-file", str(values), "--format")
    for form in ("json", "text"):
        done = run(tmp_path, definition, *options, form)
        assert done.returncode == 1, done.stderr
        assert not tells(done.stdout), done.stdout
        assert not tells(done.stderr), done.stderr
        assert done.stdout.count(HIDDEN) >= 3
        assert "[secret-argument]" in done.stderr
    kept = [path for path in (tmp_path / "work").rglob("*") if path.is_file()]
    read = [path for path in kept if not path.name.startswith("service.db")]
    assert len(read) > 20
    assert not [str(path) for path in read if tells(path.read_text(errors="replace"))]
