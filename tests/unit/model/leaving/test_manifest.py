from __future__ import annotations

import json

import pytest

from taskrunner.errors import DefinitionError
from taskrunner.model.leaving.manifest import (
    Manifest,
    read_manifest,
    unique_id_for,
    write_manifest,
)

WHOLE = Manifest(
    name="orders",
    unique_id="u-1",
    description="all of them",
    tags={"team": "bi", "aws:cloudformation:stack-name": "s"},
    state="SCHEDULED",
    pipeline_id="df-1",
)


def test_what_is_written_is_read_again() -> None:
    for manifest in (WHOLE, Manifest(name="x")):
        assert read_manifest(write_manifest(manifest), "m.json") == manifest
    assert list(json.loads(write_manifest(WHOLE))["tags"]) == sorted(WHOLE.tags)


def test_aws_own_tags_are_not_set() -> None:
    assert WHOLE.own_tags == {"team": "bi"}


def test_a_name_alone_does_and_is_the_pipeline_that_put_makes() -> None:
    assert read_manifest('{"name": "x"}', "m.json").token == unique_id_for("x")
    assert WHOLE.token == "u-1"


@pytest.mark.parametrize(("state", "going"), [("SCHEDULED", True), ("INACTIVE", False)])
def test_which_states_make_instances(state: str, going: bool) -> None:
    assert Manifest(name="x", state=state).is_going is going


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "m.json: not JSON"),
        ("[]", "found list, wanted an object"),
        ("{}", "it has no name"),
        ('{"name": ""}', "it has no name"),
        ('{"name": 3}', "name: found 3, wanted a text"),
        ('{"name": "x", "nmae": "y"}', "found 'nmae', wanted only name, uniqueId"),
        ('{"name": "x", "tags": ["a"]}', "tags: found ['a'], wanted an object"),
        ('{"name": "x", "tags": {"a": 1}}', "tags: a: found 1, wanted a text"),
    ],
)
def test_what_is_no_manifest_is_refused(text: str, said: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        read_manifest(text, "m.json")
    assert said in str(caught.value)
