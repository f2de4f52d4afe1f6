"""The servers' own clients, run over scripts, and what they send to the server while they do."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

_MARK = "select 'mark of script'"
_QUERY_OF_MYSQL, _USE_OF_MYSQL = 3, 2


class Tap:
    """A port that leads to a server, and keeps what clients send there."""

    def __init__(self, server: tuple[str, int]) -> None:
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.sent = bytearray()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        """One connection, to its end."""
        client, _ = self._listener.accept()
        with client, socket.create_connection(self._server) as server:
            ends = {client: server, server: client}
            while True:
                for end in select.select([*ends], [], [])[0]:
                    data = end.recv(1 << 16)
                    if not data:
                        return
                    ends[end].sendall(data)
                    if end is client:
                        self.sent += data

    def close(self) -> None:
        self._thread.join()
        self._listener.close()


@contextmanager
def _tapped(url: str) -> Iterator[tuple[SplitResult, Tap]]:
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    tap = Tap((parts.hostname, parts.port))
    try:
        yield parts, tap
    finally:
        with suppress(OSError):  # for a client that never came
            socket.create_connection(("127.0.0.1", tap.port)).close()
        tap.close()


def by_psql(url: str, scripts: Sequence[str], folder: Path) -> list[list[str]]:
    """Run scripts one after the other in a session; what psql sends of each. None may fail."""
    argv = ["psql", "-X", "-q", "-o", os.devnull]
    for number, script in enumerate(scripts):
        path = folder / f"{number}.sql"
        path.write_text(script, newline="")
        argv += ["-c", "reset all", "-c", _MARK, "-f", str(path)]
    with _tapped(url) as (parts, tap):
        _run(
            [*argv, "-c", _MARK],
            PGHOST="127.0.0.1",
            PGPORT=str(tap.port),
            PGUSER=parts.username or "",
            PGPASSWORD=parts.password or "",
            PGDATABASE=parts.path.lstrip("/"),
            PGSSLMODE="disable",
            PGGSSENCMODE="disable",
            PGCLIENTENCODING="UTF8",
        )
    return _by_script(list(_of_postgresql(bytes(tap.sent))), between="reset all")


def by_mariadb(url: str, scripts: Sequence[str], folder: Path) -> list[list[str]]:
    """Run scripts one after the other in a session; what mariadb sends of each. None may fail."""
    lines = []
    for number, script in enumerate(scripts):
        path = folder / f"{number}.sql"
        path.write_text(script, newline="")
        lines += ["set sql_mode = default;", f"{_MARK};", f"source {path}", "delimiter ;"]
    session = folder / "session.sql"
    session.write_text("\n".join([*lines, f"{_MARK};", ""]))
    with _tapped(url) as (parts, tap), session.open() as stdin:
        argv = ["mariadb", "--no-defaults", "--skip-ssl", "--force", "--batch"]
        argv += ["--default-character-set=utf8mb4", f"--port={tap.port}", "--host=127.0.0.1"]
        argv += [f"--user={parts.username}", parts.path.lstrip("/")]
        _run(argv, stdin=stdin.fileno(), MYSQL_PWD=parts.password or "")
    return _by_script(list(_of_mysql(bytes(tap.sent))), between="set sql_mode = default")


def _run(argv: Sequence[str], stdin: int = subprocess.DEVNULL, **environment: str) -> None:
    done = subprocess.run(
        argv,
        stdin=stdin,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **environment},
        text=True,
        check=False,
    )
    wrong = [line for line in done.stderr.splitlines() if "ERROR" in line or "error" in line]
    assert not wrong, wrong[:5]
    assert done.returncode == 0, done.stderr[-1000:]


def _by_script(sent: Sequence[str], *, between: str) -> list[list[str]]:
    """What was sent between two marks."""
    found: list[list[str]] = []
    for text in sent:
        if text == _MARK:
            found.append([])
        elif found and text != between:
            found[-1].append(text)
    return found[:-1]


def _of_postgresql(data: bytes) -> Iterator[str]:
    """The queries of a stream of messages, and the data of COPY."""
    position = int.from_bytes(data[:4], "big")
    copied = b""
    while position < len(data):
        kind, size = data[position : position + 1], int.from_bytes(data[position + 1 :][:4], "big")
        body = data[position + 5 : position + 1 + size]
        position += 1 + size
        if kind == b"d":
            copied += body
        elif kind == b"c":
            # The line that ends the data goes to the server in some versions.
            yield f"data: {copied.decode()}".removesuffix("\\.\n")
            copied = b""
        elif kind == b"Q":
            yield body.rstrip(b"\0").decode()


def _of_mysql(data: bytes) -> Iterator[str]:
    """The commands of a stream of packets."""
    position = 0
    while position < len(data):
        size, number = int.from_bytes(data[position : position + 3], "little"), data[position + 3]
        body = data[position + 4 : position + 4 + size]
        position += 4 + size
        if number == 0 and body[0] == _QUERY_OF_MYSQL:
            yield body[1:].decode()
        elif number == 0 and body[0] == _USE_OF_MYSQL:
            yield f"use {body[1:].decode()}"
