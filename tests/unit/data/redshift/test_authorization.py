from __future__ import annotations

import pytest

from taskrunner.data.redshift.authorization import of_agent, of_keys, of_role
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError

ARN = "arn:aws:iam::123456789012:role/load"


def test_roles() -> None:
    assert of_role("Default").clause == "IAM_ROLE default"
    assert of_role(ARN).clause == f"IAM_ROLE '{ARN}'"
    assert of_role(f"{ARN},{ARN}2").clause == f"IAM_ROLE '{ARN},{ARN}2'"
    with pytest.raises(PermanentTaskError, match="the property iamRole is 'load'"):
        of_role("load")


def test_keys_are_in_the_clause_and_in_no_text() -> None:
    found = of_keys("AKIAEXAMPLEEXAMPLE", "se'cret-key-of-the-agent", "the-session-token")
    assert found.clause == (
        "ACCESS_KEY_ID 'AKIAEXAMPLEEXAMPLE' SECRET_ACCESS_KEY 'se''cret-key-of-the-agent' "
        "SESSION_TOKEN 'the-session-token'"
    )
    assert "secret" not in repr(found).replace("secrets", "")
    hidden = found.hidden("se'cret-key-of-the-agent and the-session-token and AKIAEXAMPLEEXAMPLE")
    assert hidden == "******** and ******** and ********"


def test_the_agents_own_keys() -> None:
    """As the tests' environment has them."""
    assert of_agent().clause == "ACCESS_KEY_ID 'testing' SECRET_ACCESS_KEY 'testing'"


def test_an_agent_without_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(TaskError, match=r"no AWS credentials.*set iamRole") as found:
        of_agent()
    assert found.value.error_id == ErrorId.ACCESS_DENIED
