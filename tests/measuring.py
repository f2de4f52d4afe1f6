"""Which tests coverage measures.

Tracing makes Python code several times slower. So what only repeats what other tests measure runs
without it, as fast as it would for a user; so do the examples that chance chooses, as what they
happen to reach is another share of the lines each time. And what pytest itself does before, between
and after tests is not traced: only tests and fixtures are.
"""

from __future__ import annotations

import os
import pkgutil
import posix
import re
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager, nullcontext
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from coverage import Coverage

#: Told to processes that coverage is to measure (its `patch = ["subprocess"]`).
_COVERAGE = "COVERAGE_PROCESS_CONFIG"
#: Modules that only repeat what others measure, by their paths below tests/.
_REPEATS = re.compile(
    r"(acceptance|chaos|fuzz|security)/"
    r"|contract/test_(activations|pauses|placing|store_contention|wire)\.py"
    r"|integration/test_(agent|agent_children|agent_cli|agent_logs|agent_s3|bench|broken_things"
    r"|crowded_edge|ec2|full_disk|groups|hand_out|objects_s3|protocol_agent|proxy|run_as_user"
    r"|store_full|store_truth|task_limits|tls|two_services|types)\.py"
)
#: Each worker imports every module: it is enough that one of them measures it.
_IMPORTER = "gw0"
#: Where fixtures are defined that call nothing of ours.
_FOREIGN = ("_pytest.", "tests.conftest")


def repeats(item: pytest.Item) -> bool:
    """Whether the whole module of the test only repeats what others measure."""
    return bool(_REPEATS.match(item.path.relative_to(Path(__file__).parent).as_posix()))


def by_chance(item: pytest.Item) -> bool:
    """Whether Hypothesis chooses what the test tries."""
    return bool(getattr(getattr(item, "obj", None), "is_hypothesis_test", False))


def _current() -> Coverage:
    found = _running()
    assert found is not None
    return found


def _running() -> Coverage | None:
    """What measures now, unless it was stopped."""
    from coverage import Coverage

    return Coverage.current()


def _import_everything() -> None:
    """What modules do when they are imported: first, it may be, by what is not measured."""
    import taskrunner

    for found in pkgutil.walk_packages(taskrunner.__path__, f"{taskrunner.__name__}."):
        if not found.name.endswith(".__main__"):
            import_module(found.name)


@contextmanager
def _ends_as_before() -> Iterator[None]:
    """Each start of coverage has os._exit save once more, and a test starts it often.

    Without this a forked process would save some hundred times, a tenth of a second each.
    """
    before = os._exit
    try:
        yield
    finally:
        os._exit = before


def _forget() -> None:
    """In a forked process: what was measured before the fork is saved by the one that measured."""
    from coverage import Coverage

    if (measuring := Coverage.current()) is not None and measuring._collector is not None:
        measuring._collector._clear_data()


def _spare_processes(measuring: Coverage) -> None:
    """Have a process look for no files that it never ran: this one does, for all of them.

    What is not named as the source, but by a pattern, is measured as well, and not looked for.
    """
    measuring.set_option("run:include", [f"{Path(__file__).parents[1] / 'taskrunner'}/*"])
    measuring.set_option("run:source", None)
    os.environ[_COVERAGE] = measuring.config.serialize()


@contextmanager
def unmeasured() -> Iterator[None]:
    """Neither this process nor the processes that it starts are measured."""
    told = os.environ.pop(_COVERAGE, None)
    if told is None:
        yield
        return
    measuring = _current()
    measuring.stop()
    try:
        yield
    finally:
        os.environ[_COVERAGE] = told
        # pytest-cov has started it already after a test that is marked, too: started twice, it
        # would go on when it is stopped once, and trace all that comes.
        if not measuring._started:
            measuring.start()


class Tracing:
    """Takes coverage's trace function away from this thread, and gives it back for a while.

    Cheaper than to have coverage stop and start, which is done some times a test.
    """

    def __init__(self) -> None:
        self._function: Any = None

    def pause(self) -> None:
        """Trace nothing but what `on` is around. Coverage may have been started since the last."""
        found = sys.gettrace()
        if type(found).__module__.startswith("coverage"):
            self._function = found
            sys.settrace(None)

    @contextmanager
    def on(self) -> Iterator[None]:
        """Trace this, unless coverage was stopped, as it is for what is not measured."""
        if self._function is None or sys.gettrace() is not None or _running() is None:
            yield
            return
        sys.settrace(self._function)
        try:
            yield
        finally:
            self.pause()


class Measuring:
    """The hooks that have pytest-cov measure what is to be measured, and no more."""

    def __init__(self, worker: str | None) -> None:
        #: The name of this process, where several share the tests.
        self.worker = worker
        self._tracing = Tracing()

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_setupnodes(self) -> None:
        """This process runs no test; the servers of the run, which it starts, are not measured."""
        if os.environ.pop(_COVERAGE, None) is not None:
            _current().stop()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """In a worker pytest-cov starts twice: as if there were no workers, and as one of them.

        Stopping the second would go on with the first, so that everything would be traced always.
        """
        if self.worker is not None and _COVERAGE in os.environ:
            _current().stop()
            os._exit = posix._exit

    @pytest.hookimpl(wrapper=True)
    def pytest_collection(self) -> Generator[None, object, object]:
        """What modules do when they are imported is measured once; looking for tests is not."""
        if _COVERAGE in os.environ:
            _spare_processes(_current())
            os.register_at_fork(after_in_child=_forget)
            if self.worker in {None, _IMPORTER}:
                _import_everything()
        with _ends_as_before(), unmeasured():
            return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            if by_chance(item) and not repeats(item):
                item.add_marker(pytest.mark.no_cover)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """A test that pytest-cov does not measure has its processes unmeasured as well."""
        told = os.environ.pop(_COVERAGE, None) if item.get_closest_marker("no_cover") else None
        # Of others than functions, pytest has no hook for the test alone.
        alone = type(item) is pytest.Function
        try:
            with nullcontext() if alone else self._tracing.on():
                return (yield)
        finally:
            if told is not None:
                os.environ[_COVERAGE] = told
            # pytest-cov has started it after a test that is marked.
            self._tracing.pause()

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_pyfunc_call(self) -> Generator[None, object, object]:
        """The test itself."""
        with self._tracing.on():
            return (yield)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any]
    ) -> Generator[None, object, object]:
        """What a fixture does before its tests."""
        ours = not fixturedef.func.__module__.startswith(_FOREIGN)
        with self._tracing.on() if ours else nullcontext():
            return (yield)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_teardown(self) -> Generator[None, object, object]:
        """What fixtures do after their tests."""
        with self._tracing.on():
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Fixtures too, also those of the module: these begin and end within its tests."""
        with _ends_as_before(), unmeasured() if repeats(item) else nullcontext():
            self._tracing.pause()
            return (yield)
