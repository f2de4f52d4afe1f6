from __future__ import annotations

import pytest

from taskrunner.activities.emr import EmrActivity
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError
from taskrunner.secret import Secret
from taskrunner.testing import new_task
from tests.unit.activities.engines.host import environment

_RUNNER = "s3://us-east-1.elasticmapreduce/libs/script-runner/script-runner.jar"


def test_commands_run_before_and_after_the_steps() -> None:
    with environment("local") as found:
        found.put("s3://b/step.sh", "#!/bin/bash\necho step $1\n")
        fields = {
            "preStepCommand": ["echo before 1", "#!/bin/sh\necho before 2"],
            "step": [f"{_RUNNER},s3://b/step.sh,one", "command-runner.jar,echo,step two"],
            "postStepCommand": "echo after",
        }
        found.run(EmrActivity(), new_task("EmrActivity", fields))
        assert found.stdout.splitlines() == [
            *("before 1", "before 2", "step one", "step two", "after")
        ]


def test_commands_alone_are_enough() -> None:
    with environment("local") as found:
        found.run(EmrActivity(), new_task("EmrActivity", {"postStepCommand": "echo done"}))
        assert found.stdout == "done\n"


@pytest.mark.parametrize(
    ("fields", "message", "ran"),
    [
        (
            {"preStepCommand": ["echo 1", "exit 3"], "step": "command-runner.jar,echo,2"},
            "preStepCommand 2 of 2: command exited with 3",
            ["1"],
        ),
        (
            {"step": "command-runner.jar,sh,-c,exit 5", "postStepCommand": "echo 2"},
            "sh -c: command exited with 5",
            [],
        ),
        (
            {"step": "command-runner.jar,echo,1", "postStepCommand": "echo sorry >&2; exit 1"},
            "postStepCommand: command exited with 1: sorry",
            ["1"],
        ),
    ],
)
def test_the_first_failure_ends_it(fields: dict[str, str], message: str, ran: list[str]) -> None:
    with environment("local") as found:
        with pytest.raises(TaskError) as caught:
            found.run(EmrActivity(), new_task("EmrActivity", fields))
        assert str(caught.value) == message
        assert found.stdout.splitlines() == ran


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "EmrActivity 'Activity': wanted at least one step: JAR,ARGUMENT,..."),
        (
            {"step": "step 1", "preStepCommand": "echo never"},
            "EmrActivity 'Activity': field 'step': found 'step 1' for a jar, wanted JAR,ARGUMENT",
        ),
        (
            {"step": ["command-runner.jar,true", _RUNNER]},
            "EmrActivity 'Activity': field 'step' 2 of 2: found script-runner.jar without a script",
        ),
    ],
)
def test_steps_that_cannot_be_read_are_said_before_anything_starts(
    fields: dict[str, str], message: str
) -> None:
    with environment("local") as found:
        with pytest.raises(PermanentTaskError) as caught:
            found.run(EmrActivity(), new_task("EmrActivity", fields))
        assert str(caught.value).startswith(message)
        assert caught.value.error_id == ErrorId.INVALID_FIELD
        assert (found.stdout, found.messages) == ("", [])


def test_a_secret_on_a_command_line_is_told() -> None:
    step = "command-runner.jar,true,#"
    with environment("local") as found:
        found.run(EmrActivity(), new_task("EmrActivity", {"step": Secret(step)}))
        assert found.messages[0].startswith("A secret stands in step: while the work runs, every")
        found.messages.clear()
        found.run(EmrActivity(), new_task("EmrActivity", {"step": step}))
        assert "secret" not in found.messages[0]
