from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from taskrunner.errors import (
    InvalidRequest,
    PipelineDeleted,
    PipelineNotFound,
    ServiceFault,
)
from taskrunner.model.document import Field, ParameterObject, ParameterValue, PipelineObject, Ref
from taskrunner.model.masks import MASK
from taskrunner.service.callers import Caller
from taskrunner.service.engine import Service
from taskrunner.service.handlers import definitions, pipelines
from taskrunner.service.settings import ServiceSettings
from taskrunner.wire.inputs import (
    ActivatePipelineInput,
    AddTagsInput,
    CreatePipelineInput,
    DeactivatePipelineInput,
    DeletePipelineInput,
    DescribePipelinesInput,
    GetPipelineDefinitionInput,
    ListPipelinesInput,
    PutPipelineDefinitionInput,
    RemoveTagsInput,
    ValidatePipelineDefinitionInput,
)
from taskrunner.wire.outputs import PutPipelineDefinitionOutput
from taskrunner.wire.structures import PipelineDescription, Tag
from tests.unit.wire.fakes import FixedClock

ADA = Caller(account="1", user="ada")
EVE = Caller(account="2", user="eve")
NOW = datetime(2026, 2, 13, 2, 0, tzinfo=UTC)

DEFAULT = PipelineObject(
    id="Default",
    name="Default",
    fields=(Field("scheduleType", "ondemand"), Field("workerGroup", "g")),
)


def shell(*fields: Field) -> PipelineObject:
    return PipelineObject(
        id="Say",
        name="say it",
        fields=(Field("type", "ShellCommandActivity"), Field("command", "echo hi"), *fields),
    )


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One for all: each test makes its own pipelines."""
    folder: Path = tmp_path_factory.mktemp("store")
    made = Service(
        ServiceSettings(database_url=f"sqlite:///{folder / 's.db'}"), clock=FixedClock(NOW)
    )
    yield made
    made.stop()


@pytest.fixture
def pipeline_id(service: Service, request: pytest.FixtureRequest) -> str:
    return create(service, request.node.name)


def create(service: Service, name: str, caller: Caller = ADA, *tags: Tag) -> str:
    made = CreatePipelineInput(name=name, unique_id="u", description="d", tags=tags)
    return pipelines.create_pipeline(service, caller, made).pipeline_id


def put(
    service: Service,
    pipeline_id: str,
    *objects: PipelineObject,
    parameters: tuple[ParameterObject, ...] = (),
    values: tuple[ParameterValue, ...] = (),
) -> PutPipelineDefinitionOutput:
    return definitions.put_pipeline_definition(
        service,
        ADA,
        PutPipelineDefinitionInput(
            pipeline_id=pipeline_id,
            pipeline_objects=objects,
            parameter_objects=parameters,
            parameter_values=values,
        ),
    )


def described(service: Service, pipeline_id: str) -> PipelineDescription:
    request = DescribePipelinesInput(pipeline_ids=(pipeline_id,))
    return pipelines.describe_pipelines(service, ADA, request).pipeline_description_list[0]


def field_of(description: PipelineDescription, key: str) -> object:
    return next((f.value for f in description.fields if f.key == key), None)


def test_creating_again_gives_the_same_pipeline(service: Service) -> None:
    assert create(service, "twice") == create(service, "twice")
    assert create(service, "twice") != create(service, "twice", EVE)


def test_a_new_pipeline_is_described_as_pending(service: Service, pipeline_id: str) -> None:
    found = described(service, pipeline_id)

    assert found.pipeline_id == pipeline_id
    assert found.description == "d"
    expected = {
        "@pipelineState": "PENDING",
        "@creationTime": "2026-02-13T02:00:00",
        "@id": pipeline_id,
        "@sphere": "PIPELINE",
        "@accountId": "1",
        "@userId": "ada",
        "pipelineCreator": "ada",
        "uniqueId": "u",
        "name": found.name,
    }
    assert {key: field_of(found, key) for key in expected} == expected
    assert field_of(found, "@latestRunTime") is None


def test_an_accounts_pipelines_are_not_there_for_another(
    service: Service, pipeline_id: str
) -> None:
    calls: list[Callable[[], object]] = [
        lambda: pipelines.describe_pipelines(
            service, EVE, DescribePipelinesInput(pipeline_ids=(pipeline_id,))
        ),
        lambda: pipelines.delete_pipeline(
            service, EVE, DeletePipelineInput(pipeline_id=pipeline_id)
        ),
        lambda: pipelines.activate_pipeline(
            service, EVE, ActivatePipelineInput(pipeline_id=pipeline_id)
        ),
        lambda: pipelines.deactivate_pipeline(
            service, EVE, DeactivatePipelineInput(pipeline_id=pipeline_id)
        ),
        lambda: pipelines.add_tags(
            service, EVE, AddTagsInput(pipeline_id=pipeline_id, tags=(Tag("a", "b"),))
        ),
        lambda: pipelines.remove_tags(
            service, EVE, RemoveTagsInput(pipeline_id=pipeline_id, tag_keys=("a",))
        ),
        lambda: definitions.get_pipeline_definition(
            service, EVE, GetPipelineDefinitionInput(pipeline_id=pipeline_id)
        ),
        lambda: definitions.put_pipeline_definition(
            service, EVE, PutPipelineDefinitionInput(pipeline_id=pipeline_id, pipeline_objects=())
        ),
        lambda: definitions.validate_pipeline_definition(
            service,
            EVE,
            ValidatePipelineDefinitionInput(pipeline_id=pipeline_id, pipeline_objects=()),
        ),
    ]
    for call in calls:
        with pytest.raises(PipelineNotFound):
            call()


def test_lists_come_in_pages_and_each_pipeline_once(service: Service) -> None:
    caller = Caller(account="list", user="u")
    made = {create(service, str(n), caller) for n in range(pipelines.PAGE + 5)}

    first = pipelines.list_pipelines(service, caller, ListPipelinesInput())
    second = pipelines.list_pipelines(service, caller, ListPipelinesInput(marker=first.marker))

    assert (first.has_more_results, second.has_more_results) == (True, False)
    assert second.marker is None
    listed = [str(item.id) for page in (first, second) for item in page.pipeline_id_list]
    assert sorted(listed) == listed
    assert set(listed) == made


def test_a_marker_is_one_that_a_page_gave(service: Service) -> None:
    caller = Caller(account="marked", user="ada")
    for marker in ("garbage", "df-", "df-1'--", "df-abc", "df-A\n"):
        with pytest.raises(InvalidRequest, match="marker is not one"):
            pipelines.list_pipelines(service, caller, ListPipelinesInput(marker=marker))
    since_deleted = ListPipelinesInput(marker="df-" + "A" * 20)
    assert pipelines.list_pipelines(service, caller, since_deleted).pipeline_id_list == ()


def test_no_more_than_25_pipelines_are_described_at_once(
    service: Service, pipeline_id: str
) -> None:
    request = DescribePipelinesInput(pipeline_ids=(pipeline_id,) * 26)

    with pytest.raises(InvalidRequest, match="at most 25 ids, found 26"):
        pipelines.describe_pipelines(service, ADA, request)


def test_deleted_is_said_to_everyone_but_who_deletes_again(
    service: Service, pipeline_id: str
) -> None:
    pipelines.delete_pipeline(service, ADA, DeletePipelineInput(pipeline_id=pipeline_id))

    with pytest.raises(PipelineDeleted):
        described(service, pipeline_id)
    with pytest.raises(PipelineNotFound):
        pipelines.delete_pipeline(service, ADA, DeletePipelineInput(pipeline_id=pipeline_id))


def test_tags_are_added_changed_and_removed(service: Service) -> None:
    pipeline_id = create(service, "tags", ADA, Tag("a", "1"))

    pipelines.add_tags(
        service, ADA, AddTagsInput(pipeline_id=pipeline_id, tags=(Tag("a", "2"), Tag("b", "3")))
    )
    pipelines.remove_tags(
        service, ADA, RemoveTagsInput(pipeline_id=pipeline_id, tag_keys=("b", "none"))
    )

    assert described(service, pipeline_id).tags == (Tag("a", "2"),)


def test_a_tag_given_twice_is_refused(service: Service, pipeline_id: str) -> None:
    tags = (Tag("a", "1"), Tag("a", "2"))

    with pytest.raises(InvalidRequest, match="twice"):
        pipelines.add_tags(service, ADA, AddTagsInput(pipeline_id=pipeline_id, tags=tags))


def test_a_definition_comes_back_as_it_was_put(service: Service, pipeline_id: str) -> None:
    reply = put(service, pipeline_id, DEFAULT, shell())

    got = definitions.get_pipeline_definition(
        service, ADA, GetPipelineDefinitionInput(pipeline_id=pipeline_id)
    )

    assert not reply.errored
    assert got.pipeline_objects == (DEFAULT, shell())


def test_before_the_first_put_the_definition_is_empty(service: Service, pipeline_id: str) -> None:
    for version in (None, "latest", "active"):
        request = GetPipelineDefinitionInput(pipeline_id=pipeline_id, version=version)
        got = definitions.get_pipeline_definition(service, ADA, request)
        assert got.pipeline_objects == ()


def test_an_unknown_version_is_said(service: Service, pipeline_id: str) -> None:
    request = GetPipelineDefinitionInput(pipeline_id=pipeline_id, version="first")

    with pytest.raises(InvalidRequest, match="latest or active"):
        definitions.get_pipeline_definition(service, ADA, request)


def test_a_definition_with_errors_is_stored_but_not_activated(
    service: Service, pipeline_id: str
) -> None:
    broken = shell(Field("dependsOn", Ref("Nowhere")))

    reply = put(service, pipeline_id, DEFAULT, broken)

    assert reply.errored
    assert [error.id for error in reply.validation_errors] == ["Say"]
    assert "Nowhere" in reply.validation_errors[0].errors[0]
    got = definitions.get_pipeline_definition(
        service, ADA, GetPipelineDefinitionInput(pipeline_id=pipeline_id)
    )
    assert got.pipeline_objects == (DEFAULT, broken)
    with pytest.raises(InvalidRequest, match="Nowhere"):
        pipelines.activate_pipeline(service, ADA, ActivatePipelineInput(pipeline_id=pipeline_id))


def test_a_definition_that_an_active_pipeline_does_not_take_is_stored_with_errors(
    service: Service, pipeline_id: str
) -> None:
    """As any with errors; it can be activated once the pipeline is not active any more."""
    put(service, pipeline_id, DEFAULT, shell())
    activate = ActivatePipelineInput(pipeline_id=pipeline_id)
    pipelines.activate_pipeline(service, ADA, activate)

    reply = put(service, pipeline_id, DEFAULT)

    assert reply.errored
    (error,) = reply.validation_errors
    assert error.id == "Say"
    assert "removed while its pipeline is active" in error.errors[0]
    with pytest.raises(InvalidRequest, match="removed while its pipeline is active"):
        pipelines.activate_pipeline(service, ADA, activate)
    pipelines.deactivate_pipeline(service, ADA, DeactivatePipelineInput(pipeline_id=pipeline_id))
    assert not put(service, pipeline_id, DEFAULT).errored
    pipelines.activate_pipeline(service, ADA, activate)


def test_validation_stores_nothing(service: Service, pipeline_id: str) -> None:
    request = ValidatePipelineDefinitionInput(
        pipeline_id=pipeline_id, pipeline_objects=(DEFAULT, shell(Field("onFail", Ref("X"))))
    )

    reply = definitions.validate_pipeline_definition(service, ADA, request)

    got = definitions.get_pipeline_definition(
        service, ADA, GetPipelineDefinitionInput(pipeline_id=pipeline_id)
    )
    assert reply.errored
    assert got.pipeline_objects == ()


@pytest.mark.parametrize("value", ["", Ref("")])
def test_an_empty_field_is_refused(service: Service, pipeline_id: str, value: str | Ref) -> None:
    with pytest.raises(InvalidRequest, match="'Say': the field 'stdout' is empty"):
        put(service, pipeline_id, DEFAULT, shell(Field("stdout", value)))


@pytest.mark.parametrize("key", ["id", "name"])
def test_a_field_that_hides_the_objects_own_id_or_name_is_refused(
    service: Service, pipeline_id: str, key: str
) -> None:
    with pytest.raises(InvalidRequest, match=f"'Say': {key} stands among the fields too"):
        put(service, pipeline_id, DEFAULT, shell(Field(key, "x")))


def test_secrets_are_masked_and_survive_their_mask(service: Service, pipeline_id: str) -> None:
    secret = ParameterObject(id="*myP", attributes=(("type", "String"),))
    value = ParameterValue(id="*myP", value="canary")
    put(service, pipeline_id, DEFAULT, shell(), parameters=(secret,), values=(value,))

    got = definitions.get_pipeline_definition(
        service, ADA, GetPipelineDefinitionInput(pipeline_id=pipeline_id)
    )
    put(
        service,
        pipeline_id,
        *got.pipeline_objects,
        parameters=got.parameter_objects,
        values=got.parameter_values,
    )

    assert got.parameter_values == (ParameterValue(id="*myP", value=MASK),)
    assert service.definition(pipeline_id).values[0].value == "canary"


def test_activation_takes_parameter_values_and_masks_keep_theirs(
    service: Service, pipeline_id: str
) -> None:
    put(
        service,
        pipeline_id,
        DEFAULT,
        shell(Field("scriptArgument", "#{myA}")),
        parameters=(
            ParameterObject(id="myA", attributes=(("type", "String"),)),
            ParameterObject(id="*myP", attributes=(("type", "String"),)),
        ),
        values=(ParameterValue(id="*myP", value="canary"),),
    )
    request = ActivatePipelineInput(
        pipeline_id=pipeline_id,
        parameter_values=(
            ParameterValue(id="myA", value="given"),
            ParameterValue(id="*myP", value=MASK),
        ),
    )

    pipelines.activate_pipeline(service, ADA, request)

    values = {item.id: item.value for item in service.definition(pipeline_id, "active").values}
    assert values == {"myA": "given", "*myP": "canary"}
    assert field_of(described(service, pipeline_id), "@pipelineState") == "SCHEDULED"


def test_a_pipeline_without_a_definition_cannot_be_activated(
    service: Service, pipeline_id: str
) -> None:
    with pytest.raises(ServiceFault, match="definition"):
        pipelines.activate_pipeline(service, ADA, ActivatePipelineInput(pipeline_id=pipeline_id))


def test_an_active_pipeline_can_be_deactivated(service: Service, pipeline_id: str) -> None:
    put(service, pipeline_id, DEFAULT, shell())
    pipelines.activate_pipeline(service, ADA, ActivatePipelineInput(pipeline_id=pipeline_id))

    pipelines.deactivate_pipeline(
        service, ADA, DeactivatePipelineInput(pipeline_id=pipeline_id, cancel_active=True)
    )

    state = field_of(described(service, pipeline_id), "@pipelineState")
    assert state in {"INACTIVE", "DEACTIVATING"}


def test_validation_fills_no_secret_in_for_its_mask(service: Service, pipeline_id: str) -> None:
    secret = ParameterObject(id="*myP", attributes=(("type", "String"),))
    value = ParameterValue(id="*myP", value="canary")
    put(service, pipeline_id, DEFAULT, shell(), parameters=(secret,), values=(value,))

    def said(*allowed: str, owner: str = "*myP") -> tuple[bool, object, object]:
        attributes = (("type", "Integer"), *(("allowedValues", text) for text in allowed))
        request = ValidatePipelineDefinitionInput(
            pipeline_id=pipeline_id,
            pipeline_objects=(DEFAULT, shell()),
            parameter_objects=(ParameterObject(id="*myP", attributes=attributes),),
            parameter_values=(ParameterValue(id=owner, value=MASK),),
        )
        reply = definitions.validate_pipeline_definition(service, ADA, request)
        return reply.errored or False, reply.validation_errors, reply.validation_warnings

    assert said("canary") == said("canaries", "x") == said()
    assert not said()[0]
    with pytest.raises(InvalidRequest, match="only stands for a secret that is stored"):
        said(owner="*myOther")
