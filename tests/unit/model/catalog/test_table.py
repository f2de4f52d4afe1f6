from __future__ import annotations

import json
from pathlib import Path

import pytest

from taskrunner.model.catalog import (
    CATALOG,
    FieldGroup,
    Slot,
    category,
    common_field,
    field_text,
)

ROOT = Path(__file__).resolve().parents[4]
REFERENCE = ROOT / "../shared/reference/object-reference.json"


def test_every_type_is_there_with_a_line_of_its_own() -> None:
    assert len(CATALOG) == 43
    assert all(object_type.text.endswith(".") for object_type in CATALOG.values())
    assert len({object_type.text for object_type in CATALOG.values()}) == len(CATALOG)
    assert "CopyActivity" in CATALOG
    assert "copyActivity" not in CATALOG
    assert CATALOG.get("Nothing") is None


def test_every_field_has_a_line() -> None:
    for object_type in CATALOG.values():
        for name in object_type.fields:
            assert field_text(name).endswith("."), (object_type.name, name)
    assert field_text("nothing") == ""


def test_references_name_types_and_enumerations_have_words() -> None:
    for object_type in CATALOG.values():
        for spec in object_type.fields.values():
            assert set(spec.ref_types) <= set(CATALOG), (object_type.name, spec.name)
            if spec.slot is Slot.ENUMERATION and not spec.enum:
                assert spec.name == "region"


def test_groups_that_need_one_field() -> None:
    groups = [[s.name for s in group] for group in CATALOG["ShellCommandActivity"].one_of]
    assert groups == [["command", "scriptUri"], ["runsOn", "workerGroup"]]
    assert [s.name for s in CATALOG["Property"].required] == ["key", "value"]
    assert CATALOG["Ec2Resource"].fields["runsOn"].group is FieldGroup.FORBIDDEN


def test_who_runs_and_who_has_a_schedule() -> None:
    assert {"CopyActivity", "S3DataNode", "S3KeyExists", "Ec2Resource"} <= set(category("runnable"))
    assert {"SnsAlarm", "HttpProxy", "Schedule", "CSV"}.isdisjoint(category("runnable"))
    assert CATALOG["EmrCluster"].scheduled
    assert not CATALOG["S3KeyExists"].scheduled
    assert category("schedule") == ("Schedule",)


def test_fields_that_every_object_has() -> None:
    parent = common_field("parent")
    assert parent is not None
    assert parent.slot is Slot.REFERENCE
    assert common_field("role") is None


@pytest.mark.skipif(not REFERENCE.exists(), reason="needs ../shared/reference beside the project")
def test_the_table_says_what_the_reference_says() -> None:
    reference = json.loads(REFERENCE.read_text())
    types = {name: row for name, row in reference.items() if not name.startswith("_")}
    own_types = {t.name for t in CATALOG.values() if t.is_own}
    assert own_types == {"JsonLines", "Parquet"}
    assert set(types) == set(CATALOG) - own_types
    for name, row in types.items():
        object_type = CATALOG[name]
        assert object_type.category == row["category"]
        undocumented = {
            s.name for s in object_type.fields.values() if s.group is FieldGroup.UNDOCUMENTED
        }
        own = {s.name for s in object_type.fields.values() if s.group is FieldGroup.EXTENSION}
        assert set(object_type.fields) - undocumented - own == set(row["fields"])
        assert undocumented == set(row.get("undocumented", {}))
        for key, fact in row["fields"].items():
            spec = object_type.fields[key]
            if key != "terminateAfter":  # an Integer in one table, and a Period in all samples
                assert spec.slot == fact["slot"], (name, key)
            assert spec.runtime == (fact["group"] in {"runtime", "system"}), (name, key)
            assert spec.required == (fact["group"] == "required"), (name, key)
            assert list(spec.enum) == fact.get("enum", []), (name, key)
            assert spec.encrypted == fact.get("encrypted", False), (name, key)
            wanted = fact.get("ref_types", [])
            refs = sorted(set(spec.ref_types) - own_types)
            assert refs == ([] if wanted == ["*"] else sorted(wanted)), (name, key)
