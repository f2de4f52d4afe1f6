"""Prints how long newcomers wait while a crowd comes and stays: what docs/reliability.md says.

python -m tests.integration.measure_crowd

The crowd is a process of its own, with the lowest priority: on a host with few processors it
would else take from the service what it is to be measured by.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.integration.crowd import (
    Crowded,
    crowd,
    crowded,
    many_descriptors,
    newcomers,
    polls,
    strangers,
)

_KINDS: Mapping[str, Callable[[Crowded], Sequence[bytes]]] = {
    "1,000 polls of one key": lambda service: polls(service, 1_000),
    "2,000 silent, half-headed, slow and senseless": lambda service: strangers(service, 2_000),
}
_STAYS_S = 3.0


def be_crowd(url: str, kind: str) -> None:
    """Come when a line is read, and stay until the next."""
    os.nice(19)
    service = Crowded(process=subprocess.Popen(["true"], text=True), url=url, log=Path(os.devnull))
    sent = _KINDS[kind](service)
    with many_descriptors():
        print("ready", flush=True)
        sys.stdin.readline()
        with crowd(service, sent):
            print("here", flush=True)
            sys.stdin.readline()


@contextmanager
def _ready(service: Crowded, kind: str) -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, "-m", "tests.integration.measure_crowd", service.url, kind]
    with subprocess.Popen(
        argv, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        _read_line(process)
        yield process
        _go_on(process)


def _go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def _read_line(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    process.stdout.readline()


def main() -> None:
    """Let one crowd after the other come, and tell of each."""
    with (
        tempfile.TemporaryDirectory() as folder,
        crowded(Path(folder)) as service,
        ExitStack() as stack,
    ):
        service.asked()
        memory = service.memory()
        for kind in _KINDS:
            process = stack.enter_context(_ready(service, kind))
            begun = time.monotonic()
            with newcomers(service) as waited:
                _go_on(process)
                _read_line(process)
                came = time.monotonic() - begun
                time.sleep(_STAYS_S)
            print(f"{kind}, here in {came:.1f} s: {_told(waited)}")
        print(f"memory: {(service.memory() - memory) / 1024 / 1024:.0f} MB more")
        print(f"log: {len(service.log.read_text().splitlines())} lines")


def _told(waited: Sequence[float]) -> str:
    in_order = sorted(round(1000 * one) for one in waited)
    return (
        f"{len(in_order)} newcomers waited {in_order[len(in_order) // 2]} ms (median), "
        f"{in_order[len(in_order) * 19 // 20]} ms (19 of 20), {in_order[-1]} ms (all)"
    )


if __name__ == "__main__":
    if sys.argv[1:]:
        be_crowd(*sys.argv[1:])
    else:
        main()
