from __future__ import annotations

import pytest

from taskrunner.errors import UsageError
from taskrunner.model.document import Definition
from taskrunner.model.leaving.masked import filled, masked_places
from tests.unit.model.leaving.definitions import definition, shell

M = "*****"


def parameter(**attributes: object) -> dict[str, object]:
    return {"id": "*myP", "type": "String", **attributes}


@pytest.mark.parametrize(
    ("found", "places"),
    [
        (definition(shell(command="x")), {}),
        (definition(shell(**{"*password": M})), {"A/*password": 1}),
        (definition(shell("A", **{"*password": [M, M]})), {"A/*password": 2}),
        (definition(values={"*myP": M}), {"*myP": 1}),
        (definition(parameters=[parameter(default=M)]), {"*myP": 1}),
        (definition(parameters=[parameter(default=M)], values={"*myP": M}), {"*myP": 1}),
        (definition(parameters=[parameter(default=M)], values={"*myP": "x"}), {"*myP": 0}),
        (definition(parameters=[parameter(allowedValues=[M, M])]), {"*myP": 0}),
        (definition(parameters=[parameter(description=M)]), {}),
    ],
)
def test_the_places_and_how_many_texts_each_takes(
    found: Definition, places: dict[str, int]
) -> None:
    assert masked_places(found) == places
    secrets = {place: [f"s{at}" for at in range(count or 1)] for place, count in places.items()}
    whole = filled(found, secrets)
    assert masked_places(whole) == {}


def test_each_mask_has_its_own_text_and_what_is_no_mask_stays() -> None:
    found = filled(
        definition(shell("A", **{"*secret": [M, "kept", M]}), values={"*myP": M, "myX": M + "*"}),
        {"A/*secret": ["one", "two"], "*myP": ["three"]},
    )
    assert found.objects[0].strings("*secret") == ("one", "kept", "two")
    assert [value.value for value in found.values] == ["three", M + "*"]


def test_what_is_not_given_stays_a_mask() -> None:
    found = definition(shell(**{"*password": M}))
    assert filled(found, {"B/*password": ["x"]}) == found


def test_a_value_is_among_the_values_that_it_may_have() -> None:
    found = filled(
        definition(parameters=[parameter(allowedValues=[M, M], default=M)], values={"*myP": M}),
        {"*myP": ["x"]},
    )
    assert set(found.parameters[0].attribute_values("allowedValues")) == {"x"}
    assert found.values[0].value == "x"


def test_another_number_of_texts_is_refused_without_showing_them() -> None:
    with pytest.raises(UsageError) as caught:
        filled(definition(shell(**{"*password": M})), {"A/*password": ["hush", "hush2"]})
    assert str(caught.value).startswith("A/*password: found 2 secret texts, wanted 1")
    assert "hush" not in str(caught.value)
