from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.errors import ExpressionError
from tests.unit.model.expressions.worlds import obj, scope, value


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("1 + 2", "3"),
        ("1 - 2", "-1"),
        ("1 * 2", "2"),
        ("1 / 2", "0"),
        ("1.0 / 2", "0.5"),
        ("2 ^ 2", "4.0"),
        ('"hel" + "lo"', "hello"),
        ("'n' + 1", "n1"),
        ("1 + 'n'", "1n"),
        ("1 + 2 + 'n'", "3n"),
        ("'n' + 1 + 2", "n12"),
        ("'' + 2 ^ 2", "4.0"),
        ("'at ' + makeDate(2011,5,24)", "at 2011-05-24T00:00:00"),
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("8 / 2 / 2", "2"),
        ("8 - 4 - 2", "2"),
        ("2 ^ 3 ^ 2", "512.0"),
        ("-2 ^ 2", "-4.0"),
        ("2 ^ -1", "0.5"),
        ("-7 / 2", "-3"),
        ("7 / -2", "-3"),
        ("-7 / -2", "3"),
        ("1.5 + 1", "2.5"),
        ("3 * 1.0", "3.0"),
        ("- - 3", "3"),
    ],
)
def test_results_have_the_types_of_the_guide(source: str, expected: str) -> None:
    assert value(f"#{{{source}}}") == expected


def test_text_that_spells_a_number_counts_as_one_where_only_numbers_will_do() -> None:
    world = scope(obj("A", ("myCount", "5"), ("myRate", " 0.50 ")))

    assert value("#{myCount * 2}", world) == "10"
    assert value("#{myCount / 2}", world) == "2"
    assert value("#{myRate * 3}", world) == "1.5"
    assert value("#{myCount - 1}", world) == "4"
    assert value("#{-myCount}", world) == "-5"


def test_plus_writes_text_one_after_the_other_even_when_it_spells_numbers() -> None:
    assert value("#{myCount + 1}", scope(obj("A", ("myCount", "5")))) == "51"


def test_plus_adds_parameters_that_are_declared_as_numbers() -> None:
    world = scope(
        obj("A"),
        parameters={"myInt": ("5",), "myDouble": ("0.5",), "myText": ("5",)},
        parameter_types={"myInt": "Integer", "myDouble": "Double", "myText": "String"},
    )

    assert value("#{myInt + 1}", world) == "6"
    assert value("#{myInt + myDouble}", world) == "5.5"
    assert value("#{myText + 1}", world) == "51"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("1 / 0", "division by zero"),
        ("1.0 / 0", "division by zero"),
        ("'a' * 2", "needs numbers, found 'a'"),
        ("2 - makeDate(2011,5,24)", "needs numbers, found '2011-05-24T00:00:00'"),
        ("'" + "x" * 600_000 + "' + '" + "y" * 600_000 + "'", "longer than 1000000 characters"),
        ("-'a'", "needs numbers, found 'a'"),
        ("10 ^ 400", "(?i)math range error|too large"),
        ("10.0 ^ 308 * 10", "too large"),
        ("999999999999999999 * 100", "more digits"),
        ("(0-2) ^ 0.5", "not a real number"),
        ("0 ^ -1", "not a real number"),
    ],
)
def test_what_cannot_be_computed_is_told(source: str, message: str) -> None:
    with pytest.raises(ExpressionError, match=message):
        value(f"#{{{source}}}")


SMALL = st.integers(-(10**6), 10**6)


@given(SMALL, SMALL)
def test_whole_numbers_compute_as_in_java(left: int, right: int) -> None:
    assert value(f"#{{({left}) + ({right})}}") == str(left + right)
    assert value(f"#{{({left}) - ({right})}}") == str(left - right)
    assert value(f"#{{({left}) * ({right})}}") == str(left * right)
    if right:
        assert value(f"#{{({left}) / ({right})}}") == str(int(left / right))
