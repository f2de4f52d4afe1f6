"""What an idle agent does without: large libraries are loaded by whoever needs them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

#: Database drivers, the AWS SDK, the service's libraries and what only people look at.
HEAVY = {
    *("boto3", "botocore", "s3transfer", "psycopg", "pymysql", "sqlite3", "sqlalchemy"),
    *("asyncio", "starlette", "uvicorn", "rich", "yaml", "multiprocessing", "cryptography"),
    *("oracledb", "pymssql", "opentelemetry"),
}
AGENT = """
from taskrunner.cli.agent import command
from taskrunner import logs
from taskrunner.agent.agent import Agent
from taskrunner.agent.journal.journal import Journal
from taskrunner.wire.keys import find_keys
from taskrunner.wire.connect import connect
from taskrunner.wire.retrying import RetryingCalls
from taskrunner.tracing import tracing_of
tracing_of("taskrunner-agent", {})
keys = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}
find_keys(loopback=False, environ=keys)
"""
#: What an agent's first poll does not wait for, either.
UNASKED = {
    "psutil",
    "tomllib",
    "taskrunner.wire.inputs",
    "taskrunner.agent.roles",
}
FORK_SERVER = """
from taskrunner.agent.ipc.attempt_roles import AttemptSettings
from taskrunner.agent.roles import make_roles
make_roles(AttemptSettings())
"""


@pytest.mark.parametrize("program", [AGENT, FORK_SERVER], ids=["agent", "fork server"])
def test_nothing_large_is_loaded(program: str) -> None:
    assert {name.partition(".")[0] for name in loaded_by(program)} & HEAVY == set()


def test_an_agent_begins_to_ask_without_what_the_first_task_needs() -> None:
    assert loaded_by(AGENT) & UNASKED == set()


def loaded_by(program: str) -> set[str]:
    """The modules that a process has after a program."""
    asked = "import sys; print(*sys.modules)"
    # Without coverage, which would bring libraries of its own along.
    environ = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE")}
    done = subprocess.run(
        [sys.executable, "-c", program + asked],
        capture_output=True,
        text=True,
        check=True,
        env=environ,
    )
    return set(done.stdout.split())
