from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from tests.accounting import Accounting, Spent

#: As long as a clock tick is to be seen, and no longer.
BUSY = "import time\nwhile time.process_time() < 0.1: pass"


class Reporter:
    """What a terminal reporter has of tests, and is told."""

    def __init__(self, *reports: SimpleNamespace) -> None:
        self.stats = {"": list(reports)}
        self.lines: list[str] = []

    def section(self, title: str) -> None:
        self.lines.append(title)

    write_line = section


def report(nodeid: str, here: float, ended: float, when: str = "teardown") -> SimpleNamespace:
    properties = [("another", 1), ("processor seconds", (here, ended))]
    return SimpleNamespace(nodeid=nodeid, when=when, user_properties=properties)


def test_modules_are_told_with_the_dearest_first() -> None:
    reporter: Any = Reporter(
        report("tests/a.py::one", 1, 0),
        report("tests/b.py::one", 2, 3),
        report("tests/a.py::two[x::y]", 1, 0.5),
        report("tests/a.py::two[x::y]", 9, 9, when="setup"),
    )
    Accounting().pytest_terminal_summary(reporter)
    total, _, *rows = reporter.lines
    assert total.startswith("processor seconds: 8 ")
    assert [row.split() for row in rows] == [
        ["5.0", "2.0", "3.0", "1", "tests/b.py"],
        ["2.5", "2.0", "0.5", "2", "tests/a.py"],
    ]


def test_the_time_of_a_process_that_has_ended_counts() -> None:
    item: Any = SimpleNamespace(user_properties=[])
    accounting = Accounting()
    protocol = accounting.pytest_runtest_protocol()
    next(protocol)
    subprocess.run([sys.executable, "-c", BUSY], check=True)
    teardown = accounting.pytest_runtest_teardown(item)
    next(teardown)
    with pytest.raises(StopIteration):
        teardown.send(None)
    ((name, (here, ended)),) = item.user_properties
    assert name == "processor seconds"
    assert 0.1 <= ended <= Spent.so_far().in_processes
    assert here <= Spent.so_far().here
