from __future__ import annotations

import pytest

from taskrunner.activities.hadoop import HadoopActivity
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError
from taskrunner.model.document import PipelineObject, Value
from taskrunner.model.task import Task
from taskrunner.testing import Ref, new_object, new_task
from tests.unit.activities.engines.host import environment


def _config(name: str, **fields: Value | list[Value]) -> PipelineObject:
    return new_object(name, "ShellScriptConfig", fields)


def _task(*others: PipelineObject, **fields: Value | list[Value]) -> Task:
    given: dict[str, Value | list[Value]] = {
        "jarUri": "/home/hadoop/contrib/streaming/hadoop-streaming.jar",
        "argument": ["-input", "s3://in/x", "-output", "s3://out/r", "-mapper", "cat"],
        "preActivityTaskConfig": Ref("Before"),
        "postActivityTaskConfig": Ref("After"),
        **fields,
    }
    return new_task("HadoopActivity", given, *others)


def test_scripts_run_before_and_after_the_jar() -> None:
    before = _config("Before", scriptUri="s3://b/before.sh", scriptArgument=["a b", "c"])
    after = _config("After", scriptUri="s3n://b/after.sh")
    with environment("local") as found:
        found.put("s3://b/before.sh", 'printf "<%s>" "$@"')
        found.put("s3://b/after.sh", "#!/bin/sh\necho after")
        found.put("s3://in/x", "a,b\n")
        found.run(HadoopActivity(), _task(before, after))
        assert found.stdout == "<a b><c>after\n"
        assert found.read("s3://out/r/part-00000") == b"a,b\t\n"


def test_a_script_that_fails_ends_the_activity() -> None:
    before = _config("Before", scriptUri="s3://b/before.sh")
    with environment("local") as found:
        found.put("s3://b/before.sh", "echo sorry >&2; exit 9")
        with pytest.raises(TaskError) as caught:
            found.run(HadoopActivity(), _task(before, _config("After", scriptUri="s3://b/x")))
        assert str(caught.value) == (
            "preActivityTaskConfig (ShellScriptConfig 'Before'): command exited with 9: sorry"
        )
        assert caught.value.error_id == ErrorId.COMMAND_FAILED
        assert list(found.objects.list("s3://out/")) == []


def test_a_config_without_a_script_is_said_before_anything_starts() -> None:
    before = _config("Before", scriptUri="s3://b/before.sh")
    with environment("local") as found:
        with pytest.raises(PermanentTaskError, match="'After' has no value for the field 'scriptU"):
            found.run(HadoopActivity(), _task(before, _config("After")))
        assert found.messages == []


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"jarUri": ""}, "HadoopActivity 'Activity' has no value for the field 'jarUri'"),
        ({"jarUri": "my.jar"}, "HadoopActivity 'Activity': found 'my.jar' for a jar, wanted"),
        ({"argument": ["-input", "x"]}, "HadoopActivity 'Activity': found streaming without -out"),
    ],
)
def test_what_cannot_be_read_is_said(fields: dict[str, Value], message: str) -> None:
    configs = (_config("Before", scriptUri="s3://b/x"), _config("After", scriptUri="s3://b/x"))
    with environment("local") as found:
        with pytest.raises(PermanentTaskError) as caught:
            found.run(HadoopActivity(), _task(*configs, **fields))
        assert str(caught.value).startswith(message)
        assert caught.value.error_id == ErrorId.INVALID_FIELD
