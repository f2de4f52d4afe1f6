from __future__ import annotations

import socket
import threading
import urllib.error
import urllib.request

import pytest

from taskrunner.agent.operations.health import HealthServer, Probes
from taskrunner.agent.operations.status import Health
from taskrunner.config.kinds import Address
from taskrunner.errors import ConfigError


class Served:
    def __init__(self) -> None:
        self.live = self.ready = Health(True)
        self.server = HealthServer(
            Address("127.0.0.1", 0),
            Probes(
                live=lambda: self.live, ready=lambda: self.ready, metrics=lambda: "a_metric 1\n"
            ),
        )
        threading.Thread(target=self.server.loop, daemon=True).start()

    def get(self, path: str, method: str = "GET") -> tuple[int, str, str]:
        request = urllib.request.Request(f"http://{self.server.address}{path}", method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=10) as reply:
                return reply.status, reply.headers["Content-Type"], reply.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers["Content-Type"], error.read().decode()


@pytest.fixture
def served() -> Served:
    # Not closed: its thread waits in it until the process ends.
    return Served()


def test_probes_answer_200_or_503_with_the_reason(served: Served) -> None:
    assert served.get("/livez")[::2] == (200, "ok\n")
    served.live = Health(False, "a poll has outlived its deadline")
    served.ready = Health(False, "paused by operator: disks")
    assert served.get("/livez?verbose")[::2] == (503, "a poll has outlived its deadline\n")
    assert served.get("/readyz")[::2] == (503, "paused by operator: disks\n")


def test_metrics_come_in_prometheus_form(served: Served) -> None:
    status, kind, text = served.get("/metrics")
    assert (status, text) == (200, "a_metric 1\n")
    assert kind.startswith("text/plain; version=0.0.4")
    assert served.get("/metrics", "HEAD")[::2] == (200, "")


def test_other_paths_and_methods_are_refused(served: Served) -> None:
    assert served.get("/")[0] == 404
    assert "/livez /readyz /metrics" in served.get("/")[2]
    assert served.get("/livez", "POST")[0] == 501


def test_nonsense_and_silence_do_not_end_it(served: Served) -> None:
    for data in (b"\x00\xff\r\n\r\n", b"GET /livez HTTP/1.1\r\n"):
        with socket.create_connection(served.server.address, timeout=10) as sock:
            sock.sendall(data)
    assert served.get("/livez")[0] == 200


def test_a_port_in_use_is_named(served: Served) -> None:
    with pytest.raises(ConfigError, match=r"--health-listen 127\.0\.0\.1:\d+: cannot listen"):
        HealthServer(
            served.server.address,
            Probes(live=lambda: served.live, ready=lambda: served.live, metrics=lambda: ""),
        )
