"""Fields of copies to and from Redshift that change nothing beside others."""

from __future__ import annotations

import pytest

from tests.unit.model.validate.definitions import Change, Json, changed, report_on


def with_redshift(**changes: Json) -> Change:
    """The definition with a load of `Files` into `Table`, some fields of the objects changed."""
    objects: dict[str, Json] = {
        "Warehouse": {
            "type": "RedshiftDatabase",
            "clusterId": "c",
            "username": "me",
            "*password": "#{*mySecret}",
        },
        "Table": {
            "type": "RedshiftDataNode",
            "tableName": "orders",
            "database": {"ref": "Warehouse"},
        },
        "Files": {"type": "S3DataNode", "directoryPath": "s3://b/in/"},
        "Lines": {"type": "CSV"},
        "Load": {
            "type": "RedshiftCopyActivity",
            "insertMode": "APPEND",
            "input": {"ref": "Files"},
            "output": {"ref": "Table"},
            "workerGroup": "group",
        },
    }

    objects |= {key: {} for key in changes if key not in objects}

    def change(definition: Json) -> None:
        for object_id, fields in objects.items():
            more = {k: v for k, v in changes.get(object_id, {}).items() if v is not None}
            kept = {k: v for k, v in fields.items() if changes.get(object_id, {}).get(k, v)}
            definition["objects"].append({"id": object_id, **kept, **more})

    return change


def noted(**changes: Json) -> list[tuple[str | None, str | None]]:
    report = report_on(changed(with_redshift(**changes)))
    assert report.errors == ()
    return [(found.id, found.field) for found in report.warnings if found.code == "no-effect"]


OTHERS = {"type": "S3DataNode", "manifestFilePath": "s3://b/m", "filePath": "s3://b/f"}
FORMATTED = {"dataFormat": {"ref": "Lines"}}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"Load": {"commandOptions": ["CSV"]}}, []),
        (
            {"Load": {"commandOptions": ["CSV"]}, "Files": FORMATTED},
            [("Load", "commandOptions")],
        ),
        ({"Table": {"primaryKeys": "id"}}, [("Table", "primaryKeys")]),
        ({"Table": {"primaryKeys": "id"}, "Load": {"insertMode": "KEEP_EXISTING"}}, []),
        ({"Table": {"primaryKeys": "id"}, "Load": {"insertMode": "overwrite_existing"}}, []),
        (
            {"Files": {"manifestFilePath": "s3://b/m"}},
            [("Files", "directoryPath")],
        ),
        ({"Files": {"manifestFilePath": "s3://b/m", "directoryPath": None}}, []),
        ({"Files": {}, "Others": OTHERS}, [("Others", "manifestFilePath")]),
        ({"Files": {}, "Others": {**OTHERS, "filePath": None}}, []),
    ],
)
def test_fields_without_effect(changes: dict[str, Json], expected: list[tuple[str, str]]) -> None:
    assert noted(**changes) == expected
