"""Work inside a network namespace of its own: nothing of this host's network is seen or touched."""

from __future__ import annotations

import ctypes
import os
import queue
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import pytest

__all__ = ["METADATA", "Cable", "cable", "in_namespace"]

T = TypeVar("T")

#: EC2's metadata addresses, which are local ones in the namespace.
METADATA = ("169.254.169.254", "fd00:ec2::254")
_CLONE_NEWNET = 0x40000000
_PATIENCE_S = 30.0


def in_namespace(work: Callable[[], T]) -> T:
    """The result of `work`, run in a thread in a new namespace; what it starts is there as well.

    The namespace goes with its last process. Skips the test where there can be none.
    """
    if os.geteuid() != 0:
        pytest.skip("a network namespace takes root")
    if shutil.which("ip") is None:
        pytest.skip("a network namespace takes `ip` (package iproute2)")
    results: list[T] = []
    errors: list[BaseException] = []

    def body() -> None:
        try:
            _enter()
            results.append(work())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def _enter() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) != 0:
        pytest.skip(f"no network namespace here: {os.strerror(ctypes.get_errno())}")
    for command in (
        "link set lo up",
        f"addr add {METADATA[0]}/32 dev lo",
        f"-6 addr add {METADATA[1]}/128 dev lo nodad",
    ):
        # Without IPv6 the tests go on; they use the first address.
        subprocess.run(["ip", *command.split()], check=not command.startswith("-6"))


class Cable:
    """A network of two namespaces, this thread's and another; made by `cable`."""

    #: Addresses on this side, and on the other.
    here, there = "10.77.0.1", "10.77.0.2"

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace

    def pull(self) -> None:
        """Cut it: packets get lost both ways, and nobody is told."""
        self._over_there("link set far down")

    def plug(self) -> None:
        """Heal it."""
        self._over_there("link set far up")

    def lay(self) -> None:
        run = subprocess.run
        make = f"link add near type veth peer name far netns {self._namespace}"
        for command in (make, f"addr add {self.here}/24 dev near", "link set near up"):
            run(["ip", *command.split()], check=True)
        self._over_there(f"addr add {self.there}/24 dev far")
        self.plug()

    def _over_there(self, command: str) -> None:
        enter = ["nsenter", f"--net={self._namespace}", "ip"]
        subprocess.run([*enter, *command.split()], check=True)


@contextmanager
def cable() -> Iterator[tuple[Cable, Callable[[Callable[[], T]], T]]]:
    """A cable from the namespace of this thread to a new one, and how to do something there."""
    jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
    places: queue.SimpleQueue[str] = queue.SimpleQueue()

    def body() -> None:
        _enter()
        places.put(f"/proc/{os.getpid()}/task/{threading.get_native_id()}/ns/net")
        while (job := jobs.get()) is not None:
            job()

    def over_there(work: Callable[[], T]) -> T:
        results: queue.SimpleQueue[T] = queue.SimpleQueue()
        jobs.put(lambda: results.put(work()))
        return results.get(timeout=_PATIENCE_S)

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    laid = Cable(places.get(timeout=_PATIENCE_S))
    try:
        laid.lay()
        yield laid, over_there
    finally:
        jobs.put(None)
        thread.join(_PATIENCE_S)
