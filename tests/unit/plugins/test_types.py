from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from taskrunner.activities.base import Activity, Context, FieldGroup, FieldSpec, Precondition, Slot
from taskrunner.model.catalog import CATALOG
from taskrunner.plugins.discovery import Kind, Plugin
from taskrunner.plugins.types import find_plugin_type, object_type


class Pager(Activity):
    """Pages somebody.

    At night, too.
    """

    type = "Pager"
    stages = True
    fields = (
        FieldSpec(name="number", group=FieldGroup.REQUIRED, note="Whom to page."),
        FieldSpec(name="times", slot=Slot.INTEGER, default=("1",)),
    )

    def run(self, ctx: Context) -> None:
        raise NotImplementedError


class Named(Pager):
    type = "Named"
    fields = ("number", "times")  # type: ignore[assignment]


class Free(Precondition):
    type = "Free"

    def check(self, ctx: Context) -> bool:
        raise NotImplementedError


def _plugin(name: str, kind: Kind, target: str = "") -> Plugin:
    target = target or f"{__name__}:{name}"
    entry = EntryPoint(name, target, kind.group)
    return Plugin(
        name=name, kind=kind, target=target, origin="acme", version="1", _entry_point=entry
    )


def test_a_declared_type_has_its_own_fields_and_those_of_all_activities() -> None:
    found = object_type(_plugin("Pager", Kind.ACTIVITY))
    assert (found.category, found.text) == (
        "activity",
        "Pages somebody. (a plugin: acme 1)",
    )
    assert not found.any_field
    assert [spec.name for spec in found.required] == ["number"]
    assert {"times", "stage", "dependsOn", "onFail", "schedule", "@status"} <= set(found.fields)
    assert "command" not in found.fields
    assert [{spec.name for spec in group} for group in found.one_of] == [{"runsOn", "workerGroup"}]
    assert found.runnable
    assert found.scheduled


def test_an_undeclared_type_takes_any_field() -> None:
    found = object_type(_plugin("Free", Kind.PRECONDITION))
    assert (found.category, found.any_field, found.required) == ("precondition", True, ())
    assert "preconditionTimeout" in found.fields


def test_fields_that_nobody_can_read_are_not_checked() -> None:
    found = object_type(_plugin("Named", Kind.ACTIVITY))
    assert (found.any_field, found.required) == (True, ())


@pytest.mark.parametrize("kind", [Kind.ACTIVITY, Kind.PRECONDITION, Kind.FORMAT])
def test_a_type_whose_driver_is_not_here_is_known_all_the_same(kind: Kind) -> None:
    found = object_type(_plugin("Other", kind, "no_such_module:Other"))
    assert found.any_field
    assert found.text == "(a plugin: acme 1)"


def test_types_of_awss_are_not_a_plugins_to_describe() -> None:
    assert all(find_plugin_type(name) is None for name in CATALOG)
    assert find_plugin_type("Nobodys") is None
