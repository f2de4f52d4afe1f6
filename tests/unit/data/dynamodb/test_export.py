"""Exports of a table: their files, their rate, and how a later attempt goes on."""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, cast

import pytest

from taskrunner.data.dynamodb.calls import Named
from taskrunner.data.dynamodb.export import Export, Exporter, FileLimits
from taskrunner.data.dynamodb.export_files import find_files, lines, read_manifest
from taskrunner.data.dynamodb.items import Item, from_line
from taskrunner.data.dynamodb.state import PREFIX, ExportState, SegmentState, new_name
from taskrunner.data.dynamodb.table import described
from taskrunner.data.objects.base import ObjectStore
from taskrunner.errors import TaskError
from taskrunner.testing import FakeClock
from tests.unit.data.dynamodb.conftest import Watch
from tests.unit.data.dynamodb.fake import FakeDynamoDB

URI = "s3://backups/users/2026-02-16/"
USERS = Named(table="users", owner="DynamoDBDataNode 'Source'")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Scene:
    """A table, a place for its exports, and a clock."""

    def __init__(self, objects: ObjectStore, watch: Watch, server: FakeDynamoDB) -> None:
        self.objects = objects
        self.watch = watch
        self.server = server
        self.clock = FakeClock()
        self.limits = FileLimits()

    def exporter(self, **fields: Any) -> Exporter:
        export = Export(**{"folder": URI, "share": 0.5, "owner": "@Backup_1", **fields})
        return Exporter(
            export,
            calls=self.server,
            table=described(self.server, USERS),
            objects=self.objects,
            monitor=self.watch,
            log=self.watch.log,
            clock=self.clock,
            limits=self.limits,
        )

    def run(self, **fields: Any) -> Any:
        return self.exporter(**fields).run()

    def names(self) -> set[str]:
        return {info.uri.removeprefix(URI) for info in self.objects.list(URI)}

    def exported(self) -> list[Item]:
        files = find_files(self.objects, URI)
        return [from_line(line) for uri in files for _, line in lines(self.objects, uri)]


@pytest.fixture
def scene(objects: ObjectStore, watch: Watch) -> Scene:
    return Scene(objects, watch, FakeDynamoDB(1000))


def in_order(items: list[Item]) -> list[Item]:
    return sorted(items, key=lambda item: item["id"]["S"])


def test_an_export_has_every_item_once_in_the_layout_of_aws(scene: Scene) -> None:
    moved = scene.run(segments=4)
    assert (moved.rows, moved.files) == (1000, 4)
    assert in_order(scene.exported()) == list(scene.server.items.values())
    files = scene.names() - {"manifest", "_SUCCESS"}
    assert len(files) == 4
    assert all(UUID.fullmatch(name) for name in files)
    with scene.objects.open_read(URI + "manifest") as reader:
        manifest = json.loads(reader.read())
    assert manifest["name"] == "DynamoDB-export"
    assert manifest["version"] == 3
    assert {entry["url"] for entry in manifest["entries"]} == {URI + name for name in files}
    assert all(entry["mandatory"] is True for entry in manifest["entries"])
    info = scene.objects.stat(URI + "_SUCCESS")
    assert info is not None
    assert info.size == 0


def test_gzip(scene: Scene) -> None:
    scene.run(segments=2, gzip=True)
    assert all(uri.endswith(".gz") for uri in find_files(scene.objects, URI))
    assert len(scene.exported()) == 1000


def test_an_empty_table_is_an_export_without_files(scene: Scene) -> None:
    scene.server.items.clear()
    assert scene.run(segments=3).files == 0
    assert scene.names() == {"manifest", "_SUCCESS"}
    assert read_manifest(scene.objects, URI) == []


def test_the_share_of_the_read_capacity_is_held(scene: Scene) -> None:
    scene.server = FakeDynamoDB(2000, pad=400, read=40)
    scene.run(share=0.25, segments=1)
    rate = scene.server.consumed / scene.clock.monotonic()
    assert scene.server.consumed > 60
    # What the last pages cost is not waited for any more, hence not quite ten.
    assert 9.0 < rate < 11.5
    scans = [request for name, request in scene.server.calls if name == "Scan"]
    # No page alone costs more than a second of the rate.
    assert max(request["Limit"] for request in scans) <= 10 * 8192 / 400


@pytest.mark.parametrize("known", [True, False])
def test_a_small_share_is_not_wasted_on_small_pages(scene: Scene, known: bool) -> None:
    scene.server = FakeDynamoDB(5000, read=1)
    ideal = scene.server.size_bytes / 8192
    if not known:
        scene.server.table = {"ItemCount": 0, "TableSizeBytes": 0}
    scene.run(share=0.1, segments=8)
    assert scene.server.consumed <= 1.5 * ideal + 8 * 0.5


def test_a_page_of_a_large_table_is_not_cut(scene: Scene) -> None:
    scene.server.read_units = 40_000
    scene.run(segments=1)
    scans = [request for name, request in scene.server.calls if name == "Scan"]
    assert "Limit" not in scans[0]


def test_segments_follow_the_size_of_the_table(scene: Scene) -> None:
    scene.run()
    scene.server.table["TableSizeBytes"] = 30 << 20
    scene.run(folder=URI + "b/")
    scene.server.table["TableSizeBytes"] = 300 << 30
    scene.run(folder=URI + "c/")
    totals = [request["TotalSegments"] for name, request in scene.server.calls if name == "Scan"]
    assert sorted(set(totals)) == [1, 4, 8]


def test_what_a_filter_leaves_out_is_not_there(scene: Scene) -> None:
    def keep(item: Item) -> Item | None:
        return {"id": item["id"]} if int(item["n"]["N"]) < 3 else None

    assert scene.run(segments=2, keep=keep).rows == 3
    assert [list(item) for item in scene.exported()] == [["id"]] * 3


def break_off(scene: Scene) -> None:
    """Export until the server has answered some pages, and some files are whole."""
    scene.limits = FileLimits(items=50)
    scene.server = FakeDynamoDB(1000, pad=400, read=8)
    left = [12]

    def before(operation: str, _request: Mapping[str, Any]) -> None:
        if operation == "Scan":
            left[0] -= 1
            if left[0] < 0:
                raise TaskError("the host is gone")

    scene.server.before = before
    with pytest.raises(TaskError, match="the host is gone"):
        scene.run(segments=2)


def lose_a_file(scene: Scene) -> str:
    """Make the file that a segment says it is writing; returns its name."""
    info = next(scene.objects.list(URI + PREFIX))
    with scene.objects.open_read(info.uri) as reader:
        name: str = json.loads(reader.read())["writing"]
    with scene.objects.open_write(URI + name) as writer:
        writer.write(b"{}")
    return name


def test_a_later_attempt_goes_on_with_what_is_whole(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    break_off(scene)
    assert read_manifest(scene.objects, URI) is None
    with pytest.raises(TaskError, match="is not finished"):
        find_files(scene.objects, URI)
    whole = {name for name in scene.names() if UUID.fullmatch(name)}
    assert whole
    # One that is whole but that nothing says so of, since its writer died at once; and again.
    lost = lose_a_file(scene)
    for _ in range(2):
        with pytest.raises(TaskError, match="the host is gone"):
            scene.run(segments=2)

    scene.server.before = lambda *_: None
    before = len(scene.server.calls)
    # Another number of segments by itself: the one that was begun with counts.
    scene.server.table["TableSizeBytes"] = 300 << 30
    moved = scene.run()
    assert moved.rows == 1000
    assert in_order(scene.exported()) == list(scene.server.items.values())
    assert whole <= {uri.removeprefix(URI) for uri in find_files(scene.objects, URI)}
    assert lost not in scene.names()
    scans = [request for name, request in scene.server.calls[before:] if name == "Scan"]
    assert any("ExclusiveStartKey" in request for request in scans[:2])
    assert {request["TotalSegments"] for request in scans} == {2}
    assert "Going on with the export that was begun at 2026-02-13T02:00:00Z" in caplog.text
    assert not any(name.startswith(PREFIX) for name in scene.names())


@pytest.mark.parametrize(
    "change",
    [
        {"owner": "@Backup_2"},
        {"segments": 3},
        {"gzip": True},
        {"later": timedelta(hours=25)},
        {"table": "another"},
    ],
    ids=str,
)
def test_what_belongs_to_another_export_is_not_gone_on_with(
    scene: Scene, change: dict[str, Any]
) -> None:
    break_off(scene)
    whole = {name for name in scene.names() if UUID.fullmatch(name)}

    scene.server.before = lambda *_: None
    if "later" in change:
        scene.clock.advance(change.pop("later"))
    if "table" in change:
        scene.server.table["TableId"] = change.pop("table")
    scene.run(**{"segments": 2, **change})
    assert in_order(scene.exported()) == list(scene.server.items.values())
    # What the other one left is gone with its state.
    assert whole
    assert not whole & scene.names()
    assert not any(name.startswith(PREFIX) for name in scene.names())


def test_a_state_that_somebody_else_wrote_is_not_trusted(scene: Scene) -> None:
    state = ExportState(scene.objects, URI, owner="@Backup_1 one plain", clock=scene.clock)
    state.save(0, 1, SegmentState(writing=new_name()))
    uri = f"{URI}{PREFIX}0000.json"
    with scene.objects.open_read(uri) as reader:
        kept = json.loads(reader.read())
    with scene.objects.open_write("s3://backups/users/precious") as writer:
        writer.write(b"keep me")
    for broken in ({"files": ["../precious"], "done": True}, {"begun": "2026-02-13"}, {"items": 1}):
        content = {**kept, **broken}
        if "items" in broken:
            del content["next_key"]
        with scene.objects.open_write(uri) as writer:
            writer.write(json.dumps(content).encode())
        assert scene.run().rows == 1000
        assert scene.objects.stat("s3://backups/users/precious") is not None
    with scene.objects.open_write(uri) as writer:
        writer.write(b"[not json")
    assert scene.run().rows == 1000


def test_an_export_replaces_the_one_before(scene: Scene) -> None:
    scene.run(segments=4)
    first = scene.names() - {"manifest", "_SUCCESS"}
    del scene.server.items["user-00000"]
    scene.run(segments=2, owner="@Backup_2")
    assert len(scene.exported()) == 999
    assert not first & scene.names()


def test_an_object_that_a_foreign_manifest_names_elsewhere_stays(scene: Scene) -> None:
    with scene.objects.open_write("s3://backups/elsewhere") as writer:
        writer.write(b"x")
    entry = {"url": "s3://backups/elsewhere", "mandatory": True}
    with scene.objects.open_write(URI + "manifest") as writer:
        writer.write(json.dumps({"entries": [entry]}).encode())
    scene.run()
    assert scene.objects.stat("s3://backups/elsewhere") is not None


def test_what_is_no_manifest_is_replaced(scene: Scene) -> None:
    with scene.objects.open_write(URI + "manifest") as writer:
        writer.write(b"no manifest")
    scene.run()
    assert len(scene.exported()) == 1000


@pytest.mark.parametrize(
    "limits", [FileLimits(items=100), FileLimits(bytes=10_000), FileLimits(seconds=2)], ids=str
)
def test_a_file_ends_early_so_that_little_is_lost(scene: Scene, limits: FileLimits) -> None:
    scene.limits = limits
    scene.server = FakeDynamoDB(1000, pad=400, read=8)
    assert scene.run(segments=1).files > 3
    assert len(scene.exported()) == 1000


def test_progress_says_items_and_segments(scene: Scene) -> None:
    scene.run(segments=2)
    assert scene.watch.told["items"] == 1000
    assert scene.watch.told["segments"] == "2/2"
    # The table's count is hours old: only the verdict says that all is done.
    assert scene.watch.told["percent"] == 99


def test_an_error_of_one_segment_ends_the_others(scene: Scene) -> None:
    def before(operation: str, request: Mapping[str, Any]) -> None:
        if operation == "Scan" and request["Segment"] == 1:
            raise TaskError("segment 1 is broken")

    scene.server.before = before
    threads = threading.active_count()
    with pytest.raises(TaskError, match="segment 1 is broken"):
        scene.run(segments=4)
    assert threading.active_count() == threads
    assert read_manifest(scene.objects, URI) is None


class NothingGoes:
    """A store whose host dies at the first deletion."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    def __getattr__(self, name: str) -> Any:
        return getattr(self._objects, name)

    def delete(self, uri: str) -> None:
        raise ConnectionAbortedError(uri)


def test_an_attempt_that_dies_while_it_publishes_is_finished_by_the_next(scene: Scene) -> None:
    scene.run(segments=1, owner="@Backup_0")
    (old,) = find_files(scene.objects, URI)
    objects = scene.objects
    scene.objects = cast("ObjectStore", NothingGoes(objects))
    with pytest.raises(ConnectionAbortedError):
        scene.run(segments=2)
    scene.objects = objects
    files = set(find_files(scene.objects, URI))
    assert len(files) == 2
    before = len(scene.server.calls)
    assert scene.run(segments=2).rows == 1000
    assert "Scan" not in {name for name, _ in scene.server.calls[before:]}
    assert set(find_files(scene.objects, URI)) == files
    assert scene.objects.stat(old) is None
    assert len(scene.exported()) == 1000
    assert not any(name.startswith(PREFIX) for name in scene.names())
