"""Imports of export files: what is written, at which rate, and what is refused beforehand."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from taskrunner.data.dynamodb.calls import Named, Refused
from taskrunner.data.dynamodb.items import Item, to_line
from taskrunner.data.dynamodb.load import Import, Importer
from taskrunner.data.dynamodb.table import described
from taskrunner.data.objects.base import ObjectStore
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError
from taskrunner.testing import FakeClock
from tests.unit.data.dynamodb.conftest import Watch
from tests.unit.data.dynamodb.fake import FakeDynamoDB

URI = "s3://backups/users/"
USERS = Named(table="users", owner="DynamoDBDataNode 'Target'")


class Scene:
    """Files, and an empty table for them."""

    def __init__(self, objects: ObjectStore, watch: Watch) -> None:
        self.objects = objects
        self.watch = watch
        self.server = FakeDynamoDB(write=1000)
        self.clock = FakeClock()

    def put(self, name: str, content: bytes) -> None:
        with self.objects.open_write(URI + name) as writer:
            writer.write(content)

    def manifest(self, *urls: str) -> None:
        entries = [{"url": url, "mandatory": True} for url in urls]
        self.put("manifest", json.dumps({"version": 3, "entries": entries}).encode())

    def run(self, uri: str = URI, **fields: Any) -> Any:
        importer = Importer(
            Import(**{"uri": uri, "share": 0.5, **fields}),
            calls=self.server,
            table=described(self.server, USERS),
            objects=self.objects,
            monitor=self.watch,
            log=self.watch.log,
            clock=self.clock,
        )
        return importer.run()

    def written(self) -> list[str]:
        return [name for name, _ in self.server.calls if name in {"BatchWriteItem", "PutItem"}]


@pytest.fixture
def scene(objects: ObjectStore, watch: Watch) -> Scene:
    return Scene(objects, watch)


def item(number: int, **more: Any) -> Item:
    return {"id": {"S": f"user-{number:04}"}, **more}


def file_of(*numbers: int) -> bytes:
    return b"".join(to_line(item(number)) for number in numbers)


def test_the_files_of_the_manifest_are_imported_and_no_others(scene: Scene) -> None:
    scene.put("a", file_of(*range(60)))
    scene.put("b", file_of(60))
    scene.put("c", file_of(99))
    scene.manifest(URI + "a", "s3n://backups/users/b")
    moved = scene.run()
    assert (moved.rows, moved.files) == (61, 2)
    assert sorted(scene.server.items) == [f"user-{n:04}" for n in range(61)]
    assert scene.watch.told["percent"] == 100
    sizes = [
        len(request["RequestItems"]["users"])
        for name, request in scene.server.calls
        if name == "BatchWriteItem"
    ]
    assert sorted(sizes) == [11, 25, 25]


@pytest.mark.parametrize("uri", [URI, URI.rstrip("/"), "s3n://backups/users"])
def test_without_a_manifest_the_folder_is_imported(scene: Scene, uri: str) -> None:
    scene.put("part-0", file_of(1, 2))
    scene.put("part-1.gz", gzip.compress(file_of(3)))
    for hidden in ("_SUCCESS", "_logs/history", ".part.crc"):
        scene.put(hidden, b"no items")
    assert scene.run(uri).rows == 3


def test_one_object_can_be_imported(scene: Scene) -> None:
    scene.put("a", file_of(1, 2))
    scene.put("b", file_of(3))
    assert scene.run(URI + "a").rows == 2


def test_all_forms_of_lines(scene: Scene) -> None:
    scene.put("a", b'{"id":{"S":"upper"}}\r\n\n{"id":{"s":"lower"}}\nid\x03{"s":"oldest"}')
    assert scene.run().rows == 3
    assert set(scene.server.items) == {"upper", "lower", "oldest"}


def test_the_share_of_the_write_capacity_is_held(scene: Scene) -> None:
    scene.server.write_units = 40
    scene.put("a", b"".join(to_line(item(n, pad={"S": "x" * 3000})) for n in range(50)))
    scene.run(share=0.25)
    assert scene.server.consumed == 150
    # Several threads wait at once, but the fake clock adds up what each of them does.
    assert scene.server.consumed / scene.clock.monotonic() <= 10 * 150 / (150 - 30)
    sizes = {
        len(request["RequestItems"]["users"])
        for name, request in scene.server.calls
        if name == "BatchWriteItem"
    }
    assert sizes == {10}


def test_what_the_server_leaves_is_sent_again(scene: Scene) -> None:
    scene.server.takes = [10, 0, 0, 5, 25]
    scene.put("a", file_of(*range(25)))
    scene.run()
    assert len(scene.server.items) == 25
    assert scene.written() == ["BatchWriteItem"] * 5
    # Each time that nothing is taken the pause is longer.
    assert scene.clock.waits[:3] == pytest.approx([0.05, 0.1, 0.2])


def test_a_server_that_takes_nothing_more_is_given_up(scene: Scene) -> None:
    scene.server.takes = [0]
    scene.put("a", file_of(1))
    with pytest.raises(TaskError, match="still throttled; use a smaller share") as caught:
        scene.run()
    assert "DynamoDBDataNode 'Target', field 'tableName', table 'users'" in str(caught.value)
    assert caught.value.error_id == ErrorId.CONNECTION_FAILED


def test_a_key_twice_is_written_in_order(scene: Scene) -> None:
    scene.put("a", to_line(item(1, n={"N": "1"})) + to_line(item(1, n={"N": "2"})))
    scene.run()
    assert scene.written() == ["BatchWriteItem"] * 2


def test_a_filter(scene: Scene) -> None:
    scene.put("a", file_of(*range(30)))
    assert scene.run(wants=lambda found: found["id"]["S"] < "user-0010").rows == 10


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b'{"id":{"s":"x"}', "it is not JSON"),
        (b'{"name":{"s":"x"}}', "it has no attribute 'id', a key of the table 'users'"),
        (b'{"id":{"n":"1"}}', "the key 'id' has the type N, that of the table is S"),
        (b'{"id":{"s":""}}', "the key 'id' has 0 bytes, wanted 1 to 2048"),
        (
            to_line(item(7, pad={"S": "x" * 409_600})).rstrip(),
            "the item id=user-0007 has 409614 bytes, DynamoDB takes 409600; take it out",
        ),
    ],
    ids=["cut", "no key", "other key", "empty key", "large"],
)
def test_a_bad_line_is_named_and_nothing_is_written(
    scene: Scene, content: bytes, problem: str
) -> None:
    scene.put("a", file_of(*range(500)))
    scene.put("b", file_of(500) + content + b"\n")
    with pytest.raises(PermanentTaskError, match=re.escape(problem)) as caught:
        scene.run()
    assert str(caught.value).startswith("s3://backups/users/b, line 2: ")
    assert caught.value.error_id == ErrorId.INVALID_FIELD
    assert scene.written() == []


def test_an_item_of_the_largest_size_is_written(scene: Scene) -> None:
    largest = item(7, pad={"S": "x" * (409_600 - 14)})
    scene.put("a", to_line(largest))
    scene.run()
    assert scene.server.items["user-0007"] == largest


def test_an_item_that_only_the_server_refuses_is_named(scene: Scene) -> None:
    scene.put("a", file_of(*range(10)) + to_line(item(10, refused={"S": "x"})))
    with pytest.raises(PermanentTaskError, match="a, line 11: the table 'users' does not") as error:
        scene.run()
    assert '{"id": {"S": "user-0010"}}: One or more parameter values' in str(error.value)


def test_other_refusals_are_told_of_the_table(scene: Scene) -> None:
    def before(operation: str, _request: Mapping[str, Any]) -> None:
        if operation == "BatchWriteItem":
            raise Refused("AccessDeniedException", "not authorized to perform BatchWriteItem")

    scene.server.before = before
    scene.put("a", file_of(1))
    with pytest.raises(TaskError, match="cannot write to it in us-east-1: not auth") as caught:
        scene.run()
    assert caught.value.error_id == ErrorId.ACCESS_DENIED


def test_an_empty_export_imports_nothing(scene: Scene) -> None:
    scene.manifest()
    assert scene.run().rows == 0
    assert scene.watch.told["percent"] == 100


def test_nothing_to_import(scene: Scene) -> None:
    scene.put("_SUCCESS", b"")
    with pytest.raises(TaskError, match="no export in s3://backups/users/: neither") as caught:
        scene.run()
    assert caught.value.error_id == ErrorId.NOT_FOUND


@pytest.mark.parametrize(
    ("manifest", "problem"),
    [
        (b'{"entries": [\n{"url"}]}', "manifest: line 2: it is no manifest"),
        (b"[]", "it is no manifest of an export, wanted"),
        (b'{"entries": [{"path": "x"}]}', "it is no manifest"),
    ],
)
def test_a_broken_manifest(scene: Scene, manifest: bytes, problem: str) -> None:
    scene.put("manifest", manifest)
    with pytest.raises(PermanentTaskError, match=problem):
        scene.run()


def test_a_file_that_the_manifest_names_and_nobody_finds(scene: Scene) -> None:
    scene.put("a", file_of(1))
    scene.manifest(URI + "a", URI + "gone")
    with pytest.raises(TaskError, match="users/gone") as caught:
        scene.run()
    assert caught.value.error_id == ErrorId.NOT_FOUND
    assert scene.written() == []


def test_a_damaged_gzip_file(scene: Scene) -> None:
    scene.put("a.gz", gzip.compress(file_of(*range(100)))[:-20])
    with pytest.raises(TaskError, match=r"a\.gz: the object ends in the middle"):
        scene.run()
    assert scene.written() == []


def test_a_line_without_an_end_is_no_export(scene: Scene) -> None:
    scene.put("a", b"x" * ((16 << 20) + 1))
    with pytest.raises(PermanentTaskError, match="a, line 1: it has no end within 16 MiB"):
        scene.run()
