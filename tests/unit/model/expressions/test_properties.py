"""Whatever the text: a value, or an ExpressionError at a column of the text."""

from __future__ import annotations

import inspect
import sys
from datetime import UTC, datetime

from hypothesis import example, given, settings
from hypothesis import strategies as st

from taskrunner.errors import ExpressionError
from taskrunner.model.document import Ref
from taskrunner.model.expressions import FUNCTIONS, evaluate, problems, uses
from tests.unit.model.expressions.worlds import obj, scope

WORLD = scope(
    obj("A", ("x", "1"), ("x", "#{y + 1}"), ("y", "#{@t}"), ("loop", "#{loop}"), ("ref", Ref("B"))),
    obj("B", ("x", "#{node.x}"), ("back", Ref("A"))),
    parameters={"myP": ("#{ref.x}", "2.5"), "*myS": ("",)},
    runtime={
        "A": {"@t": datetime(2026, 2, 13, 2, tzinfo=UTC), "@refs": [Ref("B"), Ref("nowhere")]}
    },
)
PIECES = [
    *FUNCTIONS,
    "x",
    "y",
    "loop",
    "ref",
    "@t",
    "@refs",
    "node",
    "parent",
    "myP",
    "*myS",
    "A",
    "back",
    "#{",
    "}",
    "(",
    ")",
    ",",
    ".",
    "+",
    "-",
    "*",
    "/",
    "^",
    "'",
    '"',
    "1",
    "2.5",
    "0",
    "99999",
    "\\",
    "'yyyy'",
    "'America/Los_Angeles'",
    "'1 month'",
    " ",
    "é",
    "\n",
    "{",
    "#",
]


def evaluated(text: str) -> None:
    column = 1
    try:
        found = evaluate(text, WORLD)
    except ExpressionError as error:
        found, column = (), error.column

    assert 1 <= column <= len(text) + 1
    assert all(isinstance(value, str) for value in found)


@given(st.text())
@example("#{loop}")
@example("#{" * 3000)
def test_any_text_is_a_value_or_an_expression_error(text: str) -> None:
    evaluated(text)
    evaluated("#{" + text + "}")


@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
def test_any_mixture_of_pieces_is_a_value_or_an_expression_error(text: str) -> None:
    evaluated(text)
    evaluated("#{" + text + "}")


ATOMS = st.sampled_from(
    ["x", "y", "@t", "myP", "ref.x", "1", "2.5", "'a'", "'2026-02-13'", "node.x"]
)
WELL_FORMED = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/^"), inner).map(" ".join),
        inner.map("({})".format),
        inner.map("-{}".format),
        st.tuples(st.sampled_from(sorted(FUNCTIONS)), st.lists(inner, max_size=5)).map(
            lambda call: f"{call[0]}({', '.join(call[1])})"
        ),
    ),
    max_leaves=12,
)


@given(WELL_FORMED)
def test_well_formed_expressions_parse_and_evaluate_or_tell(source: str) -> None:
    text = f"#{{{source}}}"

    uses(text)
    assert all(problem.kind != "syntax" for problem in problems(text))
    evaluated(text)


@given(
    before=st.text(st.characters(exclude_characters="#")),
    after=st.text(st.characters(exclude_characters="#")),
)
def test_literal_text_is_kept_to_the_letter(before: str, after: str) -> None:
    assert evaluate(before + "#{'-' + 1}" + after, WORLD) == (f"{before}-1{after}",)


@given(st.text())
def test_any_text_can_be_quoted(text: str) -> None:
    quoted = "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"

    assert evaluate(f"#{{{quoted}}}", WORLD) == (text,)


def deep_in_the_stack(frames: int, text: str) -> None:
    if frames:
        deep_in_the_stack(frames - 1, text)
    else:
        evaluated(text)


@given(left=st.integers(40, 220), nesting=st.sampled_from(["(", "-"]))
@settings(max_examples=30, deadline=None)
def test_a_caller_deep_in_the_stack_gets_no_recursion_error(left: int, nesting: str) -> None:
    used = len(inspect.stack(0))
    nested = "#{" + nesting * 30 + "y" + ")" * (30 * (nesting == "(")) + "}"
    evaluated(nested)  # so that it is parsed already

    deep_in_the_stack(sys.getrecursionlimit() - used - left, nested)
    deep_in_the_stack(sys.getrecursionlimit() - used - left, f"{left}{nested}")
    deep_in_the_stack(sys.getrecursionlimit() - used - left, "#{y + ref.back.x.y}" * 20)
