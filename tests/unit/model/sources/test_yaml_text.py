from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.errors import DefinitionError
from taskrunner.model.document import Position
from taskrunner.model.sources.tree import ListNode, MapNode, Member, Scalar
from taskrunner.model.sources.yaml_text import parse_yaml


def test_scalars_stay_text_and_positions_are_kept() -> None:
    node = parse_yaml("a: 2010-09-09\nb:\n  - yes\n  - ''\n  - ~\na: |\n  x\n  y\n")
    assert isinstance(node, MapNode)
    assert [(m.key, m.position) for m in node.members] == [
        ("a", Position(line=1, column=1)),
        ("b", Position(line=2, column=1)),
        ("a", Position(line=6, column=1)),
    ]
    assert node.members[0].value == Scalar("2010-09-09", "string", Position(line=1, column=4))
    items = node.members[1].value
    assert isinstance(items, ListNode)
    assert [(n.text, n.kind) for n in items.items if isinstance(n, Scalar)] == [
        ("yes", "string"),
        ("", "string"),
        ("~", "null"),
    ]
    assert isinstance(node.members[2].value, Scalar)
    assert node.members[2].value.text == "x\ny\n"


@pytest.mark.parametrize(
    ("text", "key"),
    [("!Ref X", "Ref"), ("!Sub 's'", "Fn::Sub"), ("!Condition C", "Condition")],
)
def test_short_tags_become_their_long_form(text: str, key: str) -> None:
    node = parse_yaml(text)
    assert isinstance(node, MapNode)
    [member] = node.members
    assert isinstance(member, Member)
    assert member.key == key


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: !!python/object/apply:os.system [x]", "1:4: not YAML: nothing reads the tag !!python"),
        ("b: !<tag:other> y", "the tag !<tag:other>;"),
        ("c:\n  - !!binary aGVsbG8=", "2:5: not YAML: nothing reads the tag !!binary"),
        ("d: !Foo x", "the tag !Foo; wanted plain text, or a function of CloudFormation's"),
    ],
)
def test_tags_construct_nothing_and_are_not_passed_over(text: str, words: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        parse_yaml(text, "x.yaml")
    assert words in str(caught.value)


def test_tags_of_plain_text_change_nothing() -> None:
    node = parse_yaml("!!map {a: !!str 3, b: ! 4, c: !!seq [!!int 5]}")
    assert isinstance(node, MapNode)
    a, b, c = (member.value for member in node.members)
    assert isinstance(c, ListNode)
    assert [(n.text, n.kind) for n in (a, b, *c.items) if isinstance(n, Scalar)] == [
        (text, "string") for text in "345"
    ]


def test_aliases_are_copies() -> None:
    node = parse_yaml("a: &x {k: v}\nb: *x\nc: &s t\nd: *s")
    assert isinstance(node, MapNode)
    assert node.get("a") == node.get("b")
    assert node.get("c") == node.get("d")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("a: b\n---\nc: d", "second document"),
        ("a: [1", "x.yaml:2:1"),
        ("a: *b", "alias"),
        ("&a [*a]", "no complete anchor"),
        ("? [a]\n: b", "a key that is no text"),
        ("[" * 100_000, "more than 64 levels"),
        ("- " * 100_000, "more than 64 levels"),
        ("a: \x00", "x.yaml:1:4"),
        ('a: "\\ud800"', "Unicode"),
    ],
)
def test_what_cannot_be_read_is_one_error(text: str, words: str) -> None:
    with pytest.raises(DefinitionError, match="not YAML: ") as caught:
        parse_yaml(text, "x.yaml")
    assert words in str(caught.value)


def test_aliases_that_multiply_are_refused() -> None:
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    with pytest.raises(DefinitionError, match="aliases expand"):
        parse_yaml("\n".join(lines))


def test_aliases_that_nest_are_refused() -> None:
    lines = ["a0: &a0 [x]"]
    lines += [f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 200)]
    with pytest.raises(DefinitionError, match="levels deep"):
        parse_yaml("\n".join(lines))


@given(st.text(alphabet="ab:-[]{}&*!#|>'\"\n ,?%@`~", max_size=50))
def test_any_text_is_read_or_refused(text: str) -> None:
    reason = "not YAML"
    try:
        parse_yaml(text)
    except DefinitionError as error:
        reason = str(error)
    assert "not YAML" in reason
