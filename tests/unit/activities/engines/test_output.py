from __future__ import annotations

import pytest

from taskrunner.activities.engines.output import cause_in, counters_in, ids_in, run_and_read
from taskrunner.errors import TaskError
from taskrunner.testing import ActivityEnvironment

_JOB = """INFO impl.YarnClientImpl: Submitted application application_1700000000000_0042
INFO mapreduce.Job: Running job: job_1700000000000_0042
INFO mapreduce.Job: Counters: 3
\tFile System Counters
\t\tFILE: Number of bytes read=12
\tMap-Reduce Framework
\t\tMap input records=7
INFO done
\t\tnot a counter=9
"""


def test_ids_are_found_once_and_in_order() -> None:
    text = _JOB + _JOB + "job_local1234567890_0001\nSpark master: local, Application Id: local-17\n"
    assert ids_in(text) == [
        "application_1700000000000_0042",
        "job_1700000000000_0042",
        "job_local1234567890_0001",
        "local-17",
    ]
    assert ids_in("my_application_1 job_x localhost local-1") == []


def test_the_counters_are_those_of_the_last_job() -> None:
    assert counters_in(_JOB) == {"FILE: Number of bytes read": 12, "Map input records": 7}
    later = "Counters: 1\n\t\tReduce output records=1\n"
    assert counters_in(_JOB + later) == {"Reduce output records": 1}
    assert counters_in("nothing of the kind") == {}


def test_the_log_tells_of_this_command_alone() -> None:
    with ActivityEnvironment() as environment:
        environment.stderr_path.write_text("job_1600000000000_0001\n")
        run_and_read(environment, ["/bin/sh", "-c", f"echo '{_JOB}' >&2"])
        assert environment.messages[1:] == [
            "Applications and jobs: application_1700000000000_0042, job_1700000000000_0042",
            "Counters: FILE: Number of bytes read 12, Map input records 7",
            "Command exited with 0",
        ]


def test_a_failure_is_told_with_what_was_found() -> None:
    with ActivityEnvironment() as environment:
        with pytest.raises(TaskError, match="command exited with 3: job_1600000000000_0001 failed"):
            run_and_read(
                environment, ["/bin/sh", "-c", "echo job_1600000000000_0001 failed >&2; exit 3"]
            )
        assert "Applications and jobs: job_1600000000000_0001" in environment.messages


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (
            "[UNRESOLVED_COLUMN.WITH_X] A column `a` is not there.; line 1\n'Project\n+- y\n",
            "[UNRE",
        ),
        ("x\nFAILED: SemanticException Table not found t\n\tat x\n", "FAILED: SemanticException T"),
        ("ERROR 2997: Unable to recreate\n", "ERROR 2997: Unable to recreate"),
        (
            "Traceback (most\n  File x\nValueError: on purpose\nINFO Deleting\n",
            "ValueError: on pur",
        ),
        (
            "py4j.protocol.Py4JJavaError: An error.\n: org.apache.x.NoSuchException: no such",
            "org.apache.x.NoSuchException: no such",
        ),
        ('Exception in thread "main" java.io.IOException: no\n\tat y\n', "java.io.IOException: no"),
        ("java\nCaused by: a.b: first\n\tat y\nCaused by: a.c: second\n\tat z", "a.c: second"),
        ("x" * 10 + "\nAError: " + "y" * 9999, "AError: yyy"),
    ],
)
def test_what_went_wrong_is_found_where_programs_say_it(text: str, cause: str) -> None:
    found = cause_in(text) or ""
    assert found.startswith(cause)
    assert len(found) < 700


def test_an_error_says_the_cause_and_not_where_java_was() -> None:
    assert cause_in("boom\nno error here\n") is None
    printed = 'Exception in thread "main" X: no such path\n\tat a.b(C.java:1)\n\tat a.d(C.java:2)'
    with ActivityEnvironment() as environment:
        with pytest.raises(TaskError) as caught:
            run_and_read(environment, ["/bin/sh", "-c", f"echo '{printed}' >&2; exit 1"])
        assert str(caught.value) == "command exited with 1: X: no such path"
