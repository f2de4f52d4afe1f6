"""T22: what docs/operate.md says of nginx in front of the service, by that very text."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from taskrunner.clock import SystemClock
from taskrunner.model.document import Field, PipelineObject
from taskrunner.wire.client import Client
from taskrunner.wire.endpoint import Endpoint
from taskrunner.wire.inputs import CreatePipelineInput, PutPipelineDefinitionInput
from taskrunner.wire.keys import FixedKeys
from taskrunner.wire.runner import RunnerApi
from taskrunner.wire.signing import SigV4Signer
from taskrunner.wire.transport import TransportSettings, Urllib3Transport
from tests.chaos.scale import is_full
from tests.integration.agent_harness import wait_for
from tests.integration.crowd import ADMIN, KEY_FILE
from tests.integration.tls import certificate

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operate.md"
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin")
NAME = "localhost"

pytestmark = pytest.mark.skipif(NGINX is None, reason="needs nginx, which is not installed")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


def documented(service: int, port: int, pem: Path, key: Path) -> str:
    """The page's text for nginx, with the names and ports of this test."""
    (text,) = re.findall(r"```nginx\n(.*?)```", PAGE.read_text(), re.DOTALL)
    for old, new in (
        ("127.0.0.1:8484", f"127.0.0.1:{service}"),
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("/etc/ssl/dp.example.com.pem", str(pem)),
        ("/etc/ssl/private/dp.example.com.key", str(key)),
        ("dp.example.com", NAME),
    ):
        assert old in text, old
        text = text.replace(old, new)
    return str(text)


@contextmanager
def service(folder: Path) -> Iterator[int]:
    keys = folder / "keys.toml"
    keys.touch(0o600)
    keys.write_text(KEY_FILE)
    argv = [sys.executable, "-m", "taskrunner", "serve", "--listen", "127.0.0.1:0"]
    argv += ["--alarms", "log", "--host-name", NAME, "--credentials-file", str(keys)]
    argv += ["--database-url", f"sqlite:///{folder / 'service.db'}"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "http://" in line
        try:
            yield int(line.rpartition(":")[2])
        finally:
            process.terminate()


@contextmanager
def nginx(folder: Path, http: str, port: int) -> Iterator[None]:
    places = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{name}_temp_path {folder}/{name};\n" for name in places)
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log {folder}/log;\n"
        f"events {{ }}\nhttp {{\naccess_log off;\n{temporary}{http}}}\n"
    )
    assert NGINX is not None
    argv = [NGINX, "-c", str(config), "-p", str(folder), "-e", str(folder / "log")]
    with subprocess.Popen(argv) as process:
        try:
            wait_for("nginx", lambda: answers(port))
            yield
        finally:
            process.terminate()


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    """A client that trusts the certificate, and signs what it sends to the proxy's name."""
    pem, key = certificate(tmp_path, NAME)
    port = free_port()
    with service(tmp_path) as served, nginx(tmp_path, documented(served, port, pem, key), port):
        endpoint = Endpoint(scheme="https", host=NAME, port=port)
        clock = SystemClock()
        transport = Urllib3Transport(endpoint, clock, TransportSettings(ca_bundle=pem))
        signer = SigV4Signer(FixedKeys(ADMIN), "us-east-1", clock)
        yield Client(endpoint, transport, clock=clock, signer=signer)
        transport.close()


def test_signed_calls_pass_and_large_ones_too(client: Client) -> None:
    made = client.call(CreatePipelineInput(name="n", unique_id="u"))
    objects = tuple(
        PipelineObject(id=f"A{n}", name=f"A{n}", fields=(Field("command", "x" * 10_000),))
        for n in range(400)
    )
    # Too much for AWS's bounds, which it is the service that knows.
    reply = client.call(
        PutPipelineDefinitionInput(pipeline_id=made.pipeline_id, pipeline_objects=objects)
    )
    assert reply.errored
    assert reply.validation_errors


@pytest.mark.skipif(not is_full(), reason="takes as long as a poll is held: TASKRUNNER_CHAOS=full")
def test_a_poll_is_held_as_long_as_the_service_holds_it(client: Client) -> None:
    """Which is longer than nginx waits by itself."""
    assert RunnerApi(client.call).poll_for_task(worker_group="g", hostname="h") is None
