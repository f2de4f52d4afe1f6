from __future__ import annotations

import pytest

from taskrunner.errors import ExpressionError
from taskrunner.model.expressions import check, problems, uses


def test_references_and_calls_are_found_with_their_columns() -> None:
    found = uses("a #{format(plusDays(node.@start, myN), 'dd')} #{input.x.y + *s} #{-z}")

    assert [(str(r), r.column) for r in found.references] == [
        ("node.@start", 21),
        ("myN", 34),
        ("input.x.y", 49),
        ("*s", 61),
        ("z", 68),
    ]
    assert [(c.function, len(c.arguments), c.column) for c in found.calls] == [
        ("format", 2, 5),
        ("plusDays", 2, 12),
    ]


def test_a_field_of_a_result_is_no_reference_but_what_is_inside_is() -> None:
    assert [str(r) for r in uses("#{f(a).b}").references] == ["a"]


def test_every_problem_is_told_at_once() -> None:
    found = problems("#{formt(x)} #{day()} #{plusDays(x)}")

    assert [(p.kind, p.column) for p in found] == [
        ("function", 3),
        ("arguments", 15),
        ("arguments", 24),
    ]
    assert found[0].message == "no function 'formt'; did you mean 'format'?"
    assert found[1].message == "day(DateTime) takes 1 argument, found 0"
    assert found[2].message == "plusDays(DateTime, int) takes 2 arguments, found 1"


def test_bad_syntax_is_the_one_problem() -> None:
    (problem,) = problems("#{formt(x)} #{")

    assert problem.kind == "syntax"
    assert problem.column == 15


@pytest.mark.parametrize("text", ["", "plain", "#{x}", "#{x.format('d')}", "#{1 + unknown.name}"])
def test_names_are_no_problem_here(text: str) -> None:
    check(text)

    assert problems(text) == ()


@pytest.mark.parametrize("text", ["#{FORMAT(x,'d')}", "#{x.format()}", "#{"])
def test_check_raises_the_first_problem(text: str) -> None:
    with pytest.raises(ExpressionError):
        check(text)
