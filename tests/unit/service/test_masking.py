from __future__ import annotations

import pytest

from taskrunner.errors import InvalidRequest
from taskrunner.model.document import (
    Definition,
    Field,
    ParameterObject,
    ParameterValue,
    PipelineObject,
    Ref,
)
from taskrunner.model.masks import MASK
from taskrunner.model.writer import dumps_api
from taskrunner.service.masking import hidden, mask, unmask

STORED = Definition(
    objects=(
        PipelineObject(
            id="Db",
            name="Db",
            fields=(
                Field("username", "ada"),
                Field("*password", "canary-1"),
                Field("*myKeys", "canary-2"),
                Field("*myKeys", "canary-3"),
                Field("schedule", Ref("S")),
            ),
        ),
    ),
    parameters=(
        ParameterObject(id="*myP", attributes=(("type", "String"), ("default", "canary-4"))),
        ParameterObject(id="myQ", attributes=(("default", "shown"),)),
    ),
    values=(ParameterValue(id="*myP", value="canary-5"), ParameterValue(id="myQ", value="v")),
)


def with_password(text: str, *, object_id: str = "Db") -> Definition:
    item = PipelineObject(id=object_id, name="Db", fields=(Field("*password", text),))
    return Definition(objects=(item,))


def test_no_secret_is_shown_and_nothing_else_is_hidden() -> None:
    shown = mask(STORED)

    assert "canary" not in dumps_api(shown)
    assert shown.objects[0].string("username") == "ada"
    assert shown.objects[0].ref("schedule") == Ref("S")
    assert shown.objects[0].values("*myKeys") == (MASK, MASK)
    assert shown.parameters[0].attribute("type") == "String"
    assert shown.parameters[1].attribute("default") == "shown"
    assert [item.value for item in shown.values] == [MASK, "v"]


def test_what_was_shown_put_back_keeps_every_secret() -> None:
    assert unmask(mask(STORED), STORED) == STORED


def test_a_new_secret_replaces_the_stored_one() -> None:
    assert unmask(with_password("new"), STORED).objects[0].string("*password") == "new"


@pytest.mark.parametrize("stored", [None, Definition(), STORED])
def test_a_mask_without_a_stored_secret_is_refused(stored: Definition | None) -> None:
    with pytest.raises(InvalidRequest, match=r"object 'Other': '\*password'"):
        unmask(with_password(MASK, object_id="Other"), stored)


def test_more_masks_than_stored_secrets_are_refused() -> None:
    item = PipelineObject(id="Db", name="Db", fields=(Field("*password", MASK),) * 2)

    with pytest.raises(InvalidRequest):
        unmask(Definition(objects=(item,)), STORED)


def test_a_plain_field_may_hold_asterisks() -> None:
    item = PipelineObject(id="Db", name="Db", fields=(Field("note", MASK),))
    definition = Definition(objects=(item,))

    assert unmask(definition, None) == definition


def test_a_text_hides_each_secret_the_longest_first_and_every_line_of_it() -> None:
    secrets = ["key-0001", "key-00012", "ab", ""]
    assert hidden("key-0001 key-00012 ab", secrets) == f"{MASK} {MASK} ab"
    assert hidden("at BBBBBBBB, C", ["AAAAAAAA\nBBBBBBBB\nC"]) == f"at {MASK}, C"


def test_a_short_secret_leaves_an_alarms_words_alone() -> None:
    """One rule for whatever people read: what is found by its letters has 8 of them."""
    text = "the root user failed in 2026"
    assert hidden(text, ["root", "2026", "failed", "e", "1234567"]) == text


def test_the_values_that_a_secret_parameter_may_have_are_secret_and_survive_their_masks() -> None:
    pairs = (("allowedValues", "canary-1"), ("allowedValues", "canary-2"), ("default", "canary-2"))
    stored = Definition(parameters=(ParameterObject(id="*myP", attributes=pairs),))
    shown = mask(stored)
    assert shown.parameters[0].attributes == tuple((key, MASK) for key, _ in pairs)
    assert unmask(shown, stored) == stored
