from __future__ import annotations

import resource

import pytest

from taskrunner.service.connections import Connections, most_connections, origin_of


class Connection:
    def __init__(self, places: Connections, origin: str) -> None:
        self.places, self.origin, self.closed = places, origin, False
        places.enter(self, origin)

    def close_now(self) -> None:
        self.closed = True
        self.places.leave(self, self.origin)


def test_while_there_is_room_nobody_is_closed() -> None:
    places = Connections(3)
    held = [Connection(places, "a") for _ in range(2)]

    assert places.has_room()
    assert not places.make_room()
    assert [one.closed for one in held] == [False, False]


def test_the_one_that_was_idle_longest_goes() -> None:
    places = Connections(3)
    first, second, third = [Connection(places, "a") for _ in range(3)]
    places.busy(first, "a")
    places.idle(first, "a")

    assert places.has_room()
    assert places.make_room()
    assert [one.closed for one in (first, second, third)] == [False, True, False]
    assert places.taken == 2


def test_it_is_one_of_the_address_with_most_idle_connections() -> None:
    places = Connections(4)
    oldest = Connection(places, "alone")
    crowd = [Connection(places, "crowd") for _ in range(3)]

    assert places.make_room()
    assert not oldest.closed
    assert [one.closed for one in crowd] == [True, False, False]


def test_who_is_at_work_is_not_closed() -> None:
    places = Connections(2)
    held = [Connection(places, "a") for _ in range(2)]
    for one in held:
        places.busy(one, "a")

    assert not places.has_room()
    assert not places.close_one()
    assert [one.closed for one in held] == [False, False]


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("@unix", "@unix"),
    ],
)
def test_a_network_of_ipv6_is_one_origin(address: str, origin: str) -> None:
    assert origin_of(address) == origin


@pytest.mark.parametrize(("limit", "most"), [(1024, 896), (256, 128), (100, 16), (8192, 7168)])
def test_connections_leave_descriptors_for_the_rest(limit: int, most: int) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, before[1]))
    try:
        assert most_connections() == most
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
