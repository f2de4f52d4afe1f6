from __future__ import annotations

import errno

import pytest

from taskrunner.agent.ipc import verdicts
from taskrunner.agent.ipc.usage import Usage
from taskrunner.agent.ipc.verdicts import Exit
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError
from taskrunner.wire.api import Verdict


def _raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    error.__cause__ = cause
    with pytest.raises(type(error)) as caught:
        raise error
    return caught.value


@pytest.mark.parametrize(
    ("error", "error_id", "message"),
    [
        (TaskError("no table", error_id=ErrorId.NOT_FOUND), "NotFound", "no table"),
        (PermanentTaskError("bad"), "ActivityFailed", "bad"),
        (KeyError("x"), "ActivityFailed", "KeyError: 'x'"),
        (ValueError(), "ActivityFailed", "ValueError"),
        (SystemExit(3), "ActivityFailed", "SystemExit: 3"),
        (MemoryError(), "OutOfMemory", "the task ran out of memory"),
        (OSError(errno.ENOSPC, "No space left"), "StorageFull", "no space is left: "),
    ],
)
def test_what_a_plugin_raises_is_classified(
    error: BaseException, error_id: str, message: str
) -> None:
    verdict = verdicts.from_exception(_raised(error))
    assert verdict.status == "FAILED"
    assert verdict.error_id == error_id
    assert (verdict.error_message or "").startswith(message)


def test_the_message_is_the_root_cause_and_the_trace_keeps_its_end() -> None:
    cause = _raised(ConnectionError("host is down"))
    verdict = verdicts.from_exception(_raised(RuntimeError("y" * 3000), cause))
    assert verdict.error_message == "ConnectionError: host is down"
    assert verdict.error_stack_trace is not None
    assert len(verdict.error_stack_trace) == 1024
    assert verdict.error_stack_trace.endswith("yyy")


@pytest.mark.parametrize(
    ("ended", "error_id", "part"),
    [
        (Exit(status=9, usage=Usage(peak_rss_mb=512), oom=True), "OutOfMemory", "512 MB"),
        (Exit(status=9, usage=Usage(peak_rss_mb=512)), "KilledBySignal", "signal 9 (SIGKILL"),
        (Exit(status=11, oom=True), "KilledBySignal", "SIGSEGV"),
        (Exit(status=1 << 8), "TaskRunner.Internal", "exit code 1"),
        (Exit(status=None, error="cannot fork"), "TaskRunner.Internal", "cannot fork"),
    ],
)
def test_a_process_that_left_no_result_is_named(ended: Exit, error_id: str, part: str) -> None:
    verdict = verdicts.crashed(ended)
    assert verdict.error_id == error_id
    assert part in (verdict.error_message or "")


def test_json_brings_back_the_same_verdict() -> None:
    for verdict in (verdicts.FINISHED, verdicts.failed("A", "b", "c"), Verdict(status="FALSE")):
        assert verdicts.from_json(verdicts.to_json(verdict)) == verdict


def test_secrets_are_taken_out_before_anything_is_cut() -> None:
    secret = "s3cret-" * 2000
    verdict = verdicts.from_exception(
        _raised(ValueError(f"x{secret}")), lambda text: text.replace(secret, "*")
    )
    assert verdict.error_message == "ValueError: x*"
    assert "s3cret" not in str(verdict.error_stack_trace)
