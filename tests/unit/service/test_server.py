from __future__ import annotations

import pytest

from taskrunner.errors import TaskrunnerError, UsageError
from taskrunner.service.server import Address, bind, url_of


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:8484", "127.0.0.1", 8484),
        ("localhost:0", "localhost", 0),
        ("[::1]:80", "::1", 80),
        (":8484", "0.0.0.0", 8484),
    ],
)
def test_addresses_are_read(text: str, host: str, port: int) -> None:
    assert Address.parse(text) == Address(host=host, port=port)


@pytest.mark.parametrize("text", ["", "8484", "localhost", "localhost:", "h:99999", "h:-1", "h:x"])
def test_what_is_no_address_is_said(text: str) -> None:
    with pytest.raises(UsageError, match="HOST:PORT"):
        Address.parse(text)


def test_a_port_in_use_is_said() -> None:
    with bind(Address(host="127.0.0.1", port=0)) as taken:
        port = taken.getsockname()[1]
        assert url_of(taken) == f"http://127.0.0.1:{port}"
        with pytest.raises(TaskrunnerError, match=f"127.0.0.1:{port}: the port is in use"):
            bind(Address(host="127.0.0.1", port=port))


def test_an_address_of_another_host_is_said() -> None:
    with pytest.raises(TaskrunnerError, match=r"192\.0\.2\.1:1: this host has no such address"):
        bind(Address(host="192.0.2.1", port=1))
