from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from taskrunner.cli.leaving.account import Account
from taskrunner.errors import CallRefused, ServiceUnreachable
from taskrunner.testing.clock import FakeClock
from taskrunner.wire.api import Call
from taskrunner.wire.inputs import DescribePipelinesInput, ListPipelinesInput
from taskrunner.wire.outputs import DescribePipelinesOutput, ListPipelinesOutput
from taskrunner.wire.structures import PipelineDescription, PipelineIdName


def account(answer: Callable[[Any], Any]) -> tuple[Account, FakeClock]:
    clock = FakeClock()
    return Account(cast(Call, answer), clock), clock


def described(ids: tuple[str, ...]) -> DescribePipelinesOutput:
    return DescribePipelinesOutput(
        pipeline_description_list=tuple(
            PipelineDescription(pipeline_id=one, name=one, fields=()) for one in ids
        )
    )


class _Many:
    """An account of 60 pipelines in pages, of which one is deleted after it was listed."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, request: Any) -> Any:
        if isinstance(request, ListPipelinesInput):
            at = int(request.marker or 0)
            return ListPipelinesOutput(
                pipeline_id_list=tuple(
                    PipelineIdName(id=f"df-{n}", name="x") for n in range(at, at + 30)
                ),
                marker=str(at + 30),
                has_more_results=at == 0,
            )
        assert isinstance(request, DescribePipelinesInput)
        self.asked.append(len(request.pipeline_ids))
        if "df-7" in request.pipeline_ids:
            raise CallRefused("gone", code="PipelineDeletedException")
        return described(request.pipeline_ids)


def test_every_page_is_read_and_one_that_goes_meanwhile_is_left_out() -> None:
    many = _Many()
    found, _ = account(many)
    ids = [one.pipeline_id for one in found.pipelines()]
    assert ids == [f"df-{n}" for n in range(60) if n != 7]
    assert max(many.asked) == 25


def test_another_refusal_is_not_taken_for_a_pipeline_that_is_gone() -> None:
    def refuse(request: Any) -> Any:
        raise CallRefused("no", code="InvalidRequestException")

    found, clock = account(refuse)
    with pytest.raises(CallRefused):
        list(found.pipelines(["df-1"]))
    assert clock.waits == []


def test_a_throttled_call_is_made_again_and_not_for_ever() -> None:
    failures = [3]

    def throttle(request: DescribePipelinesInput) -> Any:
        failures[0] -= 1
        if failures[0] >= 0:
            raise ServiceUnreachable("Throttling")
        return described(request.pipeline_ids)

    found, clock = account(throttle)
    assert [one.name for one in found.pipelines(["df-1"])] == ["df-1"]
    assert len(clock.waits) == 3
    failures[0] = 1000
    with pytest.raises(ServiceUnreachable):
        list(found.pipelines(["df-1"]))
    assert len(clock.waits) == 8
    assert max(clock.waits) <= 20
