"""What names stand for."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from taskrunner.errors import ExpressionError
from taskrunner.model.document import Ref
from taskrunner.model.expressions import Scope, evaluate
from tests.unit.model.expressions.worlds import obj, scope, value

START = datetime(2026, 2, 13, 2, tzinfo=UTC)
PERIOD = {"@scheduledStartTime": START}

SOURCE = obj(
    "In",
    ("directoryPath", "s3://in/#{format(@scheduledStartTime,'dd')}/#{myTable}"),
    ("myTable", "t"),
)
TARGET = obj("Out", ("directoryPath", "s3://out/#{node.name}"), name="the output")
WORK = obj(
    "Copy",
    ("type", "CopyActivity"),
    ("input", Ref("In")),
    ("output", Ref("Out")),
    ("onFail", Ref("Alarm")),
    name="copy it",
)
ALARM = obj("Alarm", ("type", "SnsAlarm"))


def at_work(**more: object) -> Scope:
    return scope(WORK, SOURCE, TARGET, ALARM, runtime={"Copy": PERIOD}, **more)


def at_alarm() -> Scope:
    return scope(ALARM, WORK, SOURCE, TARGET, runtime={"Copy": PERIOD}, node="Copy")


class TestOwnFields:
    def test_id_and_name(self) -> None:
        assert value("s3://b/#{id}/#{name}.csv", at_work()) == "s3://b/Copy/copy it.csv"

    def test_the_authors_id_of_the_object(self) -> None:
        world = scope(WORK, runtime={"Copy": {"@id": "@Copy_2026"}})

        assert value("#{parent.@id} #{@id}", world) == "Copy @Copy_2026"
        assert value("#{parent.id} #{parent.name}", world) == "Copy copy it"

    def test_a_field_that_has_an_expression_is_evaluated(self) -> None:
        assert value("#{directoryPath}", scope(SOURCE, runtime={"In": PERIOD})) == "s3://in/13/t"

    def test_names_and_types_are_not_evaluated(self) -> None:
        odd = obj("A", ("type", "#{1+1}"), name="#{1+1}")

        assert value("#{name} #{type}", scope(odd)) == "#{1+1} #{1+1}"

    def test_a_value_is_not_evaluated_again(self) -> None:
        world = scope(obj("A", ("myX", "#{'#' + '{1+1}'}")))

        assert value("#{myX}", world) == "#{1+1}"

    def test_an_encrypted_field_has_its_star(self) -> None:
        database = obj("Db", ("*password", "s3cret"))

        assert value("#{*password}", scope(database)) == "s3cret"
        assert value("#{db.*password}", scope(obj("A", ("db", Ref("Db"))), database)) == "s3cret"

    def test_a_date_stays_a_date_on_its_way(self) -> None:
        dated = obj("A", ("myDay", "#{makeDate(2026,2,13)}"))

        assert value("#{myDay.plusDays(1)}", scope(dated)) == "2026-02-14T00:00:00"


class TestParameters:
    def test_values_and_secrets(self) -> None:
        world = at_work(parameters={"myVar": ("v",), "*mySecret": ("s",)})

        assert value("#{myVar}-#{*mySecret}", world) == "v-s"

    def test_an_own_field_comes_before_a_parameter(self) -> None:
        assert value("#{myX}", scope(obj("A", ("myX", "own")), parameters={"myX": ("p",)})) == "own"

    def test_a_field_may_take_the_parameter_of_its_own_name(self) -> None:
        world = scope(obj("A", ("myX", "<#{myX}>")), parameters={"myX": ("p",)})

        assert value("#{myX}", world) == "<p>"

    def test_a_parameters_text_is_evaluated_too(self) -> None:
        world = at_work(parameters={"myPath": ("s3://b/#{format(@scheduledStartTime,'yyyy')}",)})

        assert value("#{myPath}", world) == "s3://b/2026"


class TestReferences:
    def test_a_referenced_field_sees_its_own_object(self) -> None:
        assert value("#{input.directoryPath}", at_work()) == "s3://in/13/t"

    def test_node_is_who_refers_to_the_alarm(self) -> None:
        assert value("#{node.name} #{node.@scheduledStartTime}", at_alarm()) == (
            "copy it 2026-02-13T02:00:00"
        )

    def test_references_are_followed_through_objects(self) -> None:
        assert value("#{node.input.directoryPath}", at_alarm()) == "s3://in/13/t"
        assert value("#{node.output.directoryPath}", at_alarm()) == "s3://out/copy it"

    def test_a_referenced_field_may_look_back(self) -> None:
        assert value("#{output.directoryPath}", at_work()) == "s3://out/copy it"

    def test_a_reference_prints_as_its_id(self) -> None:
        assert value("from #{node.input} to #{node.output}", at_alarm()) == "from In to Out"

    def test_several_references_give_several_values(self) -> None:
        both = obj("A", ("input", Ref("X")), ("input", Ref("Y")))
        world = scope(both, obj("X", ("p", "1")), obj("Y", ("p", "2")))

        assert evaluate("#{input.p}", world) == ("1", "2")

    def test_another_object_is_known_by_its_id(self) -> None:
        assert value("#{Out.name}", at_work()) == "the output"

    def test_runtime_references_win_over_the_definitions(self) -> None:
        instance = obj("@In_2026", ("directoryPath", "s3://done"))
        world = scope(WORK, SOURCE, instance, runtime={"Copy": {"input": Ref("@In_2026")}})

        assert value("#{input} #{input.directoryPath}", world) == "@In_2026 s3://done"

    def test_references_that_multiply_have_an_end(self) -> None:
        many = obj("A", *[("to", Ref("A"))] * 10)

        with pytest.raises(ExpressionError, match="more than 10000 values"):
            evaluate("#{to.to.to.to.to.to.to.to.id}", scope(many))


class TestRuntime:
    def test_runtime_fields_with_and_without_their_sign(self) -> None:
        world = scope(WORK, runtime={"Copy": {"@hostname": "h1", **PERIOD}})

        assert value("#{@hostname} #{hostname} #{scheduledStartTime}", world) == (
            "h1 h1 2026-02-13T02:00:00"
        )

    def test_an_alarm_sees_the_times_of_its_node(self) -> None:
        assert value("done for #{@scheduledStartTime}", at_alarm()) == (
            "done for 2026-02-13T02:00:00"
        )

    def test_the_period_is_shared_and_the_rest_is_not(self) -> None:
        world = scope(WORK, SOURCE, runtime={"Copy": {"@status": "RUNNING", **PERIOD}})

        assert value("#{input.@scheduledStartTime}", world) == "2026-02-13T02:00:00"
        with pytest.raises(ExpressionError, match="runtime field @status of 'In' is not known"):
            value("#{input.@status}", world)

    def test_a_runtime_field_may_be_a_list(self) -> None:
        world = scope(WORK, runtime={"Copy": {"@waitingOn": [Ref("X"), Ref("Y")]}})

        assert evaluate("#{@waitingOn}", world) == ("X", "Y")

    def test_an_objects_own_runtime_fields_count(self) -> None:
        done = obj("@A_1", ("@scheduledStartTime", "2026-02-13T02:00:00"))

        assert value("#{day(@scheduledStartTime)}", scope(done)) == "13"


class TestMistakes:
    @pytest.mark.parametrize(
        ("text", "column", "message"),
        [
            (
                "x #{myVra}",
                5,
                "'Copy' has no field 'myVra', nor is it a parameter; did you mean 'myVar'",
            ),
            ("#{inputt.directoryPath}", 3, "did you mean 'input'"),
            (
                "#{input.directryPath}",
                9,
                "'In' has no field 'directryPath'; did you mean 'directoryPath'",
            ),
            ("#{@actualEndTime}", 3, "runtime field @actualEndTime of 'Copy' is not known here"),
            ("#{node.name}", 3, "node stands for the object that refers to this one"),
            ("#{type.x}", 8, "found 'CopyActivity' before .x, wanted a reference"),
            ("#{1 .x}", 6, "found '1' before .x"),
            ("#{input.parent.@id.x}", 0, "wanted a reference|no field"),
        ],
    )
    def test_unknown_names_are_told_with_their_column(
        self, text: str, column: int, message: str
    ) -> None:
        with pytest.raises(ExpressionError, match=message) as caught:
            value(text, at_work(parameters={"myVar": ("v",)}))

        assert column in {0, caught.value.column}

    def test_a_dangling_reference(self) -> None:
        with pytest.raises(ExpressionError, match="there is no object 'Gone' to take 'x' from"):
            value("#{input.x}", scope(obj("A", ("input", Ref("Gone")))))

    @pytest.mark.parametrize("text", ["#{myA}", "#{myB}", "#{myA + myB}", "#{me.myC}"])
    def test_a_circle_is_an_error(self, text: str) -> None:
        world = scope(
            obj("A", ("myA", "#{myB}"), ("myB", "x#{myA}"), ("me", Ref("A")), ("myC", "#{me.myC}"))
        )

        with pytest.raises(ExpressionError, match="refers to itself"):
            value(text, world)

    def test_a_parameter_that_names_itself_is_a_circle(self) -> None:
        with pytest.raises(ExpressionError, match="refers to itself"):
            value("#{myP}", scope(obj("A"), parameters={"myP": ("#{myP}",)}))
