from __future__ import annotations

import traceback
from dataclasses import replace

import pytest

from taskrunner.data.databases.properties import Options
from taskrunner.data.redshift.authorization import Authorization, of_keys
from taskrunner.data.redshift.carrying_out import authorization_for, carry_out
from taskrunner.data.redshift.session import LoadError, Step
from taskrunner.data.redshift.wanted import Wanted
from taskrunner.errors import ErrorId, TaskError
from tests.unit.data.redshift.fakes import SPEC, FakeMonitor, FakeSession

COPY = Step(sql="COPY t", about="load the data", is_copy=True, moves=True)
WANTED = Wanted(options=(), role=None)
ARN = "arn:aws:iam::123456789012:role/load"


def of_spec(**properties: str) -> FakeSession:
    return FakeSession(spec=replace(SPEC, options=Options(other=properties)))


def test_whose_rights() -> None:
    assert authorization_for(of_spec(iamrole=ARN), WANTED).clause == f"IAM_ROLE '{ARN}'"
    named = Wanted(options=(), role="IAM_ROLE default")
    assert authorization_for(of_spec(iamrole=ARN), named).clause == "IAM_ROLE default"
    assert "SECRET_ACCESS_KEY" in authorization_for(of_spec(), WANTED).clause
    assert authorization_for(FakeSession(takes_keys=False), WANTED).clause == "IAM_ROLE default"
    assert authorization_for(FakeSession(needs_authorization=False), WANTED).clause == ""


def test_progress_and_the_number_of_rows() -> None:
    monitor = FakeMonitor()
    steps = [Step(sql="DELETE", about="empty"), COPY]
    assert carry_out(FakeSession(), steps, monitor, Authorization(), "Copy 'X'") == 3
    assert monitor.told == [{"rows": 3}]


def failure(message: str, session: FakeSession | None = None, step: Step = COPY) -> TaskError:
    session = session or FakeSession()
    session.fails = (step.sql, message)
    keys = of_keys("AKIAEXAMPLEEXAMPLE", "the-secret-key-of-the-agent", None)
    with pytest.raises(TaskError) as found:
        carry_out(session, [step], FakeMonitor(), keys, "RedshiftCopyActivity 'Load'")
    return found.value


@pytest.mark.parametrize(
    ("message", "error_id", "remedy"),
    [
        (
            f"User arn:aws:redshift:x is not authorized to assume IAM Role {ARN}",
            ErrorId.ACCESS_DENIED,
            "attach the role to the cluster",
        ),
        ("S3ServiceException:Access Denied,Status 403", ErrorId.ACCESS_DENIED, "need rights to"),
        ("The S3 bucket must be addressed using the", ErrorId.INVALID_FIELD, "with REGION in"),
        ("The provided token has expired: ExpiredToken", ErrorId.ACCESS_DENIED, "use a role"),
        ("1023 Serializable isolation violation on", ErrorId.ACTIVITY_FAILED, "another attempt"),
        ("syntax error", ErrorId.ACTIVITY_FAILED, "syntax error"),
    ],
)
def test_what_has_a_remedy_says_it(message: str, error_id: str, remedy: str) -> None:
    found = failure(message)
    assert str(found).startswith("RedshiftCopyActivity 'Load': ")
    assert remedy in str(found)
    assert found.error_id == error_id


def test_rows_that_were_not_taken_are_in_the_verdict() -> None:
    rows = [
        LoadError(file="s3://b/f", line=str(n), column="", type="", value="", reason="bad")
        for n in range(1, 6)
    ]
    found = str(failure("Load into table failed", FakeSession(errors=rows)))
    assert "s3://b/f, line 1: bad | s3://b/f, line 2: bad | s3://b/f, line 3: bad" in found
    assert "line 4" not in found
    assert "(and 2 more)" in found


def test_a_guard_that_fails_means_another_attempt() -> None:
    guard = Step(sql="SELECT 1 / 0", about="note", is_guard=True)
    assert "another attempt of the instance was faster" in str(
        failure("Divide by zero", step=guard)
    )


def test_no_key_is_in_the_error_or_its_trace() -> None:
    """What a server quotes of the statement is not in any text that is made of the failure."""
    found = failure("syntax error at 'SECRET_ACCESS_KEY 'the-secret-key-of-the-agent''")
    text = "".join(traceback.format_exception(found))
    assert "the-secret-key-of-the-agent" not in text
    assert "AKIAEXAMPLEEXAMPLE" not in text
