from __future__ import annotations

import pytest

from taskrunner.errors import ExpressionError
from taskrunner.model.expressions import check, parser
from taskrunner.model.expressions.parser import MAX_DEPTH, parse, pieces
from taskrunner.model.expressions.tree import Attribute, Call, Chain, Literal, Name, Negate


def root(source: str) -> object:
    (found,) = parse(f"#{{{source}}}").expressions
    return found.root


def test_literal_text_stays_around_the_expressions() -> None:
    parts = parse("a#{b}c#{d}").parts

    assert [p if isinstance(p, str) else p.source for p in parts] == ["a", "#{b}", "c", "#{d}"]
    assert [e.column for e in parse("a#{b}c#{d}").expressions] == [2, 7]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("plain", ["plain"]),
        ("a#{b}c#{d}", ["a", "#{b}", "c", "#{d}"]),
        ("a#{}c#{d}e", ["a#{}c", "#{d}", "e"]),
        ("#{a b}#{d} #{", ["#{a b}", "#{d}", " #{"]),
        ("#{open 'text #{d}", ["#{open 'text ", "#{d}"]),
    ],
)
def test_pieces_leave_in_the_text_what_is_no_expression(text: str, found: list[str]) -> None:
    assert [p if isinstance(p, str) else p.source for p in pieces(text)] == found


@pytest.mark.parametrize("text", ["", "plain", "# {x}", "${#list[@]}", "a } b", "#"])
def test_text_without_an_expression_is_one_literal(text: str) -> None:
    assert parse(text).parts == (text,)


@pytest.mark.parametrize(
    ("source", "tree"),
    [
        ("1", Literal(1, 3)),
        ("1.50", Literal(1.5, 3)),
        (".5", Literal(0.5, 3)),
        ("name", Name("name", 3)),
        (" @start ", Name("@start", 4)),
        ("*secret", Name("*secret", 3)),
        ("my_Größe2", Name("my_Größe2", 3)),
        ("node.@id", Attribute(Name("node", 3), "@id", 8)),
        ("db.*password", Attribute(Name("db", 3), "*password", 6)),
        ("2 * *x", Chain(Literal(2, 3), (("*", Name("*x", 7), 5),), 5)),
        ("f()", Call("f", (), 3)),
        ("x.f(1)", Call("f", (Name("x", 3), Literal(1, 7)), 5)),
        ("-x", Negate(Name("x", 4), 3)),
        ("(x)", Name("x", 4)),
        ("#{x}", Name("x", 5)),
    ],
)
def test_values_know_their_columns(source: str, tree: object) -> None:
    assert root(source) == tree


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("'it''s'", "it's"),
        ('"say ""hi"""', 'say "hi"'),
        (r"'it\'s'", "it's"),
        (r"'a\\b'", r"a\b"),
        (r"'\d+'", r"\d+"),
        ("'}'", "}"),
        ("'#{'", "#{"),
        ("\"yyyy-MM-dd'T'HH\"", "yyyy-MM-dd'T'HH"),
        ("''", ""),
        ("'two\nlines'", "two\nlines"),
    ],
)
def test_quoted_texts(source: str, text: str) -> None:
    assert root(source) == Literal(text, 3)


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("ab #{}", 4, "there is nothing between"),
        ("ab #{x", 4, "has no } at its end"),
        ("ab #{", 6, "found the end of the text, wanted a value"),
        ("#{sqoop command}", 9, "found 'command', wanted an operator or '}'"),
        ("#{f(x}", 6, r"found '}', wanted '\)' or ',' for the '\(' at column 4"),
        ("#{f(x,)}", 7, r"found '\)', wanted a value"),
        ("#{(x}", 5, r"wanted '\)' for the '\(' at column 3"),
        ("#{x.}", 5, "wanted a field or a function after the dot"),
        ("#{1 +}", 6, "found '}', wanted a value"),
        ("#{* x}", 3, "found '\\*', wanted a value"),
        ("#{'abc}", 3, "begins with ' has no ' at its end"),
        ("#{x & y}", 5, "found '&'"),
        ("#{1234567890123456789}", 3, "more than 18 digits"),
        ("#{a}#{b b}", 9, "found 'b'"),
        ("#{f(#{x)}", 8, "wanted an operator or '}'"),
        ("x #{@}", 5, "found '@'"),
    ],
)
def test_errors_point_at_their_column(text: str, column: int, message: str) -> None:
    with pytest.raises(ExpressionError, match=message) as caught:
        check(text)

    assert caught.value.column == column
    assert f"(at column {column})" in str(caught.value)


@pytest.mark.parametrize(
    "source",
    [
        "(" * 5000,
        "-" * 5000 + "1",
        "f(" * 5000,
        "#{" * 5000,
        "x" + ".y" * 5000,
        "x" + ".f()" * 5000,
        "2" + "^2" * 5000,
    ],
)
def test_hostile_nesting_is_an_expression_error(source: str) -> None:
    with pytest.raises(
        ExpressionError, match=f"deeper than {MAX_DEPTH}|more than {MAX_DEPTH} dots"
    ):
        check(f"#{{{source}}}")


def test_a_long_flat_expression_is_fine() -> None:
    check(f"#{{{'1 + ' * 5000}1}}")


def test_what_was_parsed_is_kept_as_far_as_there_is_room() -> None:
    """Each call once kept 300 MB: trees of any length, of thousands of texts."""
    short = "#{a + 1}"
    assert parse(short) is parse(short)

    long = "#{" + "+".join(["a"] * 6_000) + "}"
    assert parse(long) is not parse(long)

    for number in range(250):
        parse("#{'" + "a" * 8_000 + f"'+{number}}}")
    assert parser._kept.size <= 1_000_000
    assert parse(short) == parse(short)
