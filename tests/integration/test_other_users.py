"""What tests of several users stand on: a program that others can read, wherever it lies."""

from __future__ import annotations

import subprocess

import pytest

from tests.integration.other_users import copied_program, people

pytestmark = pytest.mark.xdist_group("alone")


def test_a_copy_is_the_whole_program_with_its_plugins() -> None:
    who = people()
    command = [*who.unprivileged(""), "-", "-m", "taskrunner", "plugins"]
    ran = subprocess.run(
        command,
        cwd="/",
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(copied_program())},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    # They are found by the metadata of the installed package.
    assert {"CopyActivity", "ShellCommandActivity", "mysql", "CSV"} <= set(ran.stdout.split())
