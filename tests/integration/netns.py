"""Work inside a network namespace of its own: nothing of this host's network is seen or touched."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import threading
from collections.abc import Callable
from typing import TypeVar

import pytest

__all__ = ["METADATA", "in_namespace"]

T = TypeVar("T")

#: EC2's metadata addresses, which are local ones in the namespace.
METADATA = ("169.254.169.254", "fd00:ec2::254")
_CLONE_NEWNET = 0x40000000


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
