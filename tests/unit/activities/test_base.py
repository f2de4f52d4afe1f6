from __future__ import annotations

import copy
import pickle

import pytest

from taskrunner.activities.base import CommandResult
from taskrunner.errors import ErrorId


@pytest.mark.parametrize(
    ("code", "oom", "error_id", "part"),
    [
        (-9, False, ErrorId.KILLED_BY_SIGNAL, "killed by signal 9 (SIGKILL): why"),
        (-9, True, ErrorId.OUT_OF_MEMORY, "out-of-memory killer"),
        (137, True, ErrorId.OUT_OF_MEMORY, "out-of-memory killer"),
        (137, False, ErrorId.COMMAND_FAILED, "exited with 137 (SIGKILL in the command): why"),
        (1, True, ErrorId.COMMAND_FAILED, "exited with 1: why"),
        (255, False, ErrorId.COMMAND_FAILED, "exited with 255: why"),
    ],
)
def test_signals_and_memory_are_named(code: int, oom: bool, error_id: str, part: str) -> None:
    error = CommandResult(exit_code=code, out_of_memory=oom, stderr_tail="why").error()
    assert error.error_id == error_id
    assert part in str(error)


def test_memory_is_told_as_it_was_counted() -> None:
    counted = CommandResult(
        exit_code=-9, out_of_memory=True, peak_memory=7 << 20, largest_process=3 << 20
    )
    assert "(peak memory of the attempt 7 MB)" in str(counted.error())
    seen = CommandResult(exit_code=-9, out_of_memory=True, largest_process=3 << 20)
    assert "(peak memory of its largest process 3 MB)" in str(seen.error())


def test_a_remark_stands_at_the_end() -> None:
    error = CommandResult(exit_code=25 + 128, stderr_tail="why", remark="because").error()
    assert error.error_id == ErrorId.FILE_TOO_LARGE
    assert str(error).endswith("task_file_size: why; because")


@pytest.mark.parametrize(
    ("code", "signal"), [(0, None), (1, None), (-15, 15), (143, 15), (255, None)]
)
def test_a_result_knows_the_signal(code: int, signal: int | None) -> None:
    assert CommandResult(exit_code=code).signal == signal


@pytest.mark.parametrize("code", [0, 3, -9])
def test_plugins_that_know_nothing_but_an_exit_code_still_work(code: int) -> None:
    """As a number, in a condition and in texts it is what `run_command` once returned."""
    result = CommandResult(exit_code=code, stderr_tail="why")
    assert result == code
    assert bool(result) is bool(code)
    assert (f"{result}", format(result, "d"), str(result)) == (str(code),) * 3
    assert "stderr_tail='why'" in repr(result)
    with pytest.raises(AttributeError):
        result.exit_code = 1  # type: ignore[misc]
    for again in (copy.deepcopy(result), pickle.loads(pickle.dumps(result))):
        assert (again, again.exit_code, again.stderr_tail) == (code, code, "why")
