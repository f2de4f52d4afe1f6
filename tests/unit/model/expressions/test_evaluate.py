from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from taskrunner.errors import ExpressionError
from taskrunner.model.document import Field, PipelineObject, Position, Ref
from taskrunner.model.expressions import Scope, evaluate, evaluate_object
from tests.unit.model.expressions.worlds import obj, scope, value

START = datetime(2026, 2, 13, 2, tzinfo=UTC)
END = datetime(2026, 2, 14, 2, tzinfo=UTC)
PERIOD = {"@scheduledStartTime": START, "@scheduledEndTime": END}
SEED = Path(__file__).resolve().parents[4] / "../shared/seed-definitions/rds-to-s3.json"


def test_text_without_an_expression_passes_through() -> None:
    assert evaluate("SELECT 1 # {x}", scope(obj("A"))) == ("SELECT 1 # {x}",)


def test_several_expressions_stand_in_one_text() -> None:
    world = scope(obj("A", ("myX", "1"), ("myY", "2")))

    assert value("<#{myX}|#{myY}|#{ myX }>", world) == "<1|2|1>"


def test_the_seed_definitions_query_gets_its_window() -> None:
    if not SEED.exists():
        pytest.skip(f"the shared definitions are not at {SEED}")
    objects = {o["id"]: o for o in json.loads(SEED.read_text())["objects"]}
    world = scope(obj("SourceData"), runtime={"SourceData": PERIOD})

    assert value(objects["SourceData"]["selectQuery"], world) == (
        "SELECT * FROM orders WHERE updated_at >= '2026-02-13T02:00:00'"
        " AND updated_at < '2026-02-14T02:00:00'"
    )


def test_nested_calls_as_the_guide_shows_them() -> None:
    world = scope(obj("A"), runtime={"A": PERIOD})

    text = "#{format(minusMinutes(@scheduledStartTime,30),'YYYY-MM-dd hh:mm:ss')}"
    assert value(text, world) == "2026-02-13 01:30:00"
    assert value("#{@scheduledStartTime.format('YYYY-MM-dd-hh:mm')}", world) == "2026-02-13-02:00"


def test_an_expression_within_an_expression_is_its_value() -> None:
    world = scope(obj("A", ("myN", "2")), runtime={"A": PERIOD})

    assert value("#{plusDays(@scheduledStartTime, #{myN})}", world) == "2026-02-15T02:00:00"


class TestLists:
    WORLD = scope(
        obj(
            "A",
            ("myList", "one"),
            ("myList", "two"),
            ("myNumbers", "1"),
            ("myNumbers", "2"),
            ("myBoth", "#{myNumbers}"),
            ("myBoth", "#{myList}"),
        )
    )

    def test_an_operator_is_mapped(self) -> None:
        assert evaluate("#{'this is ' + myList}", self.WORLD) == ("this is one", "this is two")

    def test_text_around_a_list_is_written_around_each(self) -> None:
        assert evaluate("s3://#{myList}/x", self.WORLD) == ("s3://one/x", "s3://two/x")

    def test_a_function_is_mapped(self) -> None:
        assert evaluate("#{makeDate(2011,myNumbers,1).month()}", self.WORLD) == ("1", "2")

    def test_lists_of_lists_are_flattened(self) -> None:
        assert evaluate("#{myBoth}", self.WORLD) == ("1", "2", "one", "two")

    def test_two_lists_give_every_combination(self) -> None:
        expected = ("1one", "1two", "2one", "2two")
        assert evaluate("#{myNumbers}#{myList}", self.WORLD) == expected
        assert evaluate("#{myNumbers + myList}", self.WORLD) == expected

    def test_a_parameter_may_be_a_list(self) -> None:
        world = scope(obj("A"), parameters={"myIds": ("a", "b")})
        assert evaluate("-#{myIds}", world) == ("-a", "-b")

    def test_a_list_has_an_end(self) -> None:
        with pytest.raises(ExpressionError, match="more than 10000 values"):
            evaluate("#{myList}" * 14, self.WORLD)


def test_fields_that_double_each_other_do_not_fill_memory() -> None:
    fields = [(f"my{n}", f"#{{my{n + 1}}}" * 2) for n in range(30)]

    with pytest.raises(ExpressionError, match="longer than"):
        value("#{my0}", scope(obj("A", *fields, ("my30", "lol"))))


def test_a_chain_of_many_fields_is_an_error_and_not_a_crash() -> None:
    fields = [(f"my{n}", f"#{{(my{n + 1})}}") for n in range(2000)]

    with pytest.raises(ExpressionError, match="nest too deeply"):
        value("#{my0}", scope(obj("A", *fields, ("my2000", "end"))))


def test_errors_in_a_referenced_field_point_at_the_reference() -> None:
    world = scope(obj("A", ("myX", "ab #{nix()}")))

    with pytest.raises(ExpressionError) as caught:
        value("12 #{myX}", world)

    assert caught.value.column == 6
    assert str(caught.value) == "in myX of 'A': no function 'nix' (at column 6)"


class TestObject:
    OBJECT = PipelineObject(
        id="A",
        name="#{name}",
        fields=(
            Field("type", "#{type}"),
            Field("input", Ref("#{B}")),
            Field("command", "run #{myList}", Position(line=4, column=7)),
            Field("myList", "x"),
            Field("myList", "y"),
        ),
    )

    def test_every_field_is_evaluated_but_names_and_references(self) -> None:
        found = evaluate_object(scope(self.OBJECT))

        assert (found.name, found.type) == ("#{name}", "#{type}")
        assert found.refs("input") == (Ref("#{B}"),)
        assert found.strings("command") == ("run x", "run y")
        assert {f.position for f in found.fields if f.key == "command"} == {
            Position(line=4, column=7)
        }

    def test_only_the_fields_asked_for_need_to_be_known(self) -> None:
        some = obj("A", ("period", "#{1 + 1} days"), ("command", "#{@actualStartTime}"))

        found = evaluate_object(scope(some), only={"period"})

        assert found.strings("period") == ("2 days",)
        assert found.strings("command") == ("#{@actualStartTime}",)

    def test_an_object_without_expressions_is_itself(self) -> None:
        plain = obj("A", ("type", "#{x}"), ("command", "ls"))

        assert evaluate_object(scope(plain)) is plain

    def test_errors_tell_object_field_and_place(self) -> None:
        wrong = PipelineObject(
            id="A",
            name="A",
            fields=(Field("command", "#{nope}", Position(line=4, column=7)),),
        )

        with pytest.raises(ExpressionError) as caught:
            evaluate_object(scope(wrong))

        place = caught.value.place
        assert (place.object_id, place.field, place.line, place.column) == ("A", "command", 4, 7)
        assert caught.value.column == 3


def test_a_scope_has_defaults() -> None:
    assert evaluate("#{1}", Scope(objects={}, object_id="gone")) == ("1",)
