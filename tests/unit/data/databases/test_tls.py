from __future__ import annotations

import logging
import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest

from taskrunner.data.databases.mysql_tls import tls_options
from taskrunner.data.databases.properties import Options
from taskrunner.data.databases.spec import DatabaseSpec
from taskrunner.data.databases.tls import SYSTEM, Way, connect_by, ways_of
from taskrunner.errors import ErrorId, TaskError
from tests.integration.tls import certificate


def spec(
    mode: str | None = None, ca: str | None = None, *, host: str = "db.example", scheme: str = "x"
) -> DatabaseSpec:
    options = Options(ssl_mode=mode, ssl_ca=ca)
    return DatabaseSpec(
        id="Db", scheme=scheme, host=host, port=1, options=options, password="pass-word"
    )


VERIFIED = Way(mode="verify-full", ca=SYSTEM)


@pytest.mark.parametrize(
    ("given", "ways"),
    [
        (spec(), (VERIFIED, Way())),
        (spec(ca="/ca"), (Way(mode="verify-full", ca="/ca"),)),
        (spec("prefer", "/ca"), (Way(mode="verify-full", ca="/ca"),)),
        (spec("require", "/ca"), (Way(mode="verify-ca", ca="/ca"),)),
        (spec("verify-ca", "/ca"), (Way(mode="verify-ca", ca="/ca"),)),
        (spec("verify-full"), (Way(mode="verify-full"),)),
        (spec("require"), (Way(mode="require"),)),
        (spec("prefer"), (Way(mode="prefer"),)),
        (spec("disable"), (Way(mode="disable"),)),
        (spec(host="127.0.0.1"), (Way(),)),
        (spec(host="::1"), (Way(),)),
        (spec(host="localhost"), (Way(),)),
        (spec(host="10.0.0.1"), (VERIFIED, Way())),
    ],
)
def test_the_ways_that_a_definition_asks_for(given: DatabaseSpec, ways: tuple[Way, ...]) -> None:
    assert ways_of(given) == ways


def test_a_hosts_own_rules_hold_where_nothing_is_said() -> None:
    assert ways_of(spec(), is_ruled=True) == (Way(),)
    assert ways_of(spec(ca="/ca"), is_ruled=True) == (Way(mode="verify-full", ca="/ca"),)


class Server:
    """What comes of the ways, in turn: a connection, or an error."""

    def __init__(self, *outcomes: str | Exception) -> None:
        self._outcomes = list(outcomes)
        self.tried: list[Way] = []

    def connect(self, way: Way) -> str:
        self.tried.append(way)
        outcome = self._outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def warnings(caplog: pytest.LogCaptureFixture) -> Sequence[str]:
    return [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]


def test_a_certificate_that_the_system_knows_is_verified(caplog: pytest.LogCaptureFixture) -> None:
    server = Server("connected")
    assert connect_by(ways_of(spec()), server.connect, spec()) == "connected"
    assert server.tried == [VERIFIED]
    assert warnings(caplog) == []


def test_one_that_it_does_not_know_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    where = spec(host="rds.example")
    for _ in range(2):
        server = Server(OSError("certificate verify failed: pass-word"), "connected")
        assert connect_by(ways_of(where), server.connect, where) == "connected"
        assert server.tried == [VERIFIED, Way()]
    [told] = warnings(caplog)
    assert "Db" in told
    assert "not verified (certificate verify failed: " in told
    assert "Set sslrootcert (MySQL: sslCA)" in told
    assert "pass-word" not in told


def test_other_failures_are_not_tried_otherwise() -> None:
    server = Server(OSError("password authentication failed"))
    with pytest.raises(OSError, match="password"):
        connect_by(ways_of(spec()), server.connect, spec())
    assert server.tried == [VERIFIED]


@pytest.mark.parametrize(("scheme", "setting"), [("mysql", "sslCA"), ("postgresql", "sslrootcert")])
def test_what_a_ca_does_not_know_fails_and_says_what_to_set(scheme: str, setting: str) -> None:
    where = spec(ca="/ca", scheme=scheme)
    server = Server(OSError("certificate verify failed"))
    with pytest.raises(TaskError, match="the server's certificate cannot be verified") as caught:
        connect_by(ways_of(where), server.connect, where)
    assert caught.value.error_id == ErrorId.CONNECTION_FAILED
    assert f"of the authority in {setting} (RDS's are in global-bundle.pem" in str(caught.value)
    assert "for the name 'db.example'" in str(caught.value)


def test_what_else_fails_is_raised_as_it_is() -> None:
    where = spec("require")
    for outcome in (OSError("SSL is off"), OSError("refused")):
        with pytest.raises(OSError, match=str(outcome)):
            connect_by(ways_of(where), Server(outcome).connect, where)


def test_what_pymysql_is_told(tmp_path: Path) -> None:
    ca = str(certificate(tmp_path, "db.example")[0])
    assert tls_options(Way()) == tls_options(Way(mode="prefer")) == {}
    assert tls_options(Way(mode="disable")) == {"ssl_disabled": True}
    wanted = {
        Way(mode="require"): (ssl.CERT_NONE, False, False),
        Way(mode="verify-ca", ca=ca): (ssl.CERT_REQUIRED, False, True),
        Way(mode="verify-full", ca=ca): (ssl.CERT_REQUIRED, True, True),
        VERIFIED: (ssl.CERT_REQUIRED, True, False),
    }
    for way, (mode, names, is_own) in wanted.items():
        context = tls_options(way)["ssl"]
        assert (context.verify_mode, context.check_hostname) == (mode, names)
        trusted = [dict(rdn[0] for rdn in c["subject"]) for c in context.get_ca_certs()]
        assert ({"commonName": "db.example"} in trusted) == is_own
