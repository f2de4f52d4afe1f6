from __future__ import annotations

import pytest

from taskrunner.activities.base import PermanentTaskError, TaskError
from taskrunner.testing import ActivityEnvironment, new_task
from taskrunner_http.ok import HttpOkPrecondition


def asked(url: str) -> bool:
    with ActivityEnvironment() as environment:
        return environment.check(HttpOkPrecondition(), new_task("HttpOkPrecondition", {"url": url}))


def test_success_is_yes_and_not_found_is_not_yet(web) -> None:
    web.serve("/there", b"")
    assert asked(web.url("/there"))
    assert not asked(web.url("/not-yet"))


def test_a_server_in_trouble_is_a_failed_attempt(web) -> None:
    web.refuse("/busy", 503)
    with pytest.raises(TaskError, match="answered 503"):
        asked(web.url("/busy"))


def test_a_door_that_is_closed_stays_closed(web) -> None:
    web.refuse("/private", 401)
    with pytest.raises(PermanentTaskError, match="answered 401"):
        asked(web.url("/private"))
