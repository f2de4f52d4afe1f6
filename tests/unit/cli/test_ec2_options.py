"""The options of `serve` for instances: what must be given, what is refused, what is warned of."""

from __future__ import annotations

import subprocess
import sys

import pytest

from taskrunner.cli import EXIT_USAGE, main
from taskrunner.cli.ec2_options import Ec2Options


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    given = ("serve", "--no-auth", "--listen", "127.0.0.1:0", *arguments)
    assert main(given) == EXIT_USAGE
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--resources", "ec2"), "--resources ec2: say with --ec2-package what instances are to"),
        (
            ("--resources", "ec2", "--ec2-package", "taskrunner"),
            "found 'taskrunner', wanted a package of your trust",
        ),
        (
            ("--resources", "none", "--ec2-package", "x.whl"),
            "--ec2-package: no rule of --resources is ec2",
        ),
        (("--ec2-endpoint", "https://x"), "--ec2-endpoint: no rule of --resources is ec2"),
        (
            ("--resources", "ec2", "--ec2-package", "x.whl", "--ec2-endpoint", "ftp://x"),
            "'ftp://x'",
        ),
    ],
)
def test_options_that_do_not_fit_the_rules_are_refused(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    assert said in complaint(capsys, *arguments)


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        (None, "which they cannot reach: give --ec2-endpoint URL"),
        ("http://0.0.0.0:8484", "which they cannot reach"),
        ("http://10.0.0.1:8484", "can be read on the way: put TLS before it"),
        ("https://pipelines.example.com", None),
    ],
)
def test_an_address_that_instances_do_not_reach_or_trust_is_warned_of(
    endpoint: str | None, said: str | None
) -> None:
    warning = Ec2Options(package="x.whl", endpoint=endpoint).warning("http://127.0.0.1:8484")
    assert (said is None and warning is None) or (said or "") in (warning or "")


def test_boto3_waits_until_a_rule_makes_instances() -> None:
    program = """
from taskrunner.cli import serve
from taskrunner.service.engine import Service
from taskrunner.service.resources.ec2.provider import Ec2Machines
import sys
print(*{name.partition(".")[0] for name in sys.modules})
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert {"boto3", "botocore"} & {*done.stdout.split()} == set()
