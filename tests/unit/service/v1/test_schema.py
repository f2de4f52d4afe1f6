from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import pytest

from taskrunner.errors import InvalidRequest
from taskrunner.service.v1.schema import (
    about,
    from_texts,
    member_schema,
    members,
    object_schema,
    read,
    referred,
    write,
)


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    """What is held."""

    text: str = about("A text.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    """What holds."""

    name: str = about("A name.")
    count: int = about("How many.", default=1, least=1, most=9)
    at: datetime | None = about("When.", default=None)
    colour: Colour = about("Which.", default=Colour.RED)
    on: bool = about("Whether.", default=False)
    texts: tuple[str, ...] = about("Some.", default=(), most=2)
    inner: tuple[Inner, ...] = about("Held.", default=())
    more: Mapping[str, int] | None = about("By name.", default=None)
    any: Any = about("Anything.", default=None)


WHOLE = {
    "name": "n",
    "count": 3,
    "at": "2026-02-13T02:00:00Z",
    "colour": "blue",
    "on": True,
    "texts": ["a", "b"],
    "inner": [{"text": "t"}],
    "more": {"x": 1},
    "any": [{"y": None}],
}


def test_what_is_read_is_written_as_it_was() -> None:
    value = read(Outer, WHOLE)
    assert value.at == datetime(2026, 2, 13, 2, tzinfo=UTC)
    assert value.inner == (Inner(text="t"),)
    assert json.loads(write(value)) == WHOLE


def test_members_that_are_none_are_left_out() -> None:
    value = read(Outer, {"name": "n", "at": None})
    assert "at" not in json.loads(write(value))


def test_a_text_that_utf_8_does_not_have_is_written_all_the_same() -> None:
    value = read(Outer, {"name": "a\udc80é"})
    assert json.loads(write(value))["name"] == "a\udc80é"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "'name' is missing"),
        ({"name": None}, "'name' is missing"),
        ({"name": "n", "nmae": 1}, "'nmae' is not known: wanted name, count"),
        ({"name": 1}, "name: wanted text, found a number"),
        ({"name": "n", "count": "3"}, "count: wanted a whole number, found text"),
        ({"name": "n", "count": True}, "count: wanted a whole number, found true or false"),
        ({"name": "n", "count": 0}, "count: wanted 1 or more, found 0"),
        ({"name": "n", "count": 10}, "count: wanted at most 9, found 10"),
        ({"name": "n", "on": "true"}, "on: wanted true or false, found text"),
        ({"name": "n", "at": "yesterday"}, "at: wanted a moment such as"),
        ({"name": "n", "at": 5}, "at: wanted a moment such as"),
        ({"name": "n", "colour": "green"}, "colour: wanted red, blue, found 'green'"),
        ({"name": "n", "colour": []}, "colour: wanted red, blue"),
        ({"name": "n", "texts": "a"}, "texts: wanted a list, found text"),
        ({"name": "n", "texts": ["a", 1]}, r"texts\[1\]: wanted text, found a number"),
        ({"name": "n", "texts": ["a", "b", "c"]}, "texts: wanted at most 2 values, found 3"),
        ({"name": "n", "inner": [{"txt": 1}]}, r"inner\[0\]: 'txt' is not known"),
        ({"name": "n", "more": []}, "more: wanted an object, found a list"),
        ({"name": "n", "more": {"x": "1"}}, "more.x: wanted a whole number"),
        ([], "the request: wanted an object, found a list"),
    ],
)
def test_what_is_wrong_is_told_in_one_sentence(given: Any, told: str) -> None:
    with pytest.raises(InvalidRequest, match=told):
        read(Outer, given)


def test_texts_of_a_query_become_what_members_want() -> None:
    texts = {"name": ["n"], "count": ["3"], "on": ["true"], "texts": ["a", "b"]}
    assert read(Outer, from_texts(Outer, texts)) == Outer(
        name="n", count=3, on=True, texts=("a", "b")
    )


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        ({"count": ["x"]}, "count: wanted a whole number, found 'x'"),
        ({"count": ["٣"]}, "count: wanted a whole number"),
        ({"on": ["1"]}, "on: wanted true or false, found '1'"),
        ({"name": ["a", "b"]}, "name: wanted one value, found 2"),
    ],
)
def test_texts_that_do_not_are_refused(texts: dict[str, list[str]], told: str) -> None:
    with pytest.raises(InvalidRequest, match=told):
        from_texts(Outer, texts)


def test_a_moment_with_another_zone_is_the_same_moment() -> None:
    assert read(Outer, {"name": "n", "at": "2026-02-13T03:00:00+01:00"}) == read(
        Outer, {"name": "n", "at": "2026-02-13T02:00:00"}
    )


def test_members_are_described() -> None:
    known = members(Outer)
    assert member_schema(known["count"]) == {
        "type": "integer",
        "minimum": 1,
        "maximum": 9,
        "default": 1,
        "description": "How many.",
    }
    assert member_schema(known["texts"]) == {
        "type": "array",
        "items": {"type": "string"},
        "maxItems": 2,
        "description": "Some.",
    }
    assert member_schema(known["inner"])["items"] == {"$ref": "#/components/schemas/Inner"}
    assert member_schema(known["colour"])["enum"] == ["red", "blue"]
    assert member_schema(known["more"])["additionalProperties"] == {"type": "integer"}
    assert object_schema(Outer)["required"] == ["name"]
    assert set(referred(Outer)) == {Outer, Inner}
