"""What comes of a secret is a secret, and errors that were computed from one do not tell it."""

from __future__ import annotations

import pytest

from taskrunner.errors import ExpressionError
from taskrunner.model.document import Ref
from taskrunner.model.expressions import Scope, evaluate, evaluate_object
from taskrunner.model.expressions.values import WANTED
from taskrunner.secret import HIDDEN, Secret
from tests.unit.model.expressions.worlds import obj, scope

DB = obj("Db", ("*password", "hunter2"), ("url", "h/#{*password}"), ("plain", "p"))
WORK = obj(
    "Work",
    ("command", "psql -p #{Db.*password} -d #{myDate}"),
    ("Db", Ref("Db")),
    ("*mine", "in #{myDate} #{"),
    ("*myLine", "of #{*myKey}"),
)
WORLD: Scope = scope(
    WORK,
    DB,
    parameters={
        "*myKey": ("tok-4711",),
        "*myYear": ("2026",),
        "*myNone": ("",),
        "*myMany": ("one", "two"),
        "myDate": ("2026-02-13",),
        "myVia": ("#{*myKey}",),
    },
    parameter_types={"*myYear": "Integer"},
)


@pytest.mark.parametrize(
    ("text", "value", "parts"),
    [
        ("#{*myKey}", "tok-4711", {"tok-4711"}),
        ("a #{*myKey} b", "a tok-4711 b", {"tok-4711"}),
        ("#{myVia}", "tok-4711", {"tok-4711"}),
        ("#{'a' + *myKey}", "atok-4711", {"tok-4711"}),
        ("#{Db.*password}", "hunter2", {"hunter2"}),
        ("#{Db.url}", "h/hunter2", {"hunter2"}),
        ("#{*myYear + 1}", "2027", {"2026", "2027"}),
        ("#{makeDate(*myYear, 2, 13).format('dd.MM.')}", "13.02.", {"2026", "13.02."}),
        ("#{*myLine}", "of tok-4711", {"tok-4711", "of tok-4711"}),
        ("#{*myNone}x", "x", set()),
    ],
)
def test_what_comes_of_a_secret_is_one(text: str, value: str, parts: set[str]) -> None:
    (found,) = evaluate(text, WORLD)
    assert found == value
    assert isinstance(found, Secret)
    assert parts <= found.parts


def test_each_value_of_a_list_is_one() -> None:
    assert [repr(text) for text in evaluate("-#{*myMany}", WORLD)] == [HIDDEN] * 2


@pytest.mark.parametrize("text", ["#{myDate}", "#{Db.plain}", "#{Db.id} #{name}", "plain"])
def test_what_does_not_is_plain(text: str) -> None:
    assert [type(value) for value in evaluate(text, WORLD)] == [str]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "#{makeDate(*myKey, 1, 1)}",
            f"makeDate: found {HIDDEN}, wanted a whole number (at column 12)",
        ),
        (
            "#{day(myVia)}",
            f"day: found {HIDDEN}, wanted {WANTED['DateTime']} (at column 7)",
        ),
        ("#{1 - *myKey}", f"- cannot be worked out for {HIDDEN} (at column 5)"),
        ("#{format(myDate, *myKey)}", f"format cannot be worked out for {HIDDEN} (at column 3)"),
        ("#{*myKey.x}", f".x cannot be taken from {HIDDEN}; wanted a reference (at column 10)"),
        (
            "#{*mine}",
            f"in *mine of 'Work': the expression in {HIDDEN} cannot be evaluated",
        ),
    ],
)
def test_errors_say_what_was_wanted_and_not_what_was_found(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        evaluate(text, WORLD)
    assert caught.value.message == message


def test_errors_without_a_secret_say_what_was_found() -> None:
    with pytest.raises(ExpressionError, match="makeDate: found 'p', wanted a whole number"):
        evaluate("#{makeDate(Db.plain, 1, 1)}", WORLD)


@pytest.mark.parametrize("text", ["x #{myDate", "#{nowhere}", "#{day('hunter2')}", "#{f(1)}"])
def test_a_secret_text_is_not_in_the_error_of_its_own_expression(text: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        evaluate(text, WORLD, secret=True)
    assert caught.value.message == (f"the expression in {HIDDEN} cannot be evaluated (at column 1)")


def test_a_secret_text_stays_one_whatever_it_is_made_of() -> None:
    assert [repr(t) for t in evaluate("plain", WORLD, secret=True)] == [HIDDEN]
    (found,) = evaluate("#{myDate}", WORLD, secret=True)
    assert isinstance(found, Secret)
    assert (repr(found), set(found.parts)) == (HIDDEN, {"2026-02-13"})


def test_the_fields_of_an_evaluated_object_are_marked() -> None:
    found = evaluate_object(WORLD, only={"command"})
    assert repr(found.string("command")) == HIDDEN
    with pytest.raises(ExpressionError, match="cannot be evaluated"):
        evaluate_object(WORLD, only={"*mine"})
