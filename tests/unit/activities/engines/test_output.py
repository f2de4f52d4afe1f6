from __future__ import annotations

import pytest

from taskrunner.activities.engines.output import counters_in, ids_in, run_and_read
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
