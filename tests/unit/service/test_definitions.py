"""A loaded definition: what its fields come to."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from taskrunner.model.reader import read_definition
from taskrunner.service.definitions import LoadedDefinition, Moment

START = datetime(2026, 2, 13, 2, tzinfo=UTC)


def test_an_optional_parameter_without_a_value_takes_its_field_away() -> None:
    definition = read_definition(
        json.dumps(
            {
                "objects": [
                    {
                        "id": "A",
                        "type": "SnsAlarm",
                        "subject": "#{myWord}",
                        "message": "a#{myWord}b",
                    }
                ],
                "parameters": [{"id": "myWord", "type": "String", "optional": "true"}],
            }
        )
    )
    loaded = LoadedDefinition(definition)
    moment = Moment(start=START, end=START)

    assert loaded.values("A", "subject", moment) == ()
    assert loaded.values("A", "message", moment) == ("ab",)


def test_what_validation_takes_verbatim_is_not_evaluated() -> None:
    # An expression in it is no finding, so it must not fail the run either.
    text = json.dumps({"objects": [{"id": "A", "type": "SnsAlarm", "sphere": "#{gone}"}]})
    moment = Moment(start=START, end=START)

    assert LoadedDefinition(read_definition(text)).values("A", "sphere", moment) == ("#{gone}",)
