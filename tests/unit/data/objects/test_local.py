from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.data.objects.base import AnyOrderWriter
from taskrunner.data.objects.local import FileBackend, FolderBackend
from taskrunner.data.objects.location import parse
from taskrunner.data.objects.store import RoutingStore
from taskrunner.errors import ErrorId, PathNotAllowed, TaskError
from taskrunner.host.local_files import LocalFiles


@pytest.fixture(params=[True, False], ids=["nameless", "hidden"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> RoutingStore:
    nameless: bool = request.param
    folder = FolderBackend(tmp_path / "s3", nameless=nameless)
    return RoutingStore({"s3": lambda: folder, "file": lambda: FileBackend(nameless=nameless)})


def put(store: RoutingStore, uri: str, data: bytes) -> None:
    with store.open_write(uri) as writer:
        writer.write(data)


def put_half(store: RoutingStore, uri: str, data: bytes) -> None:
    with store.open_write(uri) as writer:
        writer.write(data)
        raise KeyboardInterrupt


def get(store: RoutingStore, uri: str) -> bytes:
    with store.open_read(uri) as reader:
        return reader.read()


def uris(store: RoutingStore, prefix: str) -> list[str]:
    return [info.uri for info in store.list(prefix)]


def test_an_object_lives_at_bucket_and_key(store: RoutingStore, tmp_path: Path) -> None:
    put(store, "s3://bucket/a/b.csv", b"1,2\n")
    assert (tmp_path / "s3/bucket/a/b.csv").read_bytes() == b"1,2\n"
    assert get(store, "s3://bucket/a/b.csv") == b"1,2\n"
    info = store.stat("s3://bucket/a/b.csv")
    assert info is not None
    assert info.size == 4
    assert info.modified.tzinfo is not None


def test_some_bytes_are_read_without_the_others(store: RoutingStore, tmp_path: Path) -> None:
    put(store, "s3://bucket/k", b"0123456789")
    for start, size in ((0, 3), (4, 2), (8, 9), (10, 1), (99, 1)):
        found = store.read_range("s3://bucket/k", start, size)
        assert found == b"0123456789"[start : start + size]
    with pytest.raises(TaskError):
        store.read_range("s3://bucket/none", 0, 1)
    inside, outside = tmp_path / "in", tmp_path / "outside"
    inside.mkdir()
    outside.write_bytes(b"secret")
    (inside / "link").symlink_to(outside)
    bounded = FileBackend(local=LocalFiles(folders=(inside,)))
    with pytest.raises(PathNotAllowed):
        bounded.read_range(parse(str(inside / "link")), 0, 9)


def test_nothing_is_visible_before_the_block_ends_well(store: RoutingStore, tmp_path: Path) -> None:
    with store.open_write("s3://bucket/k") as writer:
        writer.write(b"x" * 100_000)
        assert store.stat("s3://bucket/k") is None
        assert uris(store, "s3://bucket/") == []
    assert uris(store, "s3://bucket/") == ["s3://bucket/k"]
    assert [p.name for p in (tmp_path / "s3/bucket").iterdir()] == ["k"]


def test_an_object_may_be_put_together_in_any_order(store: RoutingStore) -> None:
    with store.open_write("s3://bucket/k") as writer:
        assert isinstance(writer, AnyOrderWriter)
        writer.write_at(memoryview(b"3456"), 3)
        writer.write_at(memoryview(b"012"), 0)
        writer.settle(7)
        found = bytearray(4)
        writer.read_at(memoryview(found), 2)
        assert found == b"2345"
        with pytest.raises(TaskError, match="gone"):
            writer.read_at(memoryview(found), 5)
    assert get(store, "s3://bucket/k") == b"0123456"


def test_a_failed_write_leaves_the_older_object(store: RoutingStore, tmp_path: Path) -> None:
    put(store, "s3://bucket/k", b"old")
    with pytest.raises(KeyboardInterrupt):
        put_half(store, "s3://bucket/k", b"new")
    assert get(store, "s3://bucket/k") == b"old"
    assert [p.name for p in (tmp_path / "s3/bucket").iterdir()] == ["k"]


def test_a_later_write_replaces(store: RoutingStore) -> None:
    put(store, "s3://bucket/k", b"old, and longer")
    put(store, "s3://bucket/k", b"new")
    assert get(store, "s3://bucket/k") == b"new"


def test_crash_leftovers_are_never_listed_or_read(store: RoutingStore, tmp_path: Path) -> None:
    put(store, "s3://bucket/k", b"")
    (tmp_path / "s3/bucket/.0123.taskrunner-part").write_bytes(b"half")
    assert uris(store, "s3://bucket") == ["s3://bucket/k"]
    with pytest.raises(TaskError, match="unfinished"):
        store.stat("s3://bucket/.0123.taskrunner-part")


def test_listing_is_in_the_order_of_keys(store: RoutingStore) -> None:
    # '-' and '.' sort before '/', letters after: a plain walk gets this wrong.
    keys = ["a-b", "a.b", "a/b", "a/c/d", "aa", "b", "é", "😀"]
    for key in reversed(keys):
        put(store, f"s3://bucket/{key}", b"")
    assert uris(store, "s3://bucket/") == [f"s3://bucket/{key}" for key in keys]
    assert uris(store, "s3://bucket/a/") == ["s3://bucket/a/b", "s3://bucket/a/c/d"]
    assert uris(store, "s3://bucket/a") == [f"s3://bucket/{key}" for key in keys[:5]]
    assert uris(store, "s3://bucket/none") == []
    assert uris(store, "s3://nobucket/") == []


@pytest.mark.parametrize(
    "uri",
    [
        "s3://bucket/../x",
        "s3://bucket/a/../../x",
        "s3://../x",
        "s3://bucket//../x",
        "s3://bucket/a/%2F/b",
        "s3://bucket/./a",
        "s3://bucket/nul\0",
        "s3:///key",
        "relative/path",
        "http://host/x",
        "file://host/x",
    ],
)
def test_what_cannot_name_an_object_is_refused(store: RoutingStore, uri: str) -> None:
    with pytest.raises(TaskError) as caught:
        put(store, uri, b"")
    assert caught.value.error_id == ErrorId.INVALID_FIELD


def test_an_empty_part_of_a_key_is_one_part(store: RoutingStore, tmp_path: Path) -> None:
    keys = ["/k", "a/%2Fb", "a///c", "a//b", "a/b"]
    for key in keys:
        put(store, f"s3://bucket/{key}", key.encode())
    assert uris(store, "s3://bucket/") == sorted(f"s3://bucket/{key}" for key in keys)
    assert [get(store, f"s3://bucket/{key}").decode() for key in keys] == keys
    assert uris(store, "s3://bucket//") == ["s3://bucket//k"]
    assert uris(store, "s3://bucket/a//") == ["s3://bucket/a///c", "s3://bucket/a//b"]
    assert uris(store, "s3://bucket/a///") == ["s3://bucket/a///c"]
    assert uris(store, "s3://bucket/a//b") == ["s3://bucket/a//b"]
    assert (tmp_path / "s3/bucket/a/%2F/b").read_bytes() == b"a//b"


@pytest.mark.parametrize("uri", ["s3://bucket", "s3://bucket/", "s3://bucket/folder/"])
def test_a_folder_is_no_object(store: RoutingStore, uri: str) -> None:
    put(store, "s3://bucket/folder/k", b"")
    assert store.stat(uri) is None
    with pytest.raises(TaskError, match="folder"):
        get(store, uri)
    with pytest.raises(TaskError, match="folder"):
        put(store, uri, b"")


def test_a_key_may_not_be_an_object_and_a_folder(store: RoutingStore) -> None:
    put(store, "s3://bucket/a/b", b"")
    assert store.stat("s3://bucket/a") is None
    with pytest.raises(TaskError, match="there are objects below it"):
        put(store, "s3://bucket/a", b"")
    with pytest.raises(TaskError) as caught:
        put(store, "s3://bucket/a/b/c", b"")
    assert caught.value.error_id == ErrorId.INVALID_FIELD


@pytest.mark.parametrize("uri", ["s3://bucket/none", "s3://none/k", "s3://bucket/a", "/no/file"])
def test_reading_nothing_says_so(store: RoutingStore, uri: str) -> None:
    put(store, "s3://bucket/a/b", b"")
    with pytest.raises(TaskError, match="there is no such object") as caught:
        get(store, uri)
    assert caught.value.error_id == ErrorId.NOT_FOUND
    assert uri in str(caught.value)


def test_delete_is_quiet_about_what_is_not_there(store: RoutingStore) -> None:
    put(store, "s3://bucket/a/b", b"")
    for uri in ("s3://bucket/none", "s3://bucket/a", "s3://bucket/a/b/c", "s3://bucket/a/b"):
        store.delete(uri)
    assert uris(store, "s3://bucket/") == []


def test_files_have_uris_and_paths(store: RoutingStore, tmp_path: Path) -> None:
    path = tmp_path / "a folder" / "b%20.csv"
    put(store, str(path), b"x")
    assert path.read_bytes() == b"x"
    uri = path.as_uri()
    assert get(store, uri) == b"x"
    assert uris(store, path.parent.as_uri() + "/") == [uri]
    assert uris(store, f"{path.parent}/b") == [str(path)]


def test_copies_go_between_all_places(store: RoutingStore, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(os.urandom(3_000_000))
    assert store.upload(source, "s3://bucket/one") == 3_000_000
    assert store.copy("s3://bucket/one", "s3://other/two") == 3_000_000
    assert store.download("s3://other/two", tmp_path / "target") == 3_000_000
    assert (tmp_path / "target").read_bytes() == source.read_bytes()


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1))
def test_any_name_that_a_file_can_have_comes_back(name: str) -> None:
    uri = f"s3://bucket/{name}"
    location = parse(uri) if len(name.encode()) <= 1024 else None
    if location is not None:
        assert location.key == name
        assert location.bucket == "bucket"
