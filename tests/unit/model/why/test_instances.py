from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from taskrunner.model.instances import Dependency, DependencyKind
from taskrunner.model.rows import InstanceRow
from taskrunner.model.states import InstanceStatus
from taskrunner.model.why.causes import Code
from taskrunner.model.why.facts import Facts, Known, Pipeline
from taskrunner.model.why.instances import MOST_LINKS, explain

NOW = datetime(2026, 2, 13, 2, tzinfo=UTC)
PIPELINE = Pipeline(pipeline_id="df-1", state="SCHEDULED")
_I = InstanceStatus


def known(
    instance_id: str,
    *after: str,
    status: InstanceStatus = _I.WAITING_ON_DEPENDENCIES,
    category: str = "activity",
    **more: object,
) -> Known:
    row = InstanceRow(
        pipeline_id="df-1",
        instance_id=instance_id,
        component_id=instance_id[1:],
        name=instance_id[1:],
        type="ShellCommandActivity",
        category=category,
        version=1,
        status=status,
        scheduled_start=NOW,
        scheduled_end=NOW,
        not_before=NOW,
        created_at=NOW,
        worker_group="g",
    )
    unmet = tuple(Dependency(key, DependencyKind.DEPENDS_ON) for key in after)
    return Known(row=row, unmet=unmet, **more)  # type: ignore[arg-type]


def facts(*instances: Known, whole: bool = True) -> Facts:
    by_id = {item.row.instance_id: item for item in instances}
    return Facts(now=NOW, pipeline=PIPELINE, instances=by_id, whole=whole)


def test_what_waits_in_a_circle_comes_to_an_end() -> None:
    (cause,) = explain(facts(known("@A", "@B"), known("@B", "@A")), "@A")
    codes = []
    while True:
        codes.append(cause.code)
        if not cause.because:
            break
        (cause,) = cause.because
    assert 2 <= len(codes) <= 4
    assert set(codes) == {Code.DEPENDENCY_NOT_FINISHED}


def test_a_chain_without_end_is_cut() -> None:
    links = [known(f"@{n}", f"@{n + 1}") for n in range(10 * MOST_LINKS)]
    (cause,) = explain(facts(*links), "@0")
    depth = 0
    while cause.because:
        (cause,) = cause.because
        depth += 1
    assert depth == MOST_LINKS


def test_what_has_failed_is_told_before_what_may_still_finish() -> None:
    found = explain(
        facts(
            known("@A", "@Slow", "@Bad"),
            known("@Slow", status=_I.RUNNING),
            known("@Bad", status=_I.FAILED),
        ),
        "@A",
    )
    assert [(cause.object_id, cause.code) for cause in found] == [
        ("@Bad", Code.DEPENDENCY_FAILED),
        ("@Slow", Code.DEPENDENCY_NOT_FINISHED),
    ]


def test_what_was_never_made_is_another_thing_than_what_was_not_looked_at() -> None:
    (cause,) = explain(facts(known("@A", "@B", missing=frozenset({"@B"}))), "@A")
    assert (cause.code, cause.command) == (
        Code.DEPENDENCY_MISSING,
        "taskrunner schedule pipeline.json",
    )
    (cause,) = explain(facts(known("@A", "@B")), "@A")
    assert (cause.code, cause.says) == (
        Code.DEPENDENCY_NOT_FINISHED,
        "it waits for @B (dependsOn), which has not finished",
    )


@pytest.mark.parametrize(
    ("whole", "words"),
    [(True, "begins within seconds"), (False, "nothing that this service tells")],
)
def test_what_nothing_holds_back_is_about_to_begin(whole: bool, words: str) -> None:
    (cause,) = explain(facts(known("@A"), whole=whole), "@A")
    assert cause.code is Code.ABOUT_TO_BEGIN
    assert words in cause.says


def test_a_resource_on_its_way_out_and_one_on_its_way_in() -> None:
    ends = known("@R", status=_I.SHUTTING_DOWN, category="resource")
    begins = known("@S", status=_I.CREATING, category="resource")
    assert explain(facts(ends), "@R")[0].code is Code.SHUTTING_DOWN
    assert explain(facts(begins), "@S")[0].code is Code.RESOURCE_CREATING


def test_a_paused_one_that_was_resumed_is_looked_at_as_if_it_waited() -> None:
    late = known("@A", status=_I.PAUSED)
    assert explain(facts(late), "@A")[0].code is Code.ABOUT_TO_BEGIN


def test_every_status_has_an_answer() -> None:
    for status in InstanceStatus:
        (first, *_) = explain(facts(known("@A", status=status)), "@A")
        assert first.says
        assert first.command


def test_times_are_told_with_how_far_they_are() -> None:
    later = known("@A")
    row = later.row.__class__.from_columns(
        {**later.row.columns(), "not_before": NOW + timedelta(hours=5)}
    )
    (cause,) = explain(facts(Known(row=row)), "@A")
    assert cause.says == "its time has not come: it begins at 2026-02-13T07:00:00 UTC (in 5 h)"
