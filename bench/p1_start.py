"""P1: how long the command needs before it does anything, and an agent before it asks for work."""

from __future__ import annotations

import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path

from bench import harness
from bench.harness import Figure

ROUNDS = 15
VERSION_S, POLL_S = 0.10, 0.40


def measure(rounds: int = ROUNDS) -> Iterator[Figure]:
    python = sys.executable
    ours, peer = alternating(
        [harness.program("taskrunner"), "--version"], [python, "-c", "pass"], rounds
    )
    yield Figure(
        id="P1",
        what="taskrunner --version",
        measured=f"median {ours:.3f} s, {ours / peer:.2f} x python -c pass ({peer:.3f} s)",
        goal=f"<= {VERSION_S:.2f} s",
        met=ours <= VERSION_S,
    )
    for where, in_file in (("in the environment", False), ("in ~/.aws/credentials", True)):
        polls = first_polls(rounds, keys_in_file=in_file)
        times, cpu = zip(*polls, strict=True)
        median = statistics.median(times)
        yield Figure(
            id="P1",
            what=f"start to the first poll sent, AWS keys {where}",
            measured=f"median {median:.3f} s, worst of {rounds} {max(times):.3f} s; CPU time of the"
            f" agent {statistics.median(cpu):.3f} s",
            goal=f"<= {POLL_S:.2f} s",
            met=median <= POLL_S,
        )


def alternating(ours: Sequence[str], peer: Sequence[str], rounds: int) -> tuple[float, float]:
    """Median wall time of two commands, run in turns so that a busy machine hits both."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for command, taken in zip((ours, peer), times, strict=True):
            begin = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            taken.append(time.perf_counter() - begin)
    return statistics.median(times[0]), statistics.median(times[1])


def first_polls(rounds: int, *, keys_in_file: bool) -> list[tuple[float, float]]:
    """Wall and CPU time of each start."""
    with harness.folder() as home, closing(Polled()) as polled:
        _write_keys(home / ".aws")
        return [_first_poll(home, polled, keys_in_file=keys_in_file) for _ in range(rounds)]


def _write_keys(folder: Path) -> None:
    folder.mkdir()
    keys = "aws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = example-secret-key\n"
    (folder / "credentials").write_text(f"[default]\n{keys}")


def _first_poll(home: Path, polled: Polled, *, keys_in_file: bool) -> tuple[float, float]:
    polled.seen.clear()
    environ = harness.clean_environment(home)
    if keys_in_file:
        del environ["AWS_ACCESS_KEY_ID"], environ["AWS_SECRET_ACCESS_KEY"]
    command = harness.agent_command(home, polled.url)
    begin = time.perf_counter()
    with harness.running(command, home=home, log=home / "agent.log", environ=environ) as agent:
        if not polled.seen.wait(30):
            raise TimeoutError("the agent did not poll")
        return polled.at - begin, harness.cpu_s(agent)


class Polled:
    """A service that notes when the first poll comes, and gives no work."""

    def __init__(self) -> None:
        self.seen = threading.Event()
        self.at = 0.0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        # Closing alone leaves the thread waiting for the descriptor's number, which is soon that
        # of another listener: a system call that a signal interrupts begins anew, by number.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while data := connection.recv(1 << 16):
                if b"DataPipeline.PollForTask" in data and not self.seen.is_set():
                    self.at = time.perf_counter()
                    self.seen.set()
                if data.endswith(b"}"):
                    # A poll is held, as the service would; the agent is ended meanwhile.
                    self._answer(connection, hold=b"PollForTask" in data)

    def _answer(self, connection: socket.socket, *, hold: bool) -> None:
        if not hold:
            body = b'{"terminate":false}'
            head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n\r\n".encode()
            connection.sendall(head + body)
