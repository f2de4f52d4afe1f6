"""The service's end of the hand-out, over real sockets: pollers that go, windows that close."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from taskrunner.clock import SystemClock
from tests.acceptance.served_process import Served, served
from tests.integration.agent_harness import wait_for
from tests.integration.api_calls import call, pipeline


def poll_and_leave(service: Served, group: str, after_s: float) -> None:
    """A poller that is gone before it gets an answer."""
    address = urlsplit(service.url)
    body = json.dumps({"workerGroup": group}).encode()
    head = (
        f"POST / HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/x-amz-json-1.1\r\n"
        f"X-Amz-Target: DataPipeline.PollForTask\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with closing(socket.create_connection((address.hostname, address.port), 30)) as line:
        line.sendall(head.encode() + body)
        SystemClock().wait(threading.Event(), after_s)


def activate(service: Served, unique: str, group: str) -> str:
    made = pipeline(service.url, unique, group)
    call(service.url, "ActivatePipeline", pipelineId=made)
    return made


def test_a_poller_that_has_gone_is_given_nothing(tmp_path: Path) -> None:
    """What it was given would be lost for 2 minutes; whoever polls next waits for 30 s at most."""
    with served(tmp_path, "--no-auth") as service:
        for number in range(8):
            group = f"wg{number}"
            poll_and_leave(service, group, 0.2)
            made = activate(service, str(number), group)
            task = call(service.url, "PollForTask", workerGroup=group)["taskObject"]
            assert task["pipelineId"] == made


@pytest.mark.parametrize("acknowledge", [False, True])
def test_the_windows_are_as_long_as_the_command_line_says(
    tmp_path: Path, acknowledge: bool
) -> None:
    windows = ("--ack-timeout", "0.5", "--lease-timeout", "0.5")
    with served(tmp_path, "--no-auth", *windows) as service:
        made = activate(service, "1", "wg")
        ids = []
        for _ in range(3):
            task = call(service.url, "PollForTask", workerGroup="wg")["taskObject"]
            assert task["pipelineId"] == made
            ids.append(task["taskId"])
            if acknowledge:
                call(service.url, "ReportTaskProgress", taskId=task["taskId"])
        assert len(set(ids)) == 3
        wait_for(
            "the first to be told",
            lambda: call(service.url, "ReportTaskProgress", taskId=ids[0])["canceled"],
        )
