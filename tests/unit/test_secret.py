from __future__ import annotations

import copy
import json
import pickle

import pytest

from taskrunner.secret import HIDDEN, Secret, is_secret, quoted, told

TEXT = Secret("psql -p hunter2", {"hunter2"})


def test_a_secret_is_its_text_everywhere_but_in_messages() -> None:
    assert (TEXT, len(TEXT), f"{TEXT}") == ("psql -p hunter2", 15, "psql -p hunter2")
    assert json.loads(json.dumps({"c": TEXT})) == {"c": "psql -p hunter2"}
    assert type(str(TEXT)) is str
    assert TEXT.encode() == b"psql -p hunter2"


@pytest.mark.parametrize("message", [f"found {TEXT!r}", "found " + repr(TEXT)])
def test_whoever_quotes_it_does_not_show_it(message: str) -> None:
    assert message == f"found {HIDDEN}"
    assert "hunter2" not in str([TEXT]) + str({"c": (TEXT,)})


def test_copies_are_as_secret() -> None:
    for twin in (copy.copy(TEXT), copy.deepcopy(TEXT), pickle.loads(pickle.dumps(TEXT))):
        assert (type(twin), twin, twin.parts) == (Secret, TEXT, {"hunter2"})


def test_the_whole_is_secret_unless_parts_are_told() -> None:
    assert Secret("hunter2").parts == {"hunter2"}
    assert TEXT.parts == {"hunter2"}


def test_what_is_cut_out_of_a_secret_is_as_secret() -> None:
    assert repr(told("psql", TEXT)) == HIDDEN
    assert told("psql", "psql -p") == "psql"
    assert repr(told("psql", "psql -p")) == "'psql'"


def test_a_quote_is_short_and_a_secret_is_not_quoted() -> None:
    assert quoted("x" * 5, 5) == "'xxxxx'"
    assert quoted("x" * 6, 5) == "'xxxxx...'"
    assert quoted(TEXT, 5) == HIDDEN


def test_a_star_makes_a_name_secret() -> None:
    assert [is_secret(name) for name in ("*password", "password", "", "my*")] == [True] + [
        False
    ] * 3
