"""What a task may use, where control groups hold it and where they do not."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from taskrunner.agent.handouts.deadlines import Deadlines
from taskrunner.agent.ipc import verdicts
from taskrunner.agent.ipc.resource_limits import ResourceLimits
from taskrunner.agent.ipc.usage import Usage
from taskrunner.agent.isolation.isolation import Isolation
from taskrunner.errors import ErrorId
from taskrunner.host.cgroups import Bounds, Used
from taskrunner.wire.api import Verdict
from tests.unit.agent.fakes import FakeClock, make_task

ALL = Bounds(memory=1 << 20, cpus=1.0, processes=8)


def _unheld(*controllers: str, other_users: bool = False) -> list[str]:
    limits = ResourceLimits(bounds=ALL, controllers=frozenset(controllers))
    return list(limits.unheld(other_users=other_users))


def test_what_is_not_held_is_said_and_no_more() -> None:
    assert _unheld("memory", "cpu", "pids") == []
    assert _unheld("cpu", "pids") == [
        "task_memory holds for each process of a task, not for all of them together"
    ]
    assert _unheld("memory") == ["task_cpus is not held", "task_processes is not held"]
    assert _unheld("memory", "cpu", other_users=True) == [
        "task_processes holds for all tasks of a run_as_user together"
    ]
    assert list(ResourceLimits().unheld(other_users=False)) == []


def test_a_warning_names_the_reason_and_the_remedy() -> None:
    limits = ResourceLimits(bounds=Bounds(cpus=1.0))
    isolation = Isolation(limits=limits, groups=None, no_groups="there are none")
    (warning,) = isolation.warnings(other_users=False)
    assert warning.startswith("task_cpus is not held: there are none; run the agent as the unit")


def test_processes_of_a_user_are_counted_only_where_no_group_does() -> None:
    assert ResourceLimits(bounds=ALL).command_processes == 8
    assert ResourceLimits(bounds=ALL, controllers=frozenset({"pids"})).command_processes is None


@pytest.mark.parametrize(
    ("given", "longest", "seconds", "text"),
    [
        (None, None, None, ""),
        ("1 hour", None, 3600, "its attemptTimeout of 1 hour"),
        ("1 hour", 60, 60, "the 60 seconds of this agent's task_time"),
        (None, 60, 60, "the 60 seconds of this agent's task_time"),
        ("1 minute", 3600, 60, "its attemptTimeout of 1 minute"),
    ],
)
def test_the_shorter_of_two_times_holds_and_is_named(
    given: str | None, longest: float | None, seconds: float | None, text: str
) -> None:
    task = make_task({"attemptTimeout": given} if given else {})
    limits = Deadlines.of(task, lease_s=300, now=FakeClock().now(), longest_s=longest)
    assert limits.timeout_s == seconds
    if text:
        assert limits.timeout_text == text
        message = verdicts.timed_out(limits.timeout_text).error_message
        assert message == f"the attempt did not end within {text}"


def _used(*, oom_kills: int | None = 0, forks_refused: int = 0) -> Used:
    return Used(
        cpu_s=1.0,
        memory=1 << 20,
        read=None,
        written=None,
        oom_kills=oom_kills,
        forks_refused=forks_refused,
    )


@pytest.mark.parametrize(
    ("verdict", "used", "words"),
    [
        (verdicts.FINISHED, _used(forks_refused=1), None),
        (verdicts.failed("CommandFailed", "no"), None, "no"),
        (verdicts.failed("CommandFailed", "no"), _used(), "no"),
        (verdicts.failed("CommandFailed", "no"), _used(forks_refused=2), "no; it came to task_pro"),
        (verdicts.failed("CommandFailed", "no"), _used(oom_kills=1), "no; the out-of-memory kill"),
        (verdicts.failed(ErrorId.OUT_OF_MEMORY, "no"), _used(oom_kills=1), "no"),
    ],
)
def test_a_failed_attempt_says_which_bounds_it_met(
    verdict: Verdict, used: Used | None, words: str | None
) -> None:
    told = verdicts.with_bounds_met(verdict, used, Usage()).error_message
    assert told == words or (words and told and len(words) > 2 and told.startswith(words))


def test_a_file_that_grew_too_large_is_named_as_such() -> None:
    error = OSError(errno.EFBIG, "File too large", str(Path("/x")))
    assert verdicts.from_exception(error).error_id == ErrorId.FILE_TOO_LARGE


def test_usage_is_told_for_people() -> None:
    together = Usage(cpu_s=1.5, peak_rss_mb=10, peak_memory_mb=20, read_mb=3, written_mb=4)
    assert str(together) == "peak memory 20 MB, CPU time 1.50 s, read 3 MB, written 4 MB"
    assert str(Usage(peak_rss_mb=10)).startswith("peak memory of the largest process 10 MB,")
