from __future__ import annotations

from taskrunner.model.document import Definition, Field, PipelineObject, Ref, Value
from taskrunner.model.inheritance import MAX_PARENTS, effective, parents


def obj(object_id: str, *parent: str, **fields: Value) -> PipelineObject:
    refs = tuple(Field("parent", Ref(each)) for each in parent)
    own = tuple(Field(key, value) for key, value in fields.items())
    return PipelineObject(id=object_id, name=object_id, fields=refs + own)


def whole(*objects: PipelineObject) -> dict[str, PipelineObject]:
    return effective(Definition(objects=objects))


def test_default_is_inherited_and_own_fields_win() -> None:
    found = whole(obj("Default", role="r", schedule=Ref("S")), obj("A", role="mine"))
    assert found["A"].values("role") == ("mine",)
    assert found["A"].values("schedule") == (Ref("S"),)
    assert found["Default"].keys() == ("role", "schedule")


def test_a_parent_replaces_default_and_hands_its_fields_on() -> None:
    found = whole(
        obj("Default", role="default", region="d", type="no"),
        obj("Base", role="base", command="c", type="T"),
        obj("A", "Base", command="mine"),
    )
    assert found["A"].values("command") == ("mine",)
    assert found["A"].values("role") == ("base",)
    assert found["A"].values("region") == ("d",)
    assert found["A"].type == "T"
    assert found["A"].refs("parent") == (Ref("Base"),)
    assert not found["Base"].has("parent")


def test_an_own_value_hides_every_inherited_one() -> None:
    base = PipelineObject(id="B", name="B", fields=(Field("step", "1"), Field("step", "2")))
    found = whole(base, obj("A", "B", step="3"), obj("C", "B"))
    assert found["A"].values("step") == ("3",)
    assert found["C"].values("step") == ("1", "2")


def test_several_parents_count_in_order_and_each_once() -> None:
    found = whole(
        obj("Top", top="t", x="top"), obj("B", "Top", x="b"), obj("C", "Top", x="c", y="c"),
        obj("A", "B", "C"),
    )  # fmt: skip
    assert found["A"].values("x") == ("b",)
    assert found["A"].values("y") == ("c",)
    assert found["A"].values("top") == ("t",)


def test_circles_end_and_dangling_parents_fall_back_to_default() -> None:
    found = whole(
        obj("Default", role="r"),
        obj("A", "B", x="a"),
        obj("B", "A", y="b"),
        obj("C", "C", z="c"),
        obj("D", "Nobody"),
    )
    assert found["A"].values("y") == ("b",)
    assert found["B"].values("x") == ("a",)
    assert found["C"].values("z") == ("c",)
    assert found["D"].values("role") == ("r",)


def test_of_repeated_ids_the_first_counts() -> None:
    found = whole(obj("A", x="first"), obj("A", x="second"))
    assert found["A"].values("x") == ("first",)


def test_long_chains_are_cut() -> None:
    chain = {str(i): obj(str(i), str(i + 1)) for i in range(100)}
    assert len(parents(chain["0"], chain)) == MAX_PARENTS
