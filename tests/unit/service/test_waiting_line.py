from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from taskrunner.service.connections import Connections
from taskrunner.service.waiting_line import WaitingLine


@pytest.fixture
def places() -> Connections:
    return Connections(100)


@pytest.fixture
def line(places: Connections) -> Iterator[WaitingLine]:
    line = WaitingLine(places)
    yield line
    line.close()


def enter(line: WaitingLine, origin: str, count: int) -> list[socket.socket]:
    socks = [socket.socket() for _ in range(count)]
    for sock in socks:
        line.enter(sock, origin)
    return socks


def taken(line: WaitingLine, count: int) -> list[socket.socket]:
    found = [line.next()[0] for _ in range(count)]
    for sock in found:
        sock.close()
    return found


def test_the_newest_comes_first_and_now_and_then_the_oldest(line: WaitingLine) -> None:
    a, b, c, d, e, f = enter(line, "x", 6)

    assert taken(line, 6) == [f, e, d, a, c, b]
    assert not line


def test_a_new_address_does_not_wait_behind_a_crowd(line: WaitingLine) -> None:
    crowd = enter(line, "crowd", 50)
    first = taken(line, 1)
    (alone,) = enter(line, "alone", 1)

    assert taken(line, 2) == [alone, crowd[48]]
    assert first == [crowd[49]]


def test_addresses_take_turns(line: WaitingLine) -> None:
    enter(line, "a", 3)
    enter(line, "b", 3)
    origins = []
    while line:
        sock, origin = line.next()
        sock.close()
        origins.append(origin)

    assert origins == ["b", "a"] * 3


def test_who_waits_has_a_place_and_can_be_closed_for_another(
    places: Connections, line: WaitingLine
) -> None:
    places.most = 4
    old, new = enter(line, "crowd", 2)
    enter(line, "other", 2)

    assert places.taken == 4
    assert places.make_room()
    assert places.taken == 3
    assert old.fileno() == -1
    assert new.fileno() != -1
    taken(line, 3)
    assert places.taken == 0


def test_at_the_end_all_are_closed(places: Connections, line: WaitingLine) -> None:
    socks = [*enter(line, "a", 3), *enter(line, "b", 1)]
    line.close()

    assert [sock.fileno() for sock in socks] == [-1] * 4
    assert (places.taken, bool(line)) == (0, False)
