from __future__ import annotations

import socket
from typing import Any, Self, cast

import pytest

from taskrunner.testing import FakeClock
from taskrunner.wire.addresses import connect_to_one

DEADLINE_S = 12.0
MOST_S = 10.0


class Line:
    """A socket of a network in which each address does as told; silence takes time."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.timeouts: list[float] = []
        self.options: list[tuple[int, ...]] = []
        self.address: object = None
        self.closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.closed = True

    def setsockopt(self, *option: int) -> None:
        self.options.append(option)

    def settimeout(self, seconds: float) -> None:
        self.timeouts.append(seconds)

    def connect(self, address: tuple[str, int]) -> None:
        self.address = address
        does = self.network.hosts[address[0]]
        if does == "silent":
            self.network.clock.advance(self.timeouts[-1])
            raise TimeoutError("timed out")
        if does == "refuses":
            raise ConnectionRefusedError(111, "Connection refused")
        self.network.clock.advance(float(does))


class Network:
    """Addresses of one name: `silent`, `refuses`, or how many seconds it takes to connect."""

    def __init__(self, *hosts: str) -> None:
        self.clock = FakeClock()
        self.hosts = {f"192.0.2.{n}": does for n, does in enumerate(hosts, 1)}
        self.lines: list[Line] = []

    def look_up(self, host: str, port: int, _family: int, kind: int) -> list[tuple[Any, ...]]:
        assert host == "service.example"
        return [(socket.AF_INET, kind, 6, "", (address, port)) for address in self.hosts]

    def make(self, *_kind: int) -> socket.socket:
        self.lines.append(Line(self))
        return cast("socket.socket", self.lines[-1])

    def left(self) -> float:
        left = DEADLINE_S - self.clock.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline is over")
        return left

    def connect(self) -> Line:
        sock = connect_to_one(
            "service.example",
            443,
            left=self.left,
            most_s=MOST_S,
            options=[(1, 9, 1)],
            look_up=self.look_up,
            make=self.make,
        )
        return cast("Line", sock)

    @property
    def given(self) -> list[float]:
        """How long each address was tried for."""
        return [line.timeouts[0] for line in self.lines]


def test_silent_addresses_share_the_deadline() -> None:
    network = Network(*["silent"] * 5)

    with pytest.raises(TimeoutError):
        network.connect()

    assert network.given == pytest.approx([DEADLINE_S / 5] * 5)
    assert all(line.closed for line in network.lines)


def test_a_silent_address_leaves_time_for_the_next() -> None:
    network = Network("silent", "3")

    line = network.connect()

    assert line.address == ("192.0.2.2", 443)
    assert [other.closed for other in network.lines] == [True, False]
    assert line.timeouts == [6, 3]  # the second one is the deadline's rest
    assert line.options == [(1, 9, 1)]


def test_what_an_address_does_not_use_is_the_next_ones() -> None:
    network = Network("refuses", "silent", "0")

    network.connect()

    assert network.given == pytest.approx([4, 6, 6])


def test_one_address_gets_no_more_than_a_step_may_take() -> None:
    network = Network("silent")

    with pytest.raises(TimeoutError):
        network.connect()

    assert network.given == [MOST_S]


def test_a_connection_that_comes_as_the_time_is_over_is_closed() -> None:
    network = Network("12")

    with pytest.raises(TimeoutError, match="deadline"):
        network.connect()

    assert network.lines[0].closed


def test_what_the_last_address_met_is_told() -> None:
    with pytest.raises(ConnectionRefusedError):
        Network("silent", "refuses").connect()


def test_a_name_without_addresses_is_told() -> None:
    with pytest.raises(OSError, match="no address"):
        Network().connect()
