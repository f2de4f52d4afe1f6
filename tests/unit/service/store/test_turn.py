from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from taskrunner.service.store.turn import Turn

PATIENCE_S = 30.0
PAUSE = threading.Event()


def test_one_has_the_turn_at_a_time() -> None:
    turn, inside, most = Turn(), 0, 0

    def write() -> None:
        nonlocal inside, most
        for _ in range(200):
            assert turn.acquire(PATIENCE_S)
            inside += 1
            most = max(most, inside)
            inside -= 1
            turn.release()

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(write) for _ in range(4)]:
            done.result()
    assert most == 1


def test_who_waits_too_long_is_told() -> None:
    turn = Turn()
    assert turn.acquire(PATIENCE_S)
    assert not turn.acquire(0.001)
    turn.release()
    assert turn.acquire(PATIENCE_S)


def test_who_gives_way_lets_another_have_a_turn() -> None:
    turn, order = Turn(), list[str]()
    waits = threading.Event()

    def other() -> None:
        waits.set()
        assert turn.acquire(PATIENCE_S)
        order.append("other")
        turn.release()

    assert turn.acquire(PATIENCE_S)
    thread = threading.Thread(target=other)
    thread.start()
    assert waits.wait(PATIENCE_S)
    while not turn.waiting:
        PAUSE.wait(0.001)
    turn.release()
    turn.give_way(PATIENCE_S)
    order.append("who gave way")
    thread.join()
    assert order == ["other", "who gave way"]


def test_giving_way_to_nobody_is_done_at_once() -> None:
    turn = Turn()
    turn.give_way(PATIENCE_S)
    assert turn.acquire(PATIENCE_S)
