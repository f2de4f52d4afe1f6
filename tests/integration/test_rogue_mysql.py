"""T9: a MySQL server that asks its client for a file of the client's host gets nothing."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskrunner.data.databases.registry import open_database
from taskrunner.data.settings import DataSettings
from taskrunner.errors import TaskError
from taskrunner.testing import new_object, new_task

_OK = b"\x00\x00\x00\x02\x00\x00\x00"
#: To a statement that is to be prepared: its number, no columns, no parameters.
_PREPARED = b"\x00\x01\x00\x00\x00" + bytes(7)
_QUERY, _PREPARE = b"\x03", b"\x16"


class Rogue:
    """Lets anybody in, and answers a query with the wish for a file."""

    def __init__(self, wanted: Path, *, polite_queries: int) -> None:
        self.wanted = wanted
        #: How many queries are answered as they should be, before that.
        self.polite_queries = polite_queries
        self.asked = False
        self.heard = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        with connection:
            connection.settimeout(30)
            connection.sendall(_packet(0, _greeting()))
            sequence, _login = self._read(connection)
            connection.sendall(_packet(sequence + 1, _OK))
            while (received := self._read(connection))[1]:
                sequence, command = received
                if self.asked or not command.startswith((_QUERY, _PREPARE)):
                    continue  # whatever comes after the wish is only listened to
                if self.polite_queries > 0:
                    self.polite_queries -= 1
                    answer = _PREPARED if command.startswith(_PREPARE) else _OK
                    connection.sendall(_packet(sequence + 1, answer))
                else:
                    self.asked = True
                    connection.sendall(_packet(sequence + 1, b"\xfb" + bytes(self.wanted)))
                    connection.shutdown(socket.SHUT_WR)  # or the client waits for more

    def _read(self, connection: socket.socket) -> tuple[int, bytes]:
        head = self._exactly(connection, 4)
        if len(head) < 4:
            return 0, b""
        size = int.from_bytes(head[:3], "little")
        return head[3], self._exactly(connection, size)

    def _exactly(self, connection: socket.socket, size: int) -> bytes:
        data = b""
        while len(data) < size:
            try:
                piece = connection.recv(size - len(data))
            except OSError:
                piece = b""
            if not piece:
                break
            data += piece
        self.heard += data
        return data


def _packet(sequence: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "little") + bytes([sequence]) + payload


def _greeting() -> bytes:
    able = 0xFFFFFFFF & ~0x0800 & ~0x20  # all but TLS and compression
    return b"".join(
        [
            b"\x0a8.0.30\0",
            struct.pack("<I", 1) + b"12345678\0",
            struct.pack("<HBHH", able & 0xFFFF, 255, 2, able >> 16),
            bytes([21]) + bytes(10) + b"123456789012\0" + b"mysql_native_password\0",
        ]
    )


@pytest.fixture(params=[0, 1, 2, 3, 4])
def rogue(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Rogue]:
    secret = tmp_path / "secret"
    secret.write_text("of this host alone")
    server = Rogue(secret, polite_queries=request.param)
    yield server
    server.close()


@pytest.mark.parametrize("properties", [[], ["useSSL=false"], ["allowPublicKeyRetrieval=true"]])
def test_a_server_that_wants_a_file_gets_none(rogue: Rogue, properties: list[str]) -> None:
    fields = {
        "connectionString": f"jdbc:mysql://127.0.0.1:{rogue.port}/db",
        "username": "u",
        "*password": "p",
        "jdbcProperties": properties,
    }
    task = new_task("SqlActivity", {}, new_object("Db", "JdbcDatabase", fields))

    def work() -> None:
        with open_database(task.object("Db"), DataSettings()) as database:
            for _ in range(5):
                with database.stream("SELECT 1") as result:
                    list(result.batches)

    with pytest.raises(TaskError):
        work()
    assert rogue.asked
    assert b"of this host alone" not in rogue.heard


@pytest.mark.parametrize(
    "name",
    ["allowLoadLocalInfile", "allowLoadLocalInfileInPath", "AllowLoadLocalInfile", "local_infile"],
)
def test_no_property_changes_that(name: str) -> None:
    address = "jdbc:mysql://127.0.0.1:1/db"
    for fields in (
        {"connectionString": f"{address}?{name}=true"},
        {"connectionString": address, "jdbcProperties": f"{name}=true"},
    ):
        task = new_task("SqlActivity", {}, new_object("Db", "JdbcDatabase", fields))
        with pytest.raises(TaskError, match="is not allowed"):
            open_database(task.object("Db"), DataSettings())
