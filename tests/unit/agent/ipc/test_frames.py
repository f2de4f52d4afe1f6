from __future__ import annotations

import os
import socket
import threading

from taskrunner.agent.ipc import frames


def test_messages_arrive_whole_and_in_order_with_their_descriptor() -> None:
    ours, theirs = socket.socketpair()
    reader, writer = os.pipe()
    large = os.urandom(3_000_000)

    def send() -> None:
        frames.send(ours, {"n": 1}, large)
        frames.send(ours, {"n": 2}, b"", writer)
        ours.close()

    sender = threading.Thread(target=send)
    sender.start()
    with theirs:
        first, second = frames.receive(theirs), frames.receive(theirs)
        assert first == frames.Frame({"n": 1}, large)
        assert second is not None
        assert second.descriptor is not None
        os.write(second.descriptor, b"through")
        assert os.read(reader, 100) == b"through"
        assert frames.receive(theirs) is None
        os.close(second.descriptor)
    sender.join()
    os.close(reader)
    os.close(writer)


def test_a_message_cut_short_is_the_end() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        ours.sendall(b"\0\0\0\x10\0\0\0\0{}")
        ours.close()
        assert frames.receive(theirs) is None
