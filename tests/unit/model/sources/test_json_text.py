from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.errors import DefinitionError, Place
from taskrunner.model.document import Position
from taskrunner.model.sources.json_text import parse_json
from taskrunner.model.sources.tree import MAX_DEPTH, ListNode, MapNode, Node, Scalar

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def plain(node: Node) -> object:
    """What the standard library makes of the same text."""
    if isinstance(node, MapNode):
        return {m.key: plain(m.value) for m in node.members}
    if isinstance(node, ListNode):
        return [plain(item) for item in node.items]
    assert isinstance(node, Scalar)
    return node.text if node.kind == "string" else json.loads(node.text)


@given(VALUES, st.sampled_from([None, 1]), st.booleans())
def test_reads_what_the_standard_library_writes(
    value: object, indent: int | None, ascii_only: bool
) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    if any("\ud800" <= letter <= "\udfff" for letter in json.dumps(value, ensure_ascii=False)):
        return
    assert plain(parse_json(text)) == value


@given(st.text(alphabet='{}[]",:\\ \n0123456789.eE+-truefalsnx\x00é', max_size=40))
def test_agrees_with_the_standard_library_on_what_is_json(text: str) -> None:
    try:
        expected = json.loads(text, parse_constant=pytest.fail)
    except ValueError:
        with pytest.raises(DefinitionError):
            parse_json(text)
    else:
        assert plain(parse_json(text)) == expected


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    place = Place(line=1, column=1)
    try:
        parse_json(text)
    except DefinitionError as error:
        place = error.place
    assert place.line is not None
    assert place.column is not None


def test_repeated_keys_and_positions_are_kept() -> None:
    node = parse_json('{\n  "a": 1,\n  "b": [true,\n    {"c": null}],\n  "a": "x"\n}')
    assert isinstance(node, MapNode)
    assert [(m.key, m.position) for m in node.members] == [
        ("a", Position(line=2, column=3)),
        ("b", Position(line=3, column=3)),
        ("a", Position(line=5, column=3)),
    ]
    items = node.members[1].value
    assert isinstance(items, ListNode)
    assert [item.position for item in items.items] == [
        Position(line=3, column=9),
        Position(line=4, column=5),
    ]


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("", 1, 1, "empty"),
        ("  \n ", 2, 2, "empty"),
        ('{"a": 1,}', 1, 8, "a comma before '}'"),
        ("[1,\n2,\n]", 2, 2, "a comma before ']'"),
        ('{"a" 1}', 1, 6, "wanted ':' after a key"),
        ("{a: 1}", 1, 2, "wanted a key in double quotes"),
        ('{"a": 1 "b": 2}', 1, 9, "wanted ',' or '}'"),
        ('{"a": tru}', 1, 7, "found text without quotes, wanted a JSON value"),
        ('{"a": 01}', 1, 7, "found text without quotes"),
        ('{"a": NaN}', 1, 7, "found 'NaN'"),
        ('{"a": "b\nc"}', 1, 9, "a raw line break"),
        ('{"a": "b', 1, 7, "no closing double quote"),
        ('{"a": "\\x"}', 1, 8, "a backslash"),
        ('{"a": "\\ud800"}', 1, 7, "surrogate"),
        ('{"a": 1} x', 1, 10, "found text without quotes after the end"),
        ('{"a": 1', 1, 8, "the end of the text"),
        ("{“a”: 1}", 1, 2, "double quotes"),
        ("resource x", 1, 1, "found text without quotes"),
    ],
)
def test_errors_name_the_place_and_the_reason(
    text: str, line: int, column: int, words: str
) -> None:
    with pytest.raises(DefinitionError) as caught:
        parse_json(text, "f.json")
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"f.json:{line}:{column}: not JSON: ")


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":'])
def test_deep_nesting_is_refused_without_deep_recursion(opening: str) -> None:
    with pytest.raises(DefinitionError, match=f"more than {MAX_DEPTH} levels"):
        parse_json(opening * 100_000)


def test_numbers_and_booleans_keep_their_text() -> None:
    node = parse_json("[1.0, 1E400, -0, true, null]")
    assert isinstance(node, ListNode)
    assert [(n.text, n.kind) for n in node.items if isinstance(n, Scalar)] == [
        ("1.0", "number"),
        ("1E400", "number"),
        ("-0", "number"),
        ("true", "boolean"),
        ("null", "null"),
    ]
