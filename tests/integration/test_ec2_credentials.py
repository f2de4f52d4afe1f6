"""An instance role whose credentials change while a task runs: calls are signed with valid ones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from taskrunner.clock import SystemClock
from taskrunner.errors import ServiceUnreachable
from taskrunner.wire.api import Verdict
from taskrunner.wire.client import Client
from taskrunner.wire.endpoint import parse_endpoint
from taskrunner.wire.http import HttpReply, HttpRequest
from taskrunner.wire.keys import ChainKeys
from taskrunner.wire.runner import RunnerApi
from taskrunner.wire.signing import find_signer
from tests.fake_imds import ROLES, FakeImds, fake_imds

pytestmark = pytest.mark.xdist_group("alone")

REGION = "eu-west-1"
ENDPOINT = parse_endpoint(f"https://datapipeline.{REGION}.amazonaws.com")


@dataclass
class Recorder:
    """A service that says yes, and remembers with which keys it was asked."""

    keys: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    def send(self, request: HttpRequest, *, deadline_s: float) -> HttpReply:
        found = re.search(r"Credential=([^/]+)/", request.headers["authorization"])
        assert found is not None
        self.keys.append(found[1])
        self.tokens.append(request.headers["x-amz-security-token"])
        return HttpReply(status=200, body=b'{"canceled": false}')


class Instance:
    """The role's credentials as botocore finds them, with a clock that can be moved."""

    def __init__(self, imds: FakeImds) -> None:
        self.imds = imds
        self.recorder = Recorder()
        self._ahead = timedelta()
        imds.grant("AKID1", expires=self._now() + timedelta(hours=6))
        signer = find_signer(ENDPOINT, region=REGION, clock=SystemClock())
        assert signer is not None
        assert isinstance(signer.source, ChainKeys)
        # botocore asks this when it decides whether to renew.
        credentials: Any = signer.source.credentials
        credentials._time_fetcher = self._now
        client = Client(ENDPOINT, self.recorder, signer=signer, clock=SystemClock())
        self.runner = RunnerApi(client.call)

    def pass_time(self, time: timedelta) -> None:
        self._ahead += time

    def rotate(self, key: str) -> None:
        self.imds.grant(key, expires=self._now() + timedelta(hours=6))

    def _now(self) -> Any:
        return SystemClock().now() + self._ahead


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Instance]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with fake_imds() as imds:
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", imds.url)
        yield Instance(imds)


def test_a_task_outlives_the_credentials_that_it_began_with(instance: Instance) -> None:
    runner, recorder = instance.runner, instance.recorder
    runner.report_task_progress("t", {})
    instance.pass_time(timedelta(hours=5))
    instance.rotate("AKID2")
    runner.report_task_progress("t", {})
    assert recorder.keys == ["AKID1", "AKID1"], "the first ones are valid still"
    instance.pass_time(timedelta(hours=1, minutes=1))
    runner.report_task_progress("t", {})
    instance.pass_time(timedelta(hours=4))
    instance.rotate("AKID3")
    instance.pass_time(timedelta(hours=2))
    runner.set_task_status("t", Verdict(status="FINISHED"))
    assert recorder.keys == ["AKID1", "AKID1", "AKID2", "AKID3"]
    assert recorder.tokens[-1] == "token of AKID3"


def test_they_are_renewed_before_they_expire(instance: Instance) -> None:
    instance.pass_time(timedelta(hours=5, minutes=50))
    instance.rotate("AKID2")
    instance.runner.report_task_progress("t", {})
    assert instance.recorder.keys == ["AKID2"]


def test_a_gap_in_the_metadata_just_before_the_end_costs_nothing(instance: Instance) -> None:
    instance.runner.report_task_progress("t", {})
    instance.imds.down = True
    instance.pass_time(timedelta(hours=5, minutes=59))
    instance.runner.report_task_progress("t", {})
    assert instance.recorder.keys == ["AKID1", "AKID1"]
    instance.pass_time(timedelta(minutes=1))
    with pytest.raises(ServiceUnreachable, match="credentials could not be renewed"):
        instance.runner.report_task_progress("t", {})


def test_without_any_the_call_fails_as_one_to_try_again(instance: Instance) -> None:
    instance.imds.values.pop(ROLES)
    instance.pass_time(timedelta(hours=7))
    with pytest.raises(ServiceUnreachable, match="credentials could not be renewed"):
        instance.runner.report_task_progress("t", {})
    instance.rotate("AKID2")
    instance.runner.report_task_progress("t", {})
    assert instance.recorder.keys == ["AKID2"]


def test_credentials_are_asked_for_with_a_token_of_version_2(instance: Instance) -> None:
    instance.runner.report_task_progress("t", {})
    assert instance.imds.requests[0] == ("PUT", "/latest/api/token")
