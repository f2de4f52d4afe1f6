from __future__ import annotations

import json
from typing import Any

import pytest

from taskrunner.cli.pulled import without_masks
from taskrunner.errors import UsageError
from taskrunner.model.document import Definition
from taskrunner.model.parameters import with_values
from taskrunner.model.reader import read_definition

MASKED = "*****"
SHELL = {"id": "Run", "type": "ShellCommandActivity", "command": "curl #{*myToken}"}


def database(password: str = MASKED) -> dict[str, Any]:
    return {
        "id": "Db",
        "type": "RdsDatabase",
        "username": "me",
        "*password": password,
        "rdsInstanceId": "x",
    }


def definition(*objects: dict[str, Any], **parts: Any) -> Definition:
    return read_definition(json.dumps({"objects": objects, **parts}), source="pulled.json")


def secret(default: str | None = MASKED, name: str = "*myToken") -> list[dict[str, Any]]:
    given = {"default": default} if default else {}
    return [{"id": name, "type": "String", **given}]


def refusal(found: Definition, **databases: str) -> str:
    with pytest.raises(UsageError) as caught:
        without_masks(found, databases)
    return str(caught.value)


def test_what_has_no_masks_is_left_as_it_is() -> None:
    found = definition(database("hush"), SHELL, parameters=secret("x"), values={"*myToken": "y"})
    assert without_masks(found, {}) == found
    assert without_masks(found, {"Db": "sqlite:////tmp/x"}) == found


def test_a_mask_is_refused_with_what_it_is_and_what_to_give() -> None:
    said = refusal(definition(database()))
    assert said.startswith("pulled.json: '*****' is the mask that GetPipelineDefinition gives")
    assert "object 'Db', field '*password': use another address with --database Db=URL" in said
    assert "write #{*myPassword} in its place, and give --param '*myPassword=VALUE'" in said


def test_only_databases_can_have_another_address() -> None:
    said = refusal(definition({**SHELL, "command": "true", "*token": MASKED}))
    assert "write #{*myToken} in its place" in said
    assert "--database" not in said


def test_a_parameters_mask_is_refused_until_its_value_is_given() -> None:
    for parts in ({"parameters": secret()}, {"values": {"*myToken": MASKED}}):
        found = definition(SHELL, **parts)
        assert "parameter '*myToken': give its value with --param '*myToken=VALUE'" in refusal(
            found
        )
        mended = without_masks(with_values(found, {"*myToken": ["real"]}), {})
        assert [(v.id, v.value) for v in mended.values] == [("*myToken", "real")]
        assert MASKED not in repr(mended)


def test_all_that_is_missing_is_told_at_once() -> None:
    said = refusal(definition(database(), SHELL, values={"*myToken": MASKED}))
    assert len(said.splitlines()) == 3


def test_a_database_with_another_address_needs_no_password_of_the_definition() -> None:
    by_parameter = {"parameters": secret(name="*myPassword")}
    for found in (
        definition(database()),
        definition(database("#{*myPassword}"), **by_parameter),
        definition(database("#{*myPassword}"), values={"*myPassword": MASKED}),
    ):
        for url in (
            "sqlite:////tmp/x",
            "postgresql://me:hush@h/d",
            "mysql://h/d?user=me&password=hush",
            "postgresql://me:@h/d",
        ):
            mended = without_masks(found, {"Db": url})
            assert MASKED not in repr(mended)
            assert "#{*myPassword}" not in repr(mended)
            assert mended.objects[0].string("*password"), "a required field stays set"


def test_its_address_has_to_bring_the_password_then() -> None:
    said = refusal(definition(database()), Db="postgresql://h/d")
    assert "put user and password into the URL of --database Db=URL" in said


def test_a_masked_parameter_that_another_object_uses_is_still_wanted() -> None:
    found = definition(database("#{*myToken}"), SHELL, values={"*myToken": MASKED})
    assert "parameter '*myToken'" in refusal(found, Db="sqlite:////tmp/x")
