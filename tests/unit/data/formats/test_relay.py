from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from taskrunner.data.formats.relay import Pipe, ahead, behind

PIECES = [bytes([n]) * 1000 for n in range(100)]


def test_pieces_come_in_order_from_another_thread() -> None:
    threads = set()

    def made() -> Iterator[bytes]:
        for piece in PIECES:
            threads.add(threading.current_thread())
            yield piece

    with ahead(made(), name="making") as pieces:
        assert list(pieces) == PIECES
    (thread,) = threads
    assert thread.name == "making"
    assert not thread.is_alive()


def test_pieces_go_in_order_to_another_thread() -> None:
    taken: list[bytes] = []
    with behind(taken.extend, name="taking") as put:
        for piece in PIECES:
            put(piece)
    assert taken == PIECES


def test_an_error_of_who_makes_is_raised_where_pieces_are_taken() -> None:
    def made() -> Iterator[bytes]:
        yield b"first"
        raise ValueError("broken")

    with ahead(made(), name="making") as pieces:
        assert next(pieces) == b"first"
        with pytest.raises(ValueError, match="broken"):
            next(pieces)


def test_an_error_of_who_takes_is_raised_where_pieces_are_put() -> None:
    def take(pieces: Iterator[bytes]) -> None:
        next(pieces)
        raise ValueError("broken")

    def put_for_ever() -> None:
        with behind(take, name="taking") as put:
            while True:
                put(bytes(100_000))

    with pytest.raises(ValueError, match="broken"):
        put_for_ever()


def test_an_error_of_who_takes_is_raised_at_the_end_too() -> None:
    def take(pieces: Iterator[bytes]) -> None:
        assert list(pieces) == [b"all"]
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"), behind(take, name="taking") as put:
        put(b"all")


def test_an_error_of_who_puts_ends_who_takes_before_its_end() -> None:
    """What was given so far must not be taken for the whole."""
    seen: list[bytes] = []

    def take(pieces: Iterator[bytes]) -> None:
        seen.extend(pieces)
        seen.append(b"the end")

    def give() -> None:
        with behind(take, name="taking") as put:
            put(b"half")
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        give()
    assert b"the end" not in seen


def test_who_makes_is_ended_when_no_more_is_wanted() -> None:
    def made() -> Iterator[bytes]:
        while True:
            yield bytes(100_000)

    with ahead(made(), name="making") as pieces:
        next(pieces)
    assert "making" not in {thread.name for thread in threading.enumerate()}


def test_no_more_waits_than_there_is_room_for() -> None:
    pipe = Pipe[bytes](most=10)
    made = []

    def put() -> None:
        for number in range(5):
            made.append(number)
            pipe.put(bytes(6))
        pipe.end()

    thread = threading.Thread(target=put)
    thread.start()
    pieces = iter(pipe)
    # The third has to wait until the first is taken.
    assert next(pieces) == bytes(6)
    assert made in ([0], [0, 1], [0, 1, 2])
    assert len(list(pieces)) == 4
    thread.join()
