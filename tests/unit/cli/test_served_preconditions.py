"""What checks preconditions in the service: the types that are AWS's, and nothing of this host."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskrunner.cli.served_preconditions import TYPES, CheckContext, Checker, types_for
from taskrunner.data.settings import DataSettings
from taskrunner.errors import ErrorId
from taskrunner.model.catalog.effects import settable
from taskrunner.testing import new_task


@pytest.fixture
def checker(tmp_path: Path) -> Checker:
    (tmp_path / "s3" / "b" / "in").mkdir(parents=True)
    (tmp_path / "s3" / "b" / "in" / "a.csv").touch()
    return Checker("us-east-1", tmp_path / "s3")


@pytest.mark.parametrize(
    ("kind", "fields", "status"),
    [
        ("S3KeyExists", {"s3Key": "s3://b/in/a.csv"}, "FINISHED"),
        ("S3KeyExists", {"s3Key": "s3://b/in/b.csv"}, "FALSE"),
        ("S3PrefixNotEmpty", {"s3Prefix": "s3://b/in/"}, "FINISHED"),
        ("S3PrefixNotEmpty", {"s3Prefix": "s3://b/out/"}, "FALSE"),
    ],
)
def test_what_holds_and_what_does_not(
    checker: Checker, kind: str, fields: dict[str, str], status: str
) -> None:
    assert checker(new_task(kind, fields)).status == status


@pytest.mark.parametrize(
    ("kind", "fields", "error_id", "message"),
    [
        ("S3KeyExists", {"s3Key": "/etc/passwd"}, ErrorId.NOT_ALLOWED, "/etc/passwd"),
        ("S3KeyExists", {"s3Key": "file:///etc/passwd"}, ErrorId.NOT_ALLOWED, "/etc/passwd"),
        ("S3KeyExists", {}, ErrorId.INVALID_FIELD, "'s3Key'"),
        ("DynamoDBTableExists", {}, ErrorId.INVALID_FIELD, "'tableName'"),
        ("DynamoDBDataExists", {}, ErrorId.INVALID_FIELD, "'tableName'"),
        (
            "ShellCommandPrecondition",
            {"command": "true"},
            ErrorId.UNSUPPORTED_TYPE,
            "itself, and runs no ShellCommandPrecondition",
        ),
    ],
)
def test_what_fails_is_a_verdict(
    checker: Checker, kind: str, fields: dict[str, str], error_id: str, message: str
) -> None:
    verdict = checker(new_task(kind, fields))
    assert (verdict.status, verdict.error_id) == ("FAILED", error_id)
    assert message in (verdict.error_message or "")


def test_the_option_says_whose_they_are() -> None:
    assert types_for("agents") == frozenset()
    assert types_for("service") == TYPES
    assert all("role" in settable(name) for name in TYPES)


def test_a_check_runs_nothing_and_has_no_files() -> None:
    ctx = CheckContext(new_task("S3KeyExists"), DataSettings())
    for use in (
        lambda: ctx.work_dir,
        lambda: ctx.files,
        lambda: ctx.stdout_path,
        lambda: ctx.stderr_path,
        lambda: ctx.run_command(["true"]),
        lambda: ctx.copy_output(Path("x"), "s3://b/x"),
    ):
        with pytest.raises(NotImplementedError, match="no files and no commands"):
            use()
