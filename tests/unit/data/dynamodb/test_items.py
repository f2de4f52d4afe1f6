"""Items to the lines of an export and back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.data.dynamodb.items import BadItem, Item, from_line, size_of, to_line

#: An item with every type there is.
EVERYTHING: Item = {
    "id": {"S": "caf\u00e9 \U0001f600\nline\u2028"},
    "n": {"N": "-12345678901234567890.123456789012345678"},
    "b": {"B": "AAEC/w=="},
    "ss": {"SS": ["a", "b"]},
    "ns": {"NS": ["1", "2.5e10"]},
    "bs": {"BS": ["AA==", "AQ=="]},
    "m": {"M": {"S": {"N": "1"}, "deep": {"L": [{"NULL": True}, {"M": {}}]}}},
    "l": {"L": []},
    "yes": {"BOOL": False},
    "nothing": {"NULL": True},
    "empty": {"S": ""},
}


def test_a_line_has_the_type_keys_of_aws_exports() -> None:
    line = to_line(EVERYTHING)
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    found = json.loads(line)
    kinds = {name: next(iter(value)) for name, value in found.items()}
    assert list(kinds.values()) == [
        *("s", "n", "b", "sS", "nS", "bS", "m", "l", "bOOL", "nULL", "s"),
    ]
    # The attribute S of the map is a name, not a type key.
    assert found["m"] == {"m": {"S": {"n": "1"}, "deep": {"l": [{"nULL": True}, {"m": {}}]}}}
    assert to_line({"id": {"S": "x"}, "n": {"N": "1"}}) == b'{"id":{"s":"x"},"n":{"n":"1"}}\n'


def test_what_is_exported_reads_back_the_same() -> None:
    assert from_line(to_line(EVERYTHING)) == EVERYTHING


@pytest.mark.parametrize("spell", [str.upper, str.lower, str.capitalize, str.swapcase])
def test_type_keys_are_read_in_any_case(spell: Any) -> None:
    line = json.dumps({"i": {spell("ss"): ["a"]}, "t": {spell("bool"): True}})
    assert from_line(line.encode()) == {"i": {"SS": ["a"]}, "t": {"BOOL": True}}


def test_the_oldest_text_form() -> None:
    line = b'id\x03{"s":"Seattle"}\x02scores\x03{"nS":["100","30"]}\x02a b\x03{"n":"1"}\n'
    assert from_line(line) == {
        "id": {"S": "Seattle"},
        "scores": {"NS": ["100", "30"]},
        "a b": {"N": "1"},
    }


def test_keys_of_other_types_may_stand_as_null() -> None:
    assert from_line(b'{"a":{"s":"x","n":null,"m":null}}') == {"a": {"S": "x"}}


def test_numbers_may_stand_without_quotes_and_keep_their_digits() -> None:
    line = b'{"a":{"n":0.12345678901234567890},"b":{"nS":[1,2]},"c":{"bOOL":"true"}}\r\n'
    assert from_line(line) == {
        "a": {"N": "0.12345678901234567890"},
        "b": {"NS": ["1", "2"]},
        "c": {"BOOL": True},
    }


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'{"a":{"s":"x"}', "not JSON.*column 15"),
        (b"[1]", r"begins with '\[1\]', wanted a JSON object or name\^Cvalue"),
        (b"a,b,c", "wanted a JSON object"),
        (b'id\x03{"s":"x"}\x02rest', "begins with 'id"),
        (b'{"a":"x"}', "attribute 'a' is \"x\", wanted an object with its type"),
        (b'{"a":{}}', "'a' has the type keys none, wanted one of s, n, b, sS"),
        (b'{"a":{"s":"x","n":"1"}}', "has the type keys 's', 'n'"),
        (b'{"a":{"text":"x"}}', "has the type keys 'text'"),
        (b'{"a":{"s":["x"]}}', "'a' holds .*, wanted a text"),
        (b'{"a":{"n":"one"}}', "'a' holds \"one\", wanted a number"),
        (b'{"a":{"n":"."}}', "wanted a number"),
        (b'{"a":{"n":"1_0"}}', "wanted a number"),
        (b'{"a":{"n":NaN}}', "wanted a number"),
        (b'{"a":{"n":"%s"}}' % (b"1" * 39), "'a' has 39 digits, DynamoDB takes 38"),
        (b'{"a":{"b":"%%%"}}', "wanted bytes as base64"),
        (b'{"a":{"sS":[]}}', "wanted a list that is not empty"),
        (b'{"a":{"nS":["x"]}}', "wanted a number"),
        (b'{"a":{"m":{"b":{"q":1}}}}', "attribute 'a.b' has the type keys 'q'"),
        (b'{"a":{"l":[{"s":"x"},1]}}', r"attribute 'a\[1\]' is"),
        (b'{"a":{"nULL":false}}', "'a' holds false, wanted true"),
        (b'{"a":{"bOOL":"maybe"}}', "wanted true or false"),
        (b'{"a":{"s":"\xff"}}', "byte 12 is not UTF-8"),
        (b'{"a":' + b'{"l":[' * 100_000, "nested too deeply"),
    ],
)
def test_a_line_that_is_no_item_says_why(line: bytes, problem: str) -> None:
    with pytest.raises(BadItem, match=problem):
        from_line(line)


def test_sizes_are_those_of_the_guide() -> None:
    assert size_of({"name": {"S": "\u00e9"}}) == 4 + 2
    assert size_of({"n": {"N": "100"}}) == 1 + 2
    assert size_of({"n": {"N": "-1234"}}) == 1 + 4
    assert size_of({"b": {"B": "AAEC/w=="}}) == 1 + 4
    assert size_of({"l": {"L": [{"BOOL": True}, {"NULL": True}]}}) == 1 + 3 + 2 * 2
    assert size_of({"m": {"M": {"ab": {"S": "xyz"}}}}) == 1 + 3 + 1 + 2 + 3
    assert size_of({"s": {"SS": ["a", "bc"]}, "t": {"NS": ["1"]}, "u": {"BS": ["AA=="]}}) == 9


_VALUES: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.one_of(
        st.text().map(lambda text: {"S": text}),
        st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9)).map(
            lambda n: {"N": str(n)}
        ),
        st.booleans().map(lambda flag: {"BOOL": flag}),
        st.lists(st.text(), min_size=1).map(lambda texts: {"SS": texts}),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda values: {"L": values}),
        st.dictionaries(st.text(), inner, max_size=3).map(lambda values: {"M": values}),
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(min_size=1), _VALUES, max_size=4))
def test_any_item_survives(item: Item) -> None:
    assert from_line(to_line(item)) == item
