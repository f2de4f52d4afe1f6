"""A connection to one of a name's addresses, where all of them share what is left of a deadline.

The HTTP library gives each address the whole time again: five that are silent take five times as
long as the call was to last.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Sequence
from typing import Any

from urllib3.util.connection import allowed_gai_family

LookUp = Callable[[str, int, int, int], Sequence[tuple[Any, ...]]]
Make = Callable[[int, int, int], socket.socket]


def connect_to_one(
    host: str,
    port: int,
    *,
    left: Callable[[], float],
    most_s: float,
    options: Sequence[tuple[int, int, int]],
    look_up: LookUp,
    make: Make = socket.socket,
) -> socket.socket:
    """A socket that is connected, by the first address that answers; each has its share.

    `left` says before each step how many seconds remain, or raises; `most_s` is the most that one
    step gets. Raises OSError: gaierror when there is no address, else what the last one met.
    """
    addresses = look_up(host.strip("[]"), port, allowed_gai_family(), socket.SOCK_STREAM)
    failure = OSError("the name has no address")
    for behind, (family, kind, protocol, _name, address) in enumerate(addresses, -len(addresses)):
        # A share, not all of it: a silent IPv6 address must leave time to the IPv4 one.
        share_s = min(most_s, left() / -behind)
        with contextlib.ExitStack() as undo:
            sock = undo.enter_context(make(family, kind, protocol))
            try:
                for option in options:
                    sock.setsockopt(*option)
                sock.settimeout(share_s)
                sock.connect(address)
            except OSError as error:
                failure = error
                continue
            # What comes before the first byte of the request, as TLS's handshake does.
            sock.settimeout(min(most_s, left()))
            undo.pop_all()
            return sock
    raise failure
