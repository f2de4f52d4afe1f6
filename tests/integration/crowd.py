"""Thousands of connections to a service on loopback, and signed requests as bytes."""

from __future__ import annotations

import json
import resource
import select
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from taskrunner.clock import SystemClock
from taskrunner.wire.http import HttpRequest
from taskrunner.wire.keys import FixedKeys, Keys
from taskrunner.wire.signing import SigV4Signer

RUNNER = Keys("AKRUNNER", "runner-secret-runner-secret")
ADMIN = Keys("AKADMIN", "admin-secret-admin-secret")
KEY_FILE = "\n".join(
    f'[[keys]]\nid = "{keys.access_key}"\nsecret = "{keys.secret_key}"\nrole = "admin"\n'
    for keys in (RUNNER, ADMIN)
)
#: The address of the crowd, and that of a host which is no part of it.
CROWD, ELSEWHERE = "127.0.0.1", "127.0.0.2"
#: What the service and the crowd need together, and some.
DESCRIPTORS = 4_500
START_S = 60
#: How long a newcomer waits for an answer that is to come.
PATIENCE_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowded:
    """A service with few descriptors, and what it may be asked."""

    process: subprocess.Popen[str]
    url: str
    log: Path

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        return (parts.hostname or "", parts.port or 0)

    def connect(self, source: str = CROWD, patience_s: float = PATIENCE_S) -> socket.socket:
        return socket.create_connection(
            self.address, timeout=patience_s, source_address=(source, 0)
        )

    def request(self, operation: str, body: object, keys: Keys) -> bytes:
        """A whole request."""
        raw = json.dumps(body).encode()
        headers = {
            "host": f"{self.address[0]}:{self.address[1]}",
            "content-type": "application/x-amz-json-1.1",
            "x-amz-target": f"DataPipeline.{operation}",
            "content-length": str(len(raw)),
        }
        signer = SigV4Signer(FixedKeys(keys), "us-east-1", SystemClock())
        signed = signer.sign(HttpRequest(headers=headers, body=raw))
        lines = "".join(f"{name}: {value}\r\n" for name, value in signed.items())
        return f"POST / HTTP/1.1\r\n{lines}\r\n".encode() + raw

    def memory(self) -> int:
        """Bytes that the service holds."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = [line for line in status.splitlines() if line.startswith("VmRSS")]
        return int(line.split()[1]) * 1024

    def asked(
        self, keys: Keys = ADMIN, *, source: str = CROWD, patience_s: float = PATIENCE_S
    ) -> float:
        """How long a newcomer waits for an answer, in seconds."""
        request = self.request("ListPipelines", {}, keys)
        begun = time.monotonic()
        with self.connect(source, patience_s) as sock:
            sock.sendall(request)
            reply = sock.recv(4096)
        assert reply.startswith(b"HTTP/1.1 200 "), reply[:300]
        return time.monotonic() - begun


@contextmanager
def crowded(folder: Path, *, program: Sequence[str] = ("-m", "taskrunner")) -> Iterator[Crowded]:
    """`taskrunner serve` with 1,024 descriptors, and a log of no more than 16 MB."""
    keys, log = folder / "keys.toml", folder / "serve.log"
    keys.touch(0o600)
    keys.write_text(KEY_FILE)
    argv = ["prlimit", "--nofile=1024:1024", f"--fsize={16 * 1024 * 1024}"]
    argv += [sys.executable, *program, "serve", "--listen", "127.0.0.1:0", "--alarms", "log"]
    argv += ["--database-url", f"sqlite:///{folder / 'service.db'}"]
    argv += ["--credentials-file", str(keys)]
    with (
        log.open("ab") as stderr,
        subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=stderr, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert "http://" in line, log.read_text()
            yield Crowded(process=process, url=line.split()[-1], log=log)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def many_descriptors() -> Iterator[None]:
    """As many for this process as the crowd takes."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(DESCRIPTORS, before[1]), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@contextmanager
def crowd(service: Crowded, sent: Sequence[bytes]) -> Iterator[list[socket.socket]]:
    """Connections on each of which something has been sent, none of them read."""
    connections: list[socket.socket] = []
    try:
        for data in sent:
            sock = service.connect()
            connections.append(sock)
            with suppress(ConnectionError):  # the service may have closed it already
                sock.sendall(data)
        yield connections
    finally:
        for sock in connections:
            sock.close()


@contextmanager
def newcomers(service: Crowded, source: str = ELSEWHERE) -> Iterator[list[float]]:
    """Newcomers from another address, one after the other; how long each has waited."""
    waited: list[float] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            waited.append(service.asked(source=source))
            over.wait(0.01)

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask)
        try:
            yield waited
        finally:
            over.set()
        asking.result()


def slow_request(service: Crowded) -> bytes:
    """Headers that could be a key's, of a body that never ends."""
    signed = service.request("PutPipelineDefinition", {"x": uuid.uuid4().hex}, RUNNER)
    head = signed.partition(b"\r\n\r\n")[0]
    lines = [line for line in head.split(b"\r\n") if not line.startswith(b"content-length")]
    return b"\r\n".join([*lines, b"content-length: 4000000", b"", b"x" * 20_000])


def strangers(service: Crowded, count: int) -> list[bytes]:
    """What silent, half-headed and slow clients have sent."""
    kinds = [b"", b"POST / HTTP/1.1\r\nhost: x\r\nx-", slow_request(service), b"garbage\r\n\r\n"]
    return [kinds[number % len(kinds)] for number in range(count)]


def polls(service: Crowded, count: int) -> list[bytes]:
    """Polls of one key."""
    return [
        service.request("PollForTask", {"workerGroup": "g", "hostname": str(number)}, RUNNER)
        for number in range(count)
    ]


def closed(connections: Sequence[socket.socket]) -> int:
    """How many of them the service has closed, or answered."""
    poll = select.poll()
    for sock in connections:
        poll.register(sock, select.POLLIN)
    return len(poll.poll(0))
