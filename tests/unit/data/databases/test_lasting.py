from __future__ import annotations

import socket

import pytest

from taskrunner.data.databases.lasting import keep_alive, lasting_settings


def test_only_what_a_server_knows_is_set() -> None:
    assert lasting_settings(80002) == {}  # Redshift's
    assert "idle_session_timeout" not in lasting_settings(130000)
    assert lasting_settings(150000)["idle_session_timeout"] == "0"
    assert lasting_settings(96000)["tcp_keepalives_idle"] == "60"


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
def test_connections_over_a_network_are_tried(family: socket.AddressFamily) -> None:
    with socket.socket(family) as made:
        keep_alive(made)
        alive = made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert bool(alive) == (family == socket.AF_INET)
