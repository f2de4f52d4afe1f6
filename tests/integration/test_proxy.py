"""The way to the service through a proxy that wants a login, by flags and by environment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.agent_harness import PATIENCE_S, wait_for
from tests.integration.connect_proxy import ConnectProxy, connect_proxy
from tests.integration.small_agent import small_agent
from tests.integration.tls import TlsService, tls_service

KEYS = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_EC2_METADATA_DISABLED": "true",
}
NAME = "datapipeline.private.example"
LOGIN = "me:p@ss:word/?#"
ESCAPED = "me:p%40ss%3Aword%2F%3F%23"


class Bench:
    def __init__(self, service: TlsService, proxy: ConnectProxy, ca: Path) -> None:
        self.service, self.proxy = service, proxy
        self.options = ["--worker-group", "wg", "--endpoint", f"https://{NAME}"]
        self.options += ["--ca-bundle", str(ca)]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with (
        tls_service(tmp_path, NAME) as (service, ca),
        connect_proxy({f"{NAME}:443": service.port}, LOGIN) as proxy,
    ):
        yield Bench(service, proxy, ca)


def test_by_flags(bench: Bench, tmp_path: Path) -> None:
    options = ["--proxyHost", "127.0.0.1", "--proxyPort", str(bench.proxy.port)]
    options += ["--proxy-username", "me"]
    environ = {**KEYS, "TASKRUNNER_PROXY_PASSWORD": LOGIN.partition(":")[2]}
    with small_agent(tmp_path / "agent", *bench.options, *options, **environ) as agent:
        assert bench.service.asked.wait(PATIENCE_S), agent.log
    assert {status for _, status in bench.proxy.asked} == {200}
    assert LOGIN.partition(":")[2] not in agent.log


def test_by_environment(bench: Bench, tmp_path: Path) -> None:
    environ = {**KEYS, "HTTPS_PROXY": f"http://{ESCAPED}@127.0.0.1:{bench.proxy.port}"}
    with small_agent(tmp_path / "agent", *bench.options, **environ) as agent:
        assert bench.service.asked.wait(PATIENCE_S), agent.log
    assert {line for line, _ in bench.proxy.asked} <= {
        f"CONNECT {NAME}:443 HTTP/1.{minor}" for minor in (0, 1)
    }


def test_flags_win_over_the_environment(bench: Bench, tmp_path: Path) -> None:
    options = ["--proxy-host", "127.0.0.1", "--proxy-port", str(bench.proxy.port)]
    options += ["--proxy-username", "me"]
    environ = {**KEYS, "TASKRUNNER_PROXY_PASSWORD": LOGIN.partition(":")[2]}
    environ |= {"https_proxy": "http://127.0.0.1:1", "HTTPS_PROXY": "http://127.0.0.1:1"}
    with small_agent(tmp_path / "agent", *bench.options, *options, **environ) as agent:
        assert bench.service.asked.wait(PATIENCE_S), agent.log


def test_a_wrong_login_is_said_and_tried_again(bench: Bench, tmp_path: Path) -> None:
    environ = {**KEYS, "HTTPS_PROXY": f"http://me:wrong@127.0.0.1:{bench.proxy.port}"}
    with small_agent(tmp_path / "agent", *bench.options, **environ) as agent:
        wait_for("the proxy's answer", lambda: "the proxy refused" in agent.log)
        assert "407" in agent.log
        assert "wrong@" not in agent.log
        assert bench.service.operations == []
        wait_for("another try", lambda: len(bench.proxy.asked) > 2)


def test_a_proxy_that_is_not_there_is_said(bench: Bench, tmp_path: Path) -> None:
    environ = {**KEYS, "HTTPS_PROXY": "http://127.0.0.1:1"}
    with small_agent(tmp_path / "agent", *bench.options, **environ) as agent:
        wait_for("the failure", lambda: "the proxy cannot be reached" in agent.log)
