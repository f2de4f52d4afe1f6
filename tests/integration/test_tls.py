"""A service under a private certificate authority: trusted when it is named, refused when not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.agent_harness import PATIENCE_S, wait_for
from tests.integration.small_agent import small_agent
from tests.integration.tls import tls_service

KEYS = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@pytest.mark.parametrize("by_flag", [True, False])
def test_an_agent_trusts_the_authority_that_it_is_given(tmp_path: Path, by_flag: bool) -> None:
    with tls_service(tmp_path, "localhost", "127.0.0.1") as (service, ca):
        options = ["--worker-group", "wg", "--endpoint", f"https://localhost:{service.port}"]
        environ = dict(KEYS)
        if by_flag:
            options += ["--ca-bundle", str(ca)]
        else:
            environ["AWS_CA_BUNDLE"] = str(ca)
        with small_agent(tmp_path / "agent", *options, **environ) as agent:
            assert service.asked.wait(PATIENCE_S), agent.log


def test_without_it_nothing_is_sent_and_the_agent_says_why(tmp_path: Path) -> None:
    with tls_service(tmp_path, "localhost") as (service, _ca):
        options = ["--worker-group", "wg", "--endpoint", f"https://localhost:{service.port}"]
        with small_agent(tmp_path / "agent", *options, **KEYS) as agent:
            wait_for("the refusal", lambda: "TLS failed" in agent.log)
            assert "certificate verify failed" in agent.log
            assert service.operations == []


def test_a_certificate_of_another_name_is_refused(tmp_path: Path) -> None:
    with tls_service(tmp_path, "other.example") as (service, ca):
        options = ["--worker-group", "wg", "--endpoint", f"https://localhost:{service.port}"]
        options += ["--ca-bundle", str(ca)]
        with small_agent(tmp_path / "agent", *options, **KEYS) as agent:
            wait_for("the refusal", lambda: "TLS failed" in agent.log)
            assert "Hostname mismatch" in agent.log
            assert service.operations == []


def test_a_bundle_that_is_none_ends_the_agent_at_once(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text("nothing of the kind")
    options = ["--worker-group", "wg", "--endpoint", "https://localhost:1"]
    with small_agent(tmp_path / "a", *options, "--ca-bundle", str(bundle), **KEYS) as agent:
        assert agent.wait() == 2
        assert f"the certificates in {bundle} cannot be used" in agent.log
        assert "Traceback" not in agent.log
