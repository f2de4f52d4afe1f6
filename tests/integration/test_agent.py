"""A real agent process, end to end over HTTP: work, logs, staging, preconditions."""

from __future__ import annotations

import gzip
import resource
from pathlib import Path
from socket import socket

import pytest

from taskrunner.host.users import User
from tests.integration.agent_harness import FakeService, running_agent, task_json

LOGS = "logs/df-test/Work/@Work_2026-02-13T02:00:00/@Work_2026-02-13T02:00:00_Attempt=1"


def _log(folder: Path, name: str) -> str:
    return gzip.decompress((folder / "s3" / "bucket" / LOGS / f"{name}.gz").read_bytes()).decode()


def test_a_command_runs_and_its_logs_are_in_the_bucket_before_the_verdict(
    service: FakeService, tmp_path: Path
) -> None:
    command = 'echo "hello $1"; echo "problem $2" >&2'
    fields = {"pipelineLogUri": "s3://bucket/logs/", "scriptArgument": ["a b", "c"]}
    logs_at_verdict: list[list[str]] = []
    answer = service._answer

    def seen(
        operation: str, body: dict[str, object], connection: socket
    ) -> tuple[int, dict[str, object]]:
        if operation == "SetTaskStatus":
            folder = tmp_path / "s3" / "bucket" / LOGS
            logs_at_verdict.append(sorted(path.name for path in folder.iterdir()))
        return answer(operation, body, connection)

    service._answer = seen  # type: ignore[method-assign]
    with running_agent(service, tmp_path):
        service.tasks.put(task_json("t1", command, fields=fields))
        verdict = service.verdict("t1")

    assert verdict["taskStatus"] == "FINISHED"
    assert "errorId" not in verdict
    assert logs_at_verdict == [["Activity.log.gz", "StdError.gz", "StdOutput.gz"]]
    assert _log(tmp_path, "StdOutput") == "hello a b\n"
    assert _log(tmp_path, "StdError") == "problem c\n"
    assert "Executing command: echo" in _log(tmp_path, "Activity.log")
    assert service.calls("ReportTaskProgress", "t1"), "it was never acknowledged"
    assert list((tmp_path / "work" / "output" / "tmp").iterdir()) == []
    assert [path.suffix for path in (tmp_path / "work" / "journal").iterdir()].count(".jsonl") == 0


def test_commands_see_the_same_whoever_started_the_agent(
    service: FakeService, tmp_path: Path
) -> None:
    keys = ("AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=agent-secret-key")
    misleading = ("USER=someone", "LOGNAME=someone", "SHELL=/no/shell", "PATH=", "LANG=")
    command = "env | grep -E '^(HOME|LANG|LOGNAME|PATH|SHELL|USER)=' | sort; ls ~ >/dev/null"
    found = []
    for number, starter in enumerate([(), misleading]):
        folder, task = tmp_path / str(number), f"t{number}"
        with running_agent(service, folder, under=("/usr/bin/env", "-i", *keys, *starter)):
            service.tasks.put(
                task_json(task, command, fields={"pipelineLogUri": "s3://bucket/logs/"})
            )
            assert service.verdict(task)["taskStatus"] == "FINISHED"
        lines = dict(line.split("=", 1) for line in _log(folder, "StdOutput").splitlines())
        home = Path(lines.pop("HOME"))
        assert home.is_relative_to(folder / "work")
        found.append(lines)
    user = User.of_this_process()
    assert found[0] == found[1]
    assert (found[0]["USER"], found[0]["LOGNAME"]) == (user.name, user.name)
    assert found[0]["LANG"] == "C.UTF-8"
    assert "/usr/bin" in found[0]["PATH"].split(":")
    assert Path(found[0]["SHELL"]).exists()


def test_a_failed_command_says_how_it_failed(service: FakeService, tmp_path: Path) -> None:
    with running_agent(service, tmp_path):
        service.tasks.put(task_json("t1", "echo first >&2; echo the cause >&2; exit 3"))
        failed = service.verdict("t1")
        service.tasks.put(task_json("t2", "kill -SEGV $$"))
        killed = service.verdict("t2")
        service.tasks.put(task_json("t3", "", kind="NoSuchActivity"))
        unknown = service.verdict("t3")

    assert failed["taskStatus"] == "FAILED"
    assert failed["errorId"] == "CommandFailed"
    assert failed["errorMessage"] == "command exited with 3: first | the cause"
    assert len(failed["errorStackTrace"]) <= 1024
    assert killed["errorId"] == "KilledBySignal"
    assert "signal 11 (SIGSEGV)" in killed["errorMessage"]
    assert unknown["errorId"] == "UnsupportedType"
    assert "known: " in unknown["errorMessage"]
    assert "ShellCommandActivity" in unknown["errorMessage"]


def test_staging_brings_inputs_and_takes_outputs_back(service: FakeService, tmp_path: Path) -> None:
    source = tmp_path / "s3" / "bucket" / "in"
    (source / "deeper").mkdir(parents=True)
    (source / "part1").write_text("1\n")
    (source / "deeper" / "part2").write_text("2\n")
    fields = {
        "stage": "true",
        "input": {"ref": "@In"},
        "output": {"ref": "@Out"},
    }
    nodes = {
        "@In": {"type": "S3DataNode", "directoryPath": "s3://bucket/in"},
        "@Out": {"type": "S3DataNode", "directoryPath": "s3://bucket/out/2026"},
    }
    command = (
        "cat ${INPUT1_STAGING_DIR}/part1 ${INPUT1_STAGING_DIR}/deeper/part2 "
        "> ${OUTPUT1_STAGING_DIR}/all.csv; mkdir ${OUTPUT1_STAGING_DIR}/sub; "
        "echo x > ${OUTPUT1_STAGING_DIR}/sub/y"
    )
    with running_agent(service, tmp_path):
        service.tasks.put(task_json("t1", command, fields=fields, objects=nodes))
        assert service.verdict("t1")["taskStatus"] == "FINISHED"
        failing = "echo half > ${OUTPUT1_STAGING_DIR}/half; exit 1"
        service.tasks.put(task_json("t2", failing, fields=fields, objects=nodes))
        assert service.verdict("t2")["taskStatus"] == "FAILED"

    out = tmp_path / "s3" / "bucket" / "out" / "2026"
    assert (out / "all.csv").read_text() == "1\n2\n"
    assert (out / "sub" / "y").read_text() == "x\n"
    assert not (out / "half").exists(), "a failed command's output was published"


@pytest.mark.parametrize(
    ("command", "status", "error_id"),
    [
        ("exit 0", "FINISHED", None),
        ("exit 1", "FALSE", None),
        ("no-such-program", "FAILED", "CommandFailed"),
    ],
)
def test_a_precondition_is_met_not_met_or_not_answered(
    service: FakeService, tmp_path: Path, command: str, status: str, error_id: str | None
) -> None:
    with running_agent(service, tmp_path):
        service.tasks.put(task_json("t1", command, kind="ShellCommandPrecondition"))
        verdict = service.verdict("t1")
    assert (verdict["taskStatus"], verdict.get("errorId")) == (status, error_id)


def test_secrets_reach_no_log_no_verdict_and_not_the_command(
    service: FakeService, tmp_path: Path
) -> None:
    secret = "correct horse battery"
    fields = {"pipelineLogUri": "s3://bucket/logs", "*password": secret}
    command = (
        f"printf 'the {secret[:8]}'; sleep 0.2; printf '{secret[8:]} staple\\n'; env; "
        f"echo {secret!r} >&2; exit 1"
    )
    with running_agent(service, tmp_path) as agent:
        service.tasks.put(task_json("t1", command, fields=fields))
        verdict = service.verdict("t1")
        seen = agent.log

    assert _log(tmp_path, "StdOutput").startswith("the ********* staple\n")
    assert "agent-secret-key" not in _log(tmp_path, "StdOutput")
    written = [path for path in (tmp_path / "work").rglob("*") if path.is_file()]
    texts = [path.read_text() for path in written] + [seen, str(verdict)]
    assert not any(secret in text for text in texts)


def test_logs_that_cannot_be_shipped_are_told_with_the_verdict(
    service: FakeService, tmp_path: Path
) -> None:
    (tmp_path / "s3").mkdir()
    (tmp_path / "s3" / "bucket").write_text("a file where the bucket's folder should be")
    fields = {"pipelineLogUri": "s3://bucket/logs"}
    with running_agent(service, tmp_path):
        service.tasks.put(task_json("t1", "echo hello", fields=fields))
        verdict = service.verdict("t1")
    assert verdict["taskStatus"] == "FINISHED"
    assert verdict["errorId"] == "LogsNotShipped"


def test_the_agent_has_all_the_descriptors_there_are_and_tasks_as_many_as_it_was_given(
    service: FakeService, tmp_path: Path
) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (500, before[1]))
    try:
        with running_agent(service, tmp_path) as agent:
            service.tasks.put(task_json("t1", f"ulimit -Sn > {tmp_path}/soft"))
            assert service.verdict("t1")["taskStatus"] == "FINISHED"
            own = resource.prlimit(agent.process.pid, resource.RLIMIT_NOFILE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert own == (before[1], before[1])
    assert (tmp_path / "soft").read_text() == "500\n"
