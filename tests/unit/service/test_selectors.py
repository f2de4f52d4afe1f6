from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import pytest

from taskrunner.errors import InvalidRequest
from taskrunner.model.document import Definition, Field, PipelineObject, Ref
from taskrunner.model.rows import InstanceRow
from taskrunner.model.states import InstanceStatus, PipelineState
from taskrunner.service.component_facts import ComponentFacts
from taskrunner.service.definitions import LoadedDefinition
from taskrunner.service.runtime_values import Subject
from taskrunner.service.selectors import Condition
from taskrunner.service.store.rows import PipelineRow
from taskrunner.service.subjects import Component, Instance
from taskrunner.testing.service import as_definition
from taskrunner.wire.structures import Operator, Selector

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

NOON = datetime(2026, 2, 13, 12, 0, 0, 999, tzinfo=UTC)

#: Fields of the object itself are found without asking the store.
NOTHING = cast("Connection", None)
PIPELINE = PipelineRow(
    pipeline_id="df-1",
    account="1",
    user_id="u",
    name="p",
    unique_id="1",
    description=None,
    tags=(),
    state=PipelineState.PENDING,
    created_at=NOON,
)
COMPONENT = Component(
    row=PIPELINE,
    obj=PipelineObject(
        id="A",
        name="an A",
        fields=(
            Field("type", "ShellCommandActivity"),
            Field("maximumRetries", "10"),
            Field("attemptTimeout", "2 hours"),
            Field("retryDelay", "#{myDelay}"),
            Field("scriptArgument", "b"),
            Field("scriptArgument", "x"),
            Field("dependsOn", Ref("B")),
        ),
    ),
    facts=ComponentFacts(NOTHING, PIPELINE, LoadedDefinition(Definition())),
)
INSTANCE = Instance(
    row=InstanceRow(
        pipeline_id="df-1",
        instance_id="@A_1",
        component_id="A",
        name="A",
        type="ShellCommandActivity",
        category="activity",
        version=10,
        status=InstanceStatus.RUNNING,
        scheduled_start=NOON,
        scheduled_end=NOON,
        not_before=NOON,
        created_at=NOON,
    ),
    loaded=LoadedDefinition(as_definition([{"id": "A", "type": "ShellCommandActivity"}])),
)


def condition(key: str | None, operator: str | None, *wanted: str) -> Condition:
    return Condition.of(Selector(field_name=key, operator=Operator(type=operator, values=wanted)))


@pytest.mark.parametrize(
    ("key", "operator", "wanted", "met"),
    [
        ("@status", "EQ", ["RUNNING"], True),
        ("@status", "EQ", ["FAILED", "RUNNING"], True),
        ("@status", "EQ", ["FAILED"], False),
        ("@status", "REF_EQ", ["RUNNING"], False),
        ("@componentParent", "REF_EQ", ["A"], True),
        ("@componentParent", "GE", ["A"], False),
        # Numbers are compared as numbers: as texts, 9 would come after 10.
        ("@version", "GE", ["9"], True),
        ("@version", "LE", ["9"], False),
        ("@version", "EQ", ["10.0"], True),
        # Moments, in any form that a DateTime may have, to the second that is shown.
        ("@scheduledStartTime", "EQ", ["2026-02-13T12:00:00"], True),
        ("@scheduledStartTime", "EQ", ["2026-02-13T13:00:00+01:00"], True),
        ("@scheduledStartTime", "LE", ["2026-02-13T12:00:00"], True),
        ("@scheduledStartTime", "GE", ["2026-02-13T12:00:01"], False),
        ("@scheduledStartTime", "BETWEEN", ["2026-02-13", "2026-02-14"], True),
        ("@scheduledStartTime", "BETWEEN", ["2026-02-14", "2026-02-15"], False),
        ("@actualStartTime", "GE", ["2000-01-01"], False),
    ],
)
def test_what_the_run_says_is_compared_by_its_type(
    key: str, operator: str, wanted: list[str], *, met: bool
) -> None:
    assert condition(key, operator, *wanted).met_by(INSTANCE) is met


@pytest.mark.parametrize(
    ("key", "operator", "wanted", "met"),
    [
        ("maximumRetries", "GE", ["9"], True),
        ("maximumRetries", "BETWEEN", ["2", "9"], False),
        ("attemptTimeout", "EQ", ["120 minutes"], True),
        ("attemptTimeout", "GE", ["90 minutes"], True),
        ("attemptTimeout", "LE", ["1 month"], True),
        ("scriptArgument", "EQ", ["x"], True),
        ("scriptArgument", "GE", ["c"], True),
        ("scriptArgument", "BETWEEN", ["c", "d"], False),
        ("dependsOn", "REF_EQ", ["B"], True),
        ("retryDelay", "EQ", ["#{myDelay}"], True),
        ("retryDelay", "GE", ["1 minute"], False),
        ("nothing", "LE", ["z"], False),
    ],
)
def test_what_a_definition_says_is_compared_by_the_type_of_its_field(
    key: str, operator: str, wanted: list[str], *, met: bool
) -> None:
    assert condition(key, operator, *wanted).met_by(COMPONENT) is met


@pytest.mark.parametrize(
    ("subject", "key", "wanted", "words"),
    [
        (INSTANCE, "@scheduledStartTime", "noon", "@scheduledStartTime: GE: found 'noon', wanted"),
        (INSTANCE, "@version", "ten", "found 'ten', wanted a number"),
        (COMPONENT, "attemptTimeout", "long", "attemptTimeout: GE: found 'long'"),
    ],
)
def test_a_range_that_is_of_another_type_is_refused(
    subject: Subject, key: str, wanted: str, words: str
) -> None:
    with pytest.raises(InvalidRequest, match=words):
        condition(key, "GE", wanted).met_by(subject)
    assert condition(key, "EQ", wanted).met_by(subject) is False


@pytest.mark.parametrize(
    ("key", "operator", "wanted", "words"),
    [
        (None, "EQ", ["x"], "needs a fieldName"),
        ("name", None, ["x"], "an operator type of EQ, REF_EQ, LE, GE, BETWEEN"),
        ("name", "LIKE", ["x"], "an operator type of EQ"),
        ("name", "BETWEEN", ["x"], "name: BETWEEN needs two values, found 1"),
        ("name", "GE", [], "name: GE needs a value"),
    ],
)
def test_a_selector_that_lacks_something_is_refused(
    key: str | None, operator: str | None, wanted: list[str], words: str
) -> None:
    with pytest.raises(InvalidRequest, match=words):
        condition(key, operator, *wanted)
