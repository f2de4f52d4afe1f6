"""Definitions that name local files in every way that a definition can."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.integration.agent_harness import task_json

#: What stands in each file that no task may read.
CANARY = "canary-7f3a91"
#: The agent's key, in its environment.
KEY = "agent-secret-key"
#: What a rollback journal ends with that names another journal: its name's length and sum follow.
_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One task; it succeeds when the canary is told, its file is made, or its question answered."""

    name: str
    kind: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    objects: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    #: The status or errorId that tells whether a file is there; empty: it is no question.
    answer: str = ""
    #: What it makes or changes of the agent's own files: the beginning of a path; empty: it reads.
    changes: str = ""

    def task(self) -> dict[str, Any]:
        """As PollForTask returns it; logs are kept apart by the pipeline's id."""
        command = self.fields.get("command", "")
        task = task_json(
            self.name, command, kind=self.kind, fields=self.fields, objects=self.objects
        )
        task["pipelineId"] = f"df-{self.name}"
        return task


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """The folder of an agent: what is its own, and what definitions may use."""

    root: Path

    @property
    def home(self) -> Path:
        """The agent's own files; its users may pass, and read nothing."""
        return self.root / "home"

    @property
    def vault(self) -> Path:
        """Files that nobody else gets to see."""
        return self.home / ".ssh"

    @property
    def open(self) -> Path:
        """What the operator has listed, and tasks' users may write to."""
        return self.root / "open"

    def furnish(self) -> None:
        """Make the files."""
        for folder, mode in ((self.home, 0o711), (self.vault, 0o700), (self.open, 0o777)):
            folder.mkdir()
            folder.chmod(mode)
        for path in (
            *(self.home / f"{n}.csv" for n in ("secret", "journaled")),
            self.vault / "known",
        ):
            path.write_text(f"{CANARY}\n")
        (self.home / "secret.sh").write_text(f"#!/bin/cat\n{CANARY}\n")
        (self.home / "secret.sql").write_text(f"insert into {CANARY.replace('-', '_')} values (1)")
        for path in (self.home / "secret.db", self.home / "change.db", self.vault / "known.db"):
            with closing(sqlite3.connect(path)) as connection, connection:
                connection.execute("create table t (v text)")
                connection.execute("insert into t values (?)", (CANARY,))
        for path in self.home.rglob("*"):
            if path.is_file():
                path.chmod(0o600)
        self._plant()

    def _plant(self) -> None:
        """What a definition, or another user, may have put into the open folder."""
        links = self.open / "links"
        links.mkdir()
        (links / "link.csv").symlink_to(self.home / "secret.csv")
        (self.open / "link.csv").symlink_to(self.home / "secret.csv")
        (self.open / "link2.csv").symlink_to("link.csv")
        (self.open / "up.csv").symlink_to("../home/secret.csv")
        (self.open / "link").symlink_to(self.home)
        (self.open / "link.db").symlink_to(self.home / "secret.db")
        (self.open / "vault").symlink_to(self.vault)
        (self.open / "new.db").symlink_to(self.vault / "made-by-link.db")
        for name in ("own", "hot", "sibling"):
            with closing(sqlite3.connect(self.open / f"{name}.db")) as connection, connection:
                connection.execute("create table t (v text)")
            (self.open / f"{name}.db").chmod(0o666)
        (self.open / "hot.db-journal").write_bytes(_journal_naming(self.home / "journaled.csv"))
        (self.open / "sibling.db-wal").symlink_to(self.vault / "made-wal")

    def attacks(self) -> Iterator[Attack]:
        """All of them."""
        yield from _reading_files(self)
        yield from _scripts(self)
        yield from _reading_databases(self)
        yield from _statements(self)
        yield from _writing(self)
        yield from _questions(self)
        yield from _certificates(self)


def _journal_naming(victim: Path) -> bytes:
    """A journal without pages that names a journal of several databases, to be removed with it."""
    name = str(victim).encode()
    head = bytes.fromhex("d9d505f920a163d7") + bytes(4) + bytes(8) + (2).to_bytes(4)
    head += (512).to_bytes(4) + (4096).to_bytes(4)
    total = sum(name) & 0xFFFFFFFF
    tail = bytes(4) + name + len(name).to_bytes(4) + total.to_bytes(4) + _JOURNAL_MAGIC
    return head.ljust(512, b"\0") + tail


def copy_of(
    name: str,
    source: Mapping[str, Any],
    target: Mapping[str, Any] | None = None,
    changes: str = "",
) -> Attack:
    """From a node to a place of the attack's own in S3, or to another node."""
    out = target or {"type": "S3DataNode", "filePath": f"s3://bucket/{name}/out"}
    objects = {"In": source, "Out": out}
    for key, node in (("In", source), ("Out", out)):
        if url := node.get("url"):
            rest = {k: v for k, v in node.items() if k != "url"}
            objects[key] = {**rest, "type": "SqlDataNode", "database": {"ref": f"{key}Db"}}
            objects[f"{key}Db"] = _database(url)
    fields = {"input": {"ref": "In"}, "output": {"ref": "Out"}}
    return Attack(name=name, kind="CopyActivity", fields=fields, objects=objects, changes=changes)


def _database(url: str, **fields: str) -> dict[str, str]:
    return {"type": "JdbcDatabase", "connectionString": url, "username": "u", **fields}


def _file(path: object) -> dict[str, str]:
    return {"type": "S3DataNode", "filePath": str(path)}


def _folder(path: object) -> dict[str, str]:
    return {"type": "S3DataNode", "directoryPath": str(path)}


def _reading_files(house: House) -> Iterator[Attack]:
    secret, inside = house.home / "secret.csv", house.open
    paths = {
        "file": secret,
        "file-url": f"file://{secret}",
        "file-localhost": f"file://localhost{secret}",
        "file-encoded": "file:///" + "".join(f"%{ord(c):02x}" for c in str(secret)[1:]),
        "file-up": inside / ".." / "home" / "secret.csv",
        "file-encoded-up": f"file://{inside}/%2e%2e/home/secret.csv",
        "file-slashes": f"//{secret}",
        "file-link": inside / "link.csv",
        "file-link-of-link": inside / "link2.csv",
        "file-relative-link": inside / "up.csv",
        "file-folder-link": inside / "link" / "secret.csv",
        "file-proc-root": f"/proc/self/root{secret}",
        "file-proc-task": f"/proc/thread-self/root{secret}",
        "file-proc-cwd-up": f"/proc/self/cwd/{'../' * 20}{secret}",
    }
    for name, path in paths.items():
        yield copy_of(name, _file(path))
    yield copy_of("environment", _file("/proc/self/environ"))
    folders = {
        "folder": house.home,
        "folder-url": f"file://{quote(str(house.home))}",
        "folder-link": inside / "link",
        "folder-of-links": inside / "links",
    }
    for name, path in folders.items():
        yield copy_of(name, _folder(path), _folder(f"s3://bucket/{name}"))
    yield copy_of(
        "file-to-table", _file(secret), {"url": f"jdbc:sqlite:{inside}/took.db", **_TAKES}
    )


#: A table that is made of what is loaded.
_TAKES = {"table": "t", "createTableSql": "create table t (v text)"}


def _scripts(house: House) -> Iterator[Attack]:
    script = house.home / "secret.sh"
    yield Attack(name="script", kind="ShellCommandActivity", fields={"scriptUri": str(script)})
    yield Attack(
        name="script-check",
        kind="ShellCommandPrecondition",
        fields={"scriptUri": f"file://{script}"},
    )
    yield _sql(house, "sql-script", scriptUri=str(house.home / "secret.sql"))
    staged = {
        "command": "cat $INPUT1_STAGING_DIR/*",
        "stage": "true",
        "input": {"ref": "In"},
    }
    for name, node in (
        ("staged-file", _file(house.home / "secret.csv")),
        ("staged-folder", _folder(house.open / "link")),
    ):
        yield Attack(name=name, kind="ShellCommandActivity", fields=staged, objects={"In": node})


def _reading_databases(house: House) -> Iterator[Attack]:
    secret = house.home / "secret.db"
    urls = {
        "db": f"jdbc:sqlite:{secret}",
        "db-url": f"jdbc:sqlite:file:{secret}?mode=ro",
        "db-slashes": f"jdbc:sqlite:///{secret}",
        "db-up": f"jdbc:sqlite:{house.open}/../home/secret.db",
        "db-link": f"jdbc:sqlite:{house.open}/link.db",
        "db-folder-link": f"jdbc:sqlite:{house.open}/link/secret.db",
        "db-proc-root": f"jdbc:sqlite:/proc/self/root{secret}",
        "db-upper": f"jdbc:SQLite:{secret}",
    }
    for name, url in urls.items():
        yield copy_of(name, {"url": url, "table": "t"})
    attach = f"attach '{secret}' as x"
    yield copy_of("select-attach", {"url": _own(house), "table": "t", "selectQuery": attach})


def _own(house: House) -> str:
    return f"jdbc:sqlite:{house.open}/own.db"


def _sql(
    house: House, name: str, database: str = "", *, changes: str = "", **fields: Any
) -> Attack:
    objects = {"Db": _database(database or _own(house)), **fields.pop("objects", {})}
    given = {"database": {"ref": "Db"}, **fields}
    return Attack(name=name, kind="SqlActivity", fields=given, objects=objects, changes=changes)


def _statements(house: House) -> Iterator[Attack]:
    secret, vault = house.home / "secret.db", house.vault
    spill = "attach {0} as x; attach '{1}' as y; create table y.t as select * from x.t"
    targets = {
        "attach": (f"'{secret}'", ()),
        "attach-name": (f'"{secret}"', ()),
        "attach-computed": (f"'{secret.parent}' || '/secret.db'", ()),
        "attach-url": (f"'file:{secret}?mode=ro'", ()),
        "attach-immutable": (f"'file:{secret}?immutable=1'", ()),
        "attach-link": (f"'{house.open}/link.db'", ()),
        "attach-argument": ("?", (str(secret),)),
    }
    for name, (what, arguments) in targets.items():
        script = spill.format(what, house.open / f"{name}.spilt")
        more: dict[str, Any] = {"scriptArgument": list(arguments)} if arguments else {}
        yield _sql(house, name, script=script, **more)
    making = {
        "attach-new": ("attach '{0}/made-by-attach' as x; create table x.t(v)", "made-by-attach"),
        "vacuum-into": ("vacuum into '{0}/made-by-vacuum'", "made-by-vacuum"),
        "vacuum-link": ("vacuum into '{1}/vacuum-link'", "vacuum-link"),
        "vacuum-computed": ("vacuum into '{0}' || '/vacuum-computed'", "vacuum-computed"),
        "temporary": ("pragma temp_store_directory = '{0}'; select 1", "temporary"),
    }
    for name, (script, made) in making.items():
        text = script.format(vault, house.open / "vault")
        yield _sql(house, name, script=text, changes=f".ssh/{made}")
    yield _sql(house, "extension", script=f"select load_extension('{secret}')")
    hot = f"jdbc:sqlite:{house.open}/hot.db"
    yield _sql(house, "journal", hot, script="select * from t", changes="journaled.csv")
    wal = "pragma journal_mode = wal; insert into t values (1)"
    sibling = f"jdbc:sqlite:{house.open}/sibling.db"
    yield _sql(house, "wal-link", sibling, script=wal, changes=".ssh/made-wal")
    table = {"type": "SqlDataNode", "database": {"ref": "Db"}, "table": "none"}
    for name, sql in (
        ("create-attach", f"attach '{vault}/create-attach' as x"),
        ("create-vacuum", f"vacuum into '{vault}/create-vacuum'"),
    ):
        objects = {"Out": {**table, "createTableSql": sql}}
        out = {"ref": "Out"}
        yield _sql(
            house, name, script="select 1", output=out, objects=objects, changes=f".ssh/{name}"
        )


def _writing(house: House) -> Iterator[Attack]:
    vault, source, link = house.vault, _file("s3://bucket/in.csv"), house.open / "vault"
    paths = {
        "write-plain": f"{vault}/write-plain",
        "write-url": f"file://{vault}/write-url",
        "write-up": f"{house.open}/../home/.ssh/write-up",
        "write-missing-up": f"{house.open}/none/../../home/.ssh/write-missing-up",
        "write-link": f"{link}/write-link",
        "write-new-folder": f"{link}/write-new-folder/deep/file",
    }
    for name, path in paths.items():
        yield copy_of(name, source, _file(path), f".ssh/{name}")
    yield copy_of("write-folder", source, _folder(vault), ".ssh/in.csv")
    yield copy_of(
        "write-db", source, {"url": f"jdbc:sqlite:{vault}/made.db", **_TAKES}, ".ssh/made.db"
    )
    new = {"url": f"jdbc:sqlite:{house.open}/new.db", **_TAKES}
    yield copy_of("write-db-link", source, new, ".ssh/made-by-link.db")
    changed = f"jdbc:sqlite:{house.home}/change.db"
    yield _sql(house, "change-db", changed, script="delete from t", changes="change.db")
    yield from _outputs(house, link)


def _outputs(house: House, link: Path) -> Iterator[Attack]:
    vault = house.vault
    staging = {"command": "echo x >$OUTPUT1_STAGING_DIR/staged", "stage": "true"}
    found: dict[str, tuple[Mapping[str, Any], str]] = {
        "stdout": ({"command": "echo x", "stdout": f"{vault}/stdout"}, "stdout"),
        "stderr": ({"command": "echo x >&2", "stderr": f"{link}/stderr"}, "stderr"),
        "staged-output": ({**staging, "output": {"ref": "Out"}}, "staged"),
        "logs": ({"command": "echo x", "pipelineLogUri": f"{vault}/logs"}, "logs/"),
        "logs-url": ({"command": "echo x", "pipelineLogUri": f"file://{vault}/url"}, "url/"),
        "logs-link": ({"command": "echo x", "pipelineLogUri": f"{link}/linked"}, "linked/"),
    }
    for name, (fields, made) in found.items():
        yield Attack(
            name=name,
            kind="ShellCommandActivity",
            fields=fields,
            objects={"Out": _folder(vault)},
            changes=f".ssh/{made}",
        )


def _questions(house: House) -> Iterator[Attack]:
    """Whether a file is there is not to be known either."""
    known, there = house.vault / "known", house.open / "vault" / "known"
    yield Attack(name="key", kind="S3KeyExists", fields={"s3Key": str(known)}, answer="FINISHED")
    yield Attack(
        name="key-link", kind="S3KeyExists", fields={"s3Key": str(there)}, answer="FINISHED"
    )
    prefix = {"s3Prefix": f"file://{house.vault}/kno"}
    yield Attack(name="prefix", kind="S3PrefixNotEmpty", fields=prefix, answer="FINISHED")
    for name, node in (("exists-file", _file(known)), ("exists-folder", _folder(house.vault))):
        fields = {"node": {"ref": "Node"}}
        yield Attack(
            name=name, kind="Exists", fields=fields, objects={"Node": node}, answer="FINISHED"
        )
    table = {"type": "SqlDataNode", "table": "t", "database": {"ref": "Db"}}
    database = _database(f"jdbc:sqlite:{house.vault}/known.db")
    objects: dict[str, Mapping[str, Any]] = {"Node": table, "Db": database}
    fields = {"node": {"ref": "Node"}}
    yield Attack(
        name="exists-table", kind="Exists", fields=fields, objects=objects, answer="FINISHED"
    )


def _certificates(house: House) -> Iterator[Attack]:
    """Nothing listens there: what is asked is only whether the file can be read."""
    path = house.vault / "known"
    for scheme, key in (
        ("postgresql", "sslrootcert"),
        ("redshift", "sslrootcert"),
        ("mysql", "sslCa"),
        ("mariadb", "serverSslCert"),
    ):
        url = f"jdbc:{scheme}://127.0.0.1:1/db"
        yield _certificate(house, f"{scheme}-property", url, jdbcProperties=f"{key}={path}")
        yield _certificate(house, f"{scheme}-url", f"{url}?{key}=file:{path}")


def _certificate(house: House, name: str, url: str, **fields: str) -> Attack:
    objects = {"Db": _database(url, **{"*password": "none"}, **fields)}
    given = {"database": {"ref": "Db"}, "script": "select 1"}
    return Attack(
        name=name, kind="SqlActivity", fields=given, objects=objects, answer="ConnectionFailed"
    )
