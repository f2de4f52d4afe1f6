"""What each module of tests costs: processor time, its own and that of the processes it starts.

`make test CPU=1` and `make unit CPU=1` end with a table of the dearest modules. Time on the wall
says little: most tests wait, and several processes share the cores. What a server of the run does
for a test is nobody's; a process counts for the test that waits for its end.
"""

from __future__ import annotations

import resource
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass

import pytest

_SPENT = "processor seconds"
_SHOWN = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Seconds of user and system time."""

    here: float
    in_processes: float

    @classmethod
    def so_far(cls) -> Spent:
        """Since this process began."""
        here, ended = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return cls(here=here.ru_utime + here.ru_stime, in_processes=ended.ru_utime + ended.ru_stime)


class Accounting:
    """Counts in the processes that run tests, and sums up in the one that reports."""

    def __init__(self) -> None:
        self._at: Spent | None = None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self) -> Generator[None, object, object]:
        self._at = Spent.so_far()
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        try:
            return (yield)
        finally:
            now, then = Spent.so_far(), self._at
            assert then is not None
            # With the report of the teardown it gets to the process that sums up.
            spent = (now.here - then.here, now.in_processes - then.in_processes)
            item.user_properties.append((_SPENT, spent))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        here, ended, tests = Counter[str](), Counter[str](), Counter[str]()
        for report in terminalreporter.stats.get("", []):
            for name, spent in report.user_properties if report.when == "teardown" else []:
                if name == _SPENT:
                    module = report.nodeid.partition("::")[0]
                    tests[module] += 1
                    here[module] += spent[0]
                    ended[module] += spent[1]
        total = here + ended
        terminalreporter.section(f"{_SPENT}: {sum(total.values()):.0f} in tests and fixtures")
        terminalreporter.write_line("   all    here  in processes  tests")
        for module, seconds in total.most_common(_SHOWN):
            terminalreporter.write_line(
                f"{seconds:6.1f}  {here[module]:6.1f}  {ended[module]:12.1f}  {tests[module]:5}"
                f"  {module}"
            )
