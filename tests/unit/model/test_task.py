from __future__ import annotations

from dataclasses import replace

import pytest

from taskrunner.errors import ErrorId, PermanentTaskError
from taskrunner.model.document import Field, PipelineObject, Ref
from taskrunner.model.task import Task, TaskObject, with_secrets_marked
from taskrunner.secret import Secret

ATTEMPT = "@Copy_2026-02-13T02:00:00_Attempt=2"
INSTANCE = "@Copy_2026-02-13T02:00:00"


def obj(object_id: str, **fields: str | Ref | list[str | Ref]) -> PipelineObject:
    pairs = [
        Field(key.replace("at_", "@"), value)
        for key, given in fields.items()
        for value in (given if isinstance(given, list) else [given])
    ]
    return PipelineObject(id=object_id, name=object_id.lower(), fields=tuple(pairs))


def task(**fields: str | Ref | list[str | Ref]) -> Task:
    main = obj(ATTEMPT, type="CopyActivity", **fields)
    node = obj("@In_1", at_componentParent=Ref("In"), database=Ref("Db"))
    objects = {found.id: found for found in (main, node, obj("Db", url="jdbc:x"))}
    return Task(task_id="t", pipeline_id="df-1", attempt_id=ATTEMPT, objects=objects)


def main(**fields: str | Ref | list[str | Ref]) -> TaskObject:
    return task(**fields).main


def test_it_knows_its_instance_and_component() -> None:
    known = task(at_componentParent=Ref("Copy"), at_instanceParent=Ref("@Other_1"))
    assert (known.component_id, known.instance_id) == ("Copy", "@Other_1")
    assert (known.main.id, known.main.name, known.main.type) == (
        ATTEMPT,
        ATTEMPT.lower(),
        "CopyActivity",
    )
    bare = task()
    assert (bare.component_id, bare.instance_id) == (ATTEMPT, INSTANCE)


def test_fields_have_one_value_or_several() -> None:
    found = main(scriptArgument=["a", "b"])
    assert found.all("scriptArgument") == ("a", "b")
    assert found.get("scriptArgument") == "a"
    assert found.get("nothing") is None
    assert found.get("nothing", "else") == "else"
    assert found.all("nothing") == ()


def test_references_are_followed_within_the_task() -> None:
    (node,) = main(input=Ref("@In_1")).related("input")
    assert node.component_id == "In"
    database = node.one("database")
    assert database is not None
    assert database.required("url") == "jdbc:x"
    assert node.one("format") is None


def test_what_was_not_sent_is_a_permanent_error() -> None:
    with pytest.raises(PermanentTaskError, match="'@Gone_1', which the service did not send") as e:
        main(input=Ref("@Gone_1")).related("input")
    assert e.value.error_id == ErrorId.INVALID_FIELD


@pytest.mark.parametrize("fields", [{}, {"command": ""}])
def test_a_required_field_must_have_a_value(fields: dict[str, str]) -> None:
    with pytest.raises(PermanentTaskError, match="has no value for the field 'command'"):
        main(**fields).required("command")


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), (" TRUE ", True), ("False", False), ("false", False)]
)
def test_flags(text: str, value: bool) -> None:
    assert main(stage=text).flag("stage") is value
    assert main().flag("stage", default=True) is True


@pytest.mark.parametrize("text", ["yes", "1", ""])
def test_a_flag_is_true_or_false(text: str) -> None:
    with pytest.raises(PermanentTaskError, match="wanted true or false"):
        main(stage=text).flag("stage")


def test_views_are_equal_by_what_they_show() -> None:
    assert main(stage="true") == main(stage="true")
    assert "Task(" not in repr(main())


def test_fields_that_hold_a_secret_of_the_task_are_marked() -> None:
    fields: dict[str, str | Ref] = {
        "*key": "hunter2",
        "*pin": "47",
        "*none": "",
        "@status": "hunter2",
    }
    used: dict[str, str | Ref] = {
        "command": "login hunter2",
        "flag": "47",
        "count": "4711",
        "plain": "x",
        "ref": Ref("O"),
    }
    pairs = tuple(Field(key, value) for key, value in {**fields, **used}.items())
    objects = {
        "A": PipelineObject(id="A", name="A", fields=pairs),
        "O": PipelineObject(id="O", name="O", fields=(Field("url", "h/hunter2"),)),
    }
    marked = with_secrets_marked(objects)
    assert marked == objects
    found = {f.key: f.value for obj in marked.values() for f in obj.fields}
    secret = {key for key, value in found.items() if isinstance(value, Secret)}
    # A short one is looked for as the whole of a text only, and what the service sets is its own.
    assert secret == {"*key", "*pin", "command", "flag", "url"}
    assert found["command"].parts == {"hunter2"}  # type: ignore[union-attr]


def test_a_task_without_secrets_is_left_as_it_is() -> None:
    objects = {"A": PipelineObject(id="A", name="A", fields=(Field("command", "x"),))}
    assert with_secrets_marked(objects) is objects


def test_the_type_is_that_of_the_attempts_object_if_there_is_one() -> None:
    assert task().type == "CopyActivity"
    assert replace(task(), attempt_id="@Other").type == ""
    assert replace(task(), attempt_id="@In_1").type == ""
