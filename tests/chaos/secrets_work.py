"""What E1 works with: canaries, what is captured, and work that tells all that it knows."""

from __future__ import annotations

import base64
import gzip
import json
import random
import string
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

__all__ = ["TELL", "Captured", "canaries", "leaky_plugin", "needles", "objects_of", "watched"]

_RUN = 12
_LETTERS = string.ascii_letters + string.digits


def canaries(chance: random.Random) -> dict[str, str]:
    """A secret of each shape, new in every run."""

    def word(size: int, letters: str = _LETTERS) -> str:
        return "".join(chance.choices(letters, k=size))

    lines = "\n".join(word(64, _LETTERS + "+/") for _ in range(12))
    content = {"user": word(12), "password": word(24), "list": [word(16), 1], "q": f'a"\\{word(9)}'}
    return {
        "short": word(10),
        "long": word(8192, _LETTERS + "+/=._-:,;!@%^&*()[] "),
        "lines": f"-----BEGIN {word(8)}-----\n{lines}\n-----END-----",
        "json": json.dumps(content),
        "base64": base64.b64encode(chance.randbytes(48)).decode(),
        "url": quote(f"{word(8)} /{word(8)}?&=+%{word(6)}ä€"),
        "quotes": f'it\'s "{word(8)}" $HOME `{word(6)}` \\{word(4)}\t|',
    }


def needles(secret: str) -> set[bytes]:
    """What gives a canary away: it and its writings, or any 24 bytes of them in a row."""
    found: set[bytes] = set()
    for text in _parts(secret):
        raw = text.encode()
        written = {raw, quote(text, safe="").encode(), quote_plus(text).encode()}
        written |= {json.dumps(text)[1:-1].encode(), repr(text)[1:-1].encode()}
        for shift in range(3):
            written.add(base64.b64encode(bytes(shift) + raw)[4:-4])
        for form in written:
            if len(form) < 2 * _RUN:
                found.add(form)
            # Any 24 bytes hold one of these whole.
            found |= {form[at : at + _RUN] for at in range(0, len(form) - _RUN + 1, _RUN)}
    return {text for text in found if len(text) >= 8}


def _parts(secret: str) -> list[str]:
    """What of it is secret: the names in a JSON text are not, nor are the marks of a key."""
    try:
        content = json.loads(secret)
    except ValueError:
        return [secret] if "-----" not in secret else secret.splitlines()[1:-1]
    return [content["user"], content["password"], content["list"][0], content["q"]]


class Captured:
    """Bytes by where they were seen."""

    def __init__(self) -> None:
        self.pieces: dict[str, bytearray] = {}
        self._seen: set[tuple[str, bytes | str]] = set()
        self._lock = threading.Lock()

    def add(self, where: str, data: bytes | str) -> None:
        """Keep what has not been seen there before."""
        with self._lock:
            if (where, data) in self._seen:
                return
            self._seen.add((where, data))
            held = self.pieces.setdefault(where, bytearray())
            held += data.encode(errors="replace") if isinstance(data, str) else data
            held += b"\n"

    def add_folder(self, where: str, folder: Path) -> None:
        """Every file, and what is in those that are compressed."""
        for path in sorted(folder.rglob("*")):
            with suppress(OSError):
                if not path.is_file():
                    continue
                data = path.read_bytes()
                name = f"{where}/{path.name}"
                self.add(f"{where} (names)", str(path.relative_to(folder)))
                self.add(name, data)
                if data[:2] == b"\x1f\x8b":
                    self.add(f"{name} (unpacked)", gzip.decompress(data))

    def hits(self, secrets: Mapping[str, str]) -> list[str]:
        """Every place where a secret can be read, and what of it."""
        runs, whole = dict[bytes, str](), dict[bytes, str]()
        for shape, secret in secrets.items():
            for needle in needles(secret):
                (runs if len(needle) == _RUN else whole)[needle] = shape
        found = {}
        for where, data in self.pieces.items():
            for text in (bytes(data), bytes(data.translate(None, b"\r\n"))):
                hits = {text[at : at + _RUN] for at in range(len(text))} & runs.keys()
                hits |= {needle for needle in whole if needle in text}
                for needle in hits:
                    shape = runs.get(needle) or whole[needle]
                    found[f"{shape} in {where}"] = needle
        return [f"{place}: {needle!r}" for place, needle in sorted(found.items())]

    @property
    def size(self) -> int:
        return sum(map(len, self.pieces.values()))


#: Reads what is new in /proc 200 times a second, as a process that has nothing else to do; ends
#: when its standard input does, and then says how often it looked and what it saw.
_WATCH = r"""
import os, select, sys
before, seen, rounds = set(os.listdir("/proc")), {}, 0
print("ready", flush=True)
while not select.select([sys.stdin], [], [], 0.005)[0]:
    rounds += 1
    for name in set(os.listdir("/proc")) - before:
        for what in ("cmdline", "environ"):
            try:
                with open(f"/proc/{name}/{what}", "rb") as file:
                    seen[what, file.read()] = None
            except OSError:
                pass
sys.stdout.write(f"{rounds}\n")
sys.stdout.flush()
for what, data in seen:
    sys.stdout.buffer.write(what.encode() + b" " + data.replace(b"\0", b" ").hex().encode() + b"\n")
"""


@contextmanager
def watched(captured: Captured) -> Iterator[dict[str, int]]:
    """Read the command line of every process that is new, and its environment, all the while."""
    counts = {"rounds": 0}
    with subprocess.Popen(
        [sys.executable, "-c", _WATCH], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        try:
            yield counts
        finally:
            told, _ = process.communicate()
    rounds, *lines = told.splitlines()
    counts["rounds"] = int(rounds)
    for line in lines:
        what, _, data = line.partition(b" ")
        captured.add(f"/proc ({what.decode()})", bytes.fromhex(data.decode()))


#: Tells the secret in a file in every way, to both outputs, with a flush at every split of it.
TELL = r"""
import base64, json, re, shlex, sys, urllib.parse
secret = open(sys.argv[1], encoding="utf-8", newline="").read()[:-1]
raw = secret.encode()
forms = [secret, json.dumps(secret), urllib.parse.quote(secret, safe=""), repr(secret),
         urllib.parse.quote_plus(secret), shlex.quote(secret), repr(raw)]
for before in ("", "u", "us"):
    data = (before + secret + before).encode()
    forms += [base64.b64encode(data).decode(), base64.encodebytes(data).decode()]
try:
    forms.append(json.dumps(json.loads(secret), indent=2))
except ValueError:
    pass
for out in (sys.stdout, sys.stderr):
    for form in forms:
        print("plain", form, file=out, flush=True)
    for form in forms[:3]:
        step = max(len(form) // 40, 1)
        for cut in range(0, len(form), step):
            out.write("split "); out.write(form[:cut]); out.flush()
            out.write(form[cut:] + "\n"); out.flush()
    out.write("x" * 4090 + secret + "\n")
    for part in re.findall(".{1,4096}", secret, re.DOTALL):
        out.write(part); out.flush()
sys.stderr.write("\nfatal: " + secret + "\n")
"""

_PLUGIN = """
import os, subprocess, sys
from taskrunner.activities.base import Activity, Precondition, PermanentTaskError, TaskError

def leak(ctx):
    secret = ctx.task.main.required("*token")
    mode = ctx.task.main.required("mode")
    print("printed", secret, flush=True)
    print("unflushed", secret, file=sys.stderr)
    os.write(1, b"raw " + secret.encode()[:20]); os.write(1, secret.encode()[20:] + b"\\n")
    subprocess.run(["/bin/cat"], input=b"own child " + secret.encode())
    with open(ctx.work_dir / "s", "w") as file:
        file.write(secret)
    ctx.run_command(["/bin/cat", str(ctx.work_dir / "s")])
    ctx.log.info("logged %s and %r", secret, secret)
    ctx.log.warning("a dict %s", {"key": secret, secret[:30]: [secret]})
    ctx.progress(note=secret, rows=1, quoted=repr(secret))
    if mode == "chain":
        try:
            {}[secret]
        except KeyError as error:
            raise RuntimeError("outer " + secret) from error
    if mode == "group":
        raise ExceptionGroup(secret, [ValueError(secret), OSError(5, secret, secret)])
    if mode == "cut":
        raise TaskError("x" * 4990 + secret + "y" * 5000)
    if mode == "system":
        raise SystemExit(secret)
    if mode == "unicode":
        (secret + "\\ud800").encode()
    raise PermanentTaskError("permanent " + secret, error_id="Odd" + secret[:4])

class LeakyActivity(Activity):
    type = "LeakyActivity"
    def run(self, ctx):
        leak(ctx)

class LeakyPrecondition(Precondition):
    type = "LeakyPrecondition"
    def check(self, ctx):
        leak(ctx)
"""
_ENTRIES = """[taskrunner.activities]
LeakyActivity = leaky_canary:LeakyActivity
[taskrunner.preconditions]
LeakyPrecondition = leaky_canary:LeakyPrecondition
"""
MODES = ("chain", "group", "cut", "system", "unicode", "permanent")


def leaky_plugin(folder: Path) -> Path:
    """A folder for PYTHONPATH in which a plugin is installed that tells what it is given."""
    info = folder / "leaky_canary-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: leaky-canary\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(_ENTRIES)
    (folder / "leaky_canary.py").write_text(_PLUGIN)
    return folder


def objects_of(
    secret: str, *, tell: str, sqlite: Path, databases: Mapping[str, str]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, str]]]:
    """Objects, parameters and values of a pipeline in which all that can fail does, and tells."""
    objects = dict(_objects(tell, sqlite, databases))
    listed = [
        {"id": key, "name": key, "fields": list(_fields(fields))} for key, fields in objects.items()
    ]
    parameter = {"id": "*mySecret", "attributes": [{"key": "type", "stringValue": "String"}]}
    return listed, [parameter], [{"id": "*mySecret", "stringValue": secret}]


def _fields(fields: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    for key, value in fields.items():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict):
                yield {"key": key, "refValue": item["ref"]}
            else:
                yield {"key": key, "stringValue": item}


def _objects(
    tell: str, sqlite: Path, databases: Mapping[str, str]
) -> Iterable[tuple[str, dict[str, Any]]]:
    secret = "#{*mySecret}"
    script = f"cat > secret <<'END_OF_THE_SECRET'\n{secret}\nEND_OF_THE_SECRET\n{tell} secret"
    sql = f"SELECT '{secret}' FROM nowhere_at_all"
    work = {"type": "ShellCommandActivity", "command": "true"}
    yield (
        "Default",
        {
            "scheduleType": "ondemand",
            "pipelineLogUri": "s3://bucket/logs",
            "workerGroup": "wg",
            "maximumRetries": "0",
            "failureAndRerunMode": "CASCADE",
            "*myAnything": secret,
        },
    )
    yield "Told", {**work, "command": f"{script}; exit 3", "stdout": "s3://bucket/copies/"}
    yield "Killed", {**work, "command": f"{script}; kill -9 $$"}
    yield "Late", {**work, "command": f"{script}; sleep 100", "attemptTimeout": "3 seconds"}
    yield "Refused", {**work, "attemptTimeout": f"{secret} minutes"}
    yield "NoScript", {"type": "ShellCommandActivity", "scriptUri": f"s3://bucket/{secret}.sh"}
    for mode in MODES:
        yield f"Leaky{mode}", {"type": "LeakyActivity", "*token": secret, "mode": mode}
    login = {"username": "u", "*password": secret, "jdbcDriverClass": "any.Driver"}
    lite = {"type": "JdbcDatabase", "connectionString": f"jdbc:sqlite:{sqlite}", **login}
    yield "LiteDb", lite
    yield "Sql", {"type": "SqlActivity", "database": {"ref": "LiteDb"}, "script": sql}
    node = {"type": "SqlDataNode", "database": {"ref": "LiteDb"}, "table": "t"}
    yield "Query", {**node, "selectQuery": sql}
    yield "Insert", {**node, "insertQuery": f"INSERT INTO t VALUES ('{secret}', ?, ?, ?, ?)"}
    yield "In", {"type": "S3DataNode", "filePath": "s3://bucket/in.csv"}
    yield "Out", {"type": "S3DataNode", "filePath": f"s3://bucket/out/{secret}/x/"}
    yield "Lost", {"type": "S3DataNode", "filePath": f"s3://bucket/{secret}"}
    for name, (source, target) in {
        "CopyOut": ("Query", "Out"), "CopyIn": ("In", "Insert"), "CopyLost": ("Lost", "Out"),
    }.items():  # fmt: skip
        refs = {"input": {"ref": source}, "output": {"ref": target}}
        yield name, {"type": "CopyActivity", **refs}
    yield from _on_servers(secret, sql, databases)
    yield from _preconditions(secret, script, work)


def _on_servers(
    secret: str, sql: str, databases: Mapping[str, str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, address in databases.items():
        bare = address.partition("?")[0]
        plain = {"type": "JdbcDatabase", "jdbcDriverClass": "any.Driver", "username": "nobody"}
        plain |= {"*password": secret, "connectionString": bare}
        yield f"Right{name}", {**plain, "connectionString": address}
        # As a login that is refused, and as a property that is not allowed.
        yield f"Wrong{name}", plain
        yield f"Odd{name}", {**plain, "jdbcProperties": f"odd={secret}"}
        for kind in ("Right", "Wrong", "Odd"):
            database = {"ref": f"{kind}{name}"}
            script = {"type": "SqlActivity", "database": database, "script": sql}
            yield f"Sql{kind}{name}", script


def _preconditions(
    secret: str, script: str, work: Mapping[str, str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    checks: dict[str, dict[str, Any]] = {
        "Key": {"type": "S3KeyExists", "s3Key": f"s3://bucket/{secret}"},
        "BadKey": {"type": "S3KeyExists", "s3Key": secret},
        "Prefix": {"type": "S3PrefixNotEmpty", "s3Prefix": f"ftp://{secret}"},
        "Told": {"type": "ShellCommandPrecondition", "command": f"{script}; exit 1"},
        "Dead": {"type": "ShellCommandPrecondition", "command": f"{script}; kill -9 $$"},
        "Leaky": {"type": "LeakyPrecondition", "*token": secret, "mode": "chain"},
    }
    for name, fields in checks.items():
        yield f"If{name}", {**fields, "preconditionTimeout": "5 seconds"}
        yield f"After{name}", {**work, "precondition": {"ref": f"If{name}"}}
    yield "IfThere", {"type": "Exists", "preconditionTimeout": "5 seconds"}
    node = {"type": "SqlDataNode", "database": {"ref": "LiteDb"}, "table": "t"}
    query = f"SELECT '{secret}' FROM nowhere_else"
    yield "There", {**node, "selectQuery": query, "precondition": {"ref": "IfThere"}}
    yield (
        "AfterThere",
        {"type": "CopyActivity", "input": {"ref": "There"}, "output": {"ref": "Out"}},
    )
