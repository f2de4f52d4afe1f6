"""Each test that is named for a field fails when the program does not see the field.

In full all of them, in short a few: each runs in a process of its own.
"""

from __future__ import annotations

import os
import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.blinding import Blinding
from tests.chaos.scale import Chaos
from tests.effects import SEEN

TESTS = Path(__file__).resolve().parents[1]
#: Seconds of CPU time: what waits for a field's effect may wait for ever.
_MOST_CPU_S = 60
_IN_SHORT = 3


def outcome(scope: str, field: str, test: str) -> str:
    """What becomes of the test without the field: failed, passed, or why there is no answer."""
    read, write = os.pipe()
    with tempfile.TemporaryFile() as output:
        child = os.fork()
        if child == 0:
            _run(scope, field, test, write, output.fileno())
        os.close(write)
        with os.fdopen(read) as answer:
            text = answer.read()
        _, status = os.waitpid(child, 0)
        output.seek(0)
        said = output.read().decode(errors="replace")[-500:]
    return text or f"ended with {status}: {said}"


def _run(scope: str, field: str, test: str, answer: int, output: int) -> None:
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (_MOST_CPU_S, _MOST_CPU_S))
        os.dup2(output, 1)
        os.dup2(output, 2)
        blinding = Blinding(scope, field)
        arguments = ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", str(TESTS / test)]
        pytest.main(arguments, plugins=[blinding])
        text = "failed" if blinding.failed else "passed" if blinding.passed else ""
        os.write(answer, text.encode())
    finally:
        os._exit(0)


def rows() -> Iterator[tuple[str, str, str]]:
    """Those whose tests need no server of their own."""
    for scope, row in SEEN.items():
        for field, test in row.items():
            if test.startswith("unit/"):
                yield scope, field, test


def test_the_test_of_a_field_fails_without_the_field(chaos: Chaos) -> None:
    known = list(rows())
    chosen = known if chaos.full else chaos.random.sample(known, _IN_SHORT)
    found = {f"{scope}.{field}": outcome(scope, field, test) for scope, field, test in chosen}
    assert {row: said for row, said in found.items() if said != "failed"} == {}
