"""Connections that last: a session may be quiet for long while the other side is waited for.

A copy reads from one place as fast as another one takes it. Where S3 throttles, or a query takes an
hour for its first row, the connection on the other side says nothing for all that time: a server
that counts seconds ends it, and a firewall that forgets silent connections loses it.
"""

from __future__ import annotations

import socket

#: How long a server is asked to wait for its client.
PATIENCE_S = 24 * 3600
#: Silent connections are tried after so long, then so often, and given up after so many tries. Less
#: than the 350 s after which AWS's gateways and load balancers forget a connection.
KEEPALIVE_IDLE_S = 60
KEEPALIVE_INTERVAL_S = 10
KEEPALIVE_COUNT = 6
#: What MySQL and MariaDB are told first: without the time-outs a server ends a session whose
#: reader, or source of rows, is slower than it.
LASTING_SESSION = (
    f"SET SESSION time_zone = '+00:00', net_write_timeout = {PATIENCE_S}, "
    f"net_read_timeout = {PATIENCE_S}, wait_timeout = {PATIENCE_S}"
    # Of MariaDB alone.
    "/*M!100300 , idle_transaction_timeout = 0, idle_readonly_transaction_timeout = 0, "
    "idle_write_transaction_timeout = 0 */"
)


def keep_alive(connection: socket.socket) -> None:
    """Have the kernel try a connection that is silent; one to a socket file needs none of it."""
    if connection.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_COUNT)


def keepalives() -> dict[str, int]:
    """The same, in the words of PostgreSQL's client library."""
    return {
        "keepalives_idle": KEEPALIVE_IDLE_S,
        "keepalives_interval": KEEPALIVE_INTERVAL_S,
        "keepalives_count": KEEPALIVE_COUNT,
    }


def lasting_settings(version: int) -> dict[str, str]:
    """What keeps a quiet session of a PostgreSQL of this version; Redshift's is too old for any."""
    known = {
        # So that it notices a host that is gone, and gives its locks back.
        "tcp_keepalives_idle": (90000, str(KEEPALIVE_IDLE_S)),
        "tcp_keepalives_interval": (90000, str(KEEPALIVE_INTERVAL_S)),
        "tcp_keepalives_count": (90000, str(KEEPALIVE_COUNT)),
        "idle_in_transaction_session_timeout": (90600, "0"),
        "idle_session_timeout": (140000, "0"),
    }
    return {name: value for name, (since, value) in known.items() if version >= since}
