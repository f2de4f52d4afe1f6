from __future__ import annotations

import pytest

from taskrunner.service.hosts import allows

NAMES = frozenset({"pipelines.example"})


@pytest.mark.parametrize(
    "header",
    [
        "localhost",
        "LOCALHOST:8484",
        "127.0.0.1",
        "127.0.0.1:8484",
        "127.8.8.8:1",
        "[::1]:8484",
        "[::1]",
        "10.1.2.3:8484",  # an address cannot be rebound
        "pipelines.example",
        "Pipelines.Example:443",
        "pipelines.example.",
    ],
)
def test_loopback_addresses_and_configured_names_are_answered(header: str) -> None:
    assert allows(header, NAMES)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "evil.example",
        "pipelines.example.evil.example",
        "evilpipelines.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "127.0.0.1:80@evil.example",
        "2130706433",
        "0x7f.1",
        "[::1",
        "[::1]x",
        "localhost:80:80",
        "evil.example#localhost",
        ":8484",
    ],
)
def test_everything_else_is_not(header: str) -> None:
    assert not allows(header, NAMES)
