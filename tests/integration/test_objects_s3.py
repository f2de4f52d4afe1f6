"""The object store against a real S3 server, and against servers that are none."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import pytest

from taskrunner.data.objects import ObjectStore, open_store
from taskrunner.data.objects.location import parse
from taskrunner.data.objects.s3 import S3Backend
from taskrunner.data.objects.s3_client import create_client
from taskrunner.data.settings import DataSettings
from taskrunner.errors import ErrorId, TaskError
from tests.integration.stand_ins import denying_sts

MIB = 1 << 20


@pytest.fixture
def store(s3_endpoint: str) -> ObjectStore:
    return open_store(DataSettings(s3_endpoint=s3_endpoint))


def put(store: ObjectStore, uri: str, data: bytes) -> None:
    with store.open_write(uri) as writer:
        writer.write(data)


def get(store: ObjectStore, uri: str) -> bytes:
    with store.open_read(uri) as reader:
        return reader.read()


@pytest.mark.parametrize("size", [0, 1, 8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 20 * MIB])
def test_bytes_come_back(store: ObjectStore, s3_bucket: str, size: int) -> None:
    uri = f"s3://{s3_bucket}/folder/key.bin"
    data = os.urandom(size)
    put(store, uri, data)
    assert get(store, uri) == data
    info = store.stat(uri)
    assert info is not None
    assert info.size == size


@pytest.mark.parametrize("key", ["plain", "with space", "a+b", "é😀", "a%20b", "q?x=1#f", "x&y"])
def test_keys_of_every_kind(store: ObjectStore, s3_bucket: str, key: str) -> None:
    uri = f"s3://{s3_bucket}/{key}"
    put(store, uri, b"data")
    assert get(store, uri) == b"data"
    assert [info.uri for info in store.list(f"s3://{s3_bucket}/")] == [uri]
    store.copy(uri, f"s3://{s3_bucket}/copy of {key}")
    assert get(store, f"s3://{s3_bucket}/copy of {key}") == b"data"
    store.delete(uri)
    assert store.stat(uri) is None
    store.delete(uri)


def put_empty(endpoint: str, paths: list[str]) -> None:
    """As put_object does, without what botocore does for each of so many."""
    parts = urlsplit(endpoint)
    assert parts.hostname is not None
    with closing(HTTPConnection(parts.hostname, parts.port)) as connection:
        for path in paths:
            connection.request("PUT", path)
            with connection.getresponse() as reply:
                reply.read()
                assert reply.status == 200


@pytest.mark.no_cover
def test_long_listings_go_over_pages(store: ObjectStore, s3_bucket: str, s3_endpoint: str) -> None:
    names = [f"many/{n:05}" for n in range(1001)]
    put_empty(s3_endpoint, [f"/{s3_bucket}/{name}" for name in names])
    listed = [info.uri for info in store.list(f"s3://{s3_bucket}/many/")]
    assert listed == [f"s3://{s3_bucket}/{name}" for name in names]


def test_some_bytes_are_read_without_the_others(s3_endpoint: str, s3_bucket: str) -> None:
    backend = S3Backend(DataSettings(s3_endpoint=s3_endpoint))
    where = parse(f"s3://{s3_bucket}/digits")
    with backend.open_write(where) as writer:
        writer.write(b"0123456789")
    for start, size in ((0, 3), (4, 2), (8, 9), (10, 1), (3, 0)):
        assert backend.read_range(where, start, size) == b"0123456789"[start : start + size]
    with pytest.raises(TaskError, match="there is no such object"):
        backend.read_range(parse(f"s3://{s3_bucket}/none"), 0, 1)


def test_encryption_is_asked_for_only_when_wanted(
    store: ObjectStore, s3_bucket: str, s3_endpoint: str
) -> None:
    uri = f"s3://{s3_bucket}/key"
    client = create_client(DataSettings(s3_endpoint=s3_endpoint))
    for encrypt, expected in ((True, "AES256"), (False, None), (None, None)):
        with store.open_write(uri, encrypt=encrypt) as writer:
            writer.write(b"x")
        reply = client.head_object(Bucket=s3_bucket, Key="key")
        assert reply.get("ServerSideEncryption") == expected
    client.close()


def test_copies_above_the_limit_go_in_ranges(s3_endpoint: str, s3_bucket: str) -> None:
    settings = DataSettings(s3_endpoint=s3_endpoint)
    backend = S3Backend(settings, copy_limit=MIB, copy_range=5 * MIB)
    data = os.urandom(11 * MIB)
    source, target = parse(f"s3://{s3_bucket}/source"), parse(f"s3://{s3_bucket}/target")
    with backend.open_write(source) as writer:
        writer.write(data)
    assert backend.copy(source, target) == len(data)
    with backend.open_read(target) as reader:
        assert reader.read() == data


@pytest.mark.parametrize("what", ["read", "copy", "write", "list"])
def test_a_missing_bucket_is_named(store: ObjectStore, what: str, tmp_path: Path) -> None:
    uri = "s3://there-is-no-such-bucket/key"
    actions: dict[str, Callable[[], object]] = {
        "read": lambda: get(store, uri),
        "copy": lambda: store.copy(uri, uri + "2"),
        "write": lambda: put(store, uri, b"x" * 9 * MIB),
        "list": lambda: list(store.list(uri)),
    }
    with pytest.raises(TaskError, match=r"there-is-no-such-bucket.*does not exist") as caught:
        actions[what]()
    assert caught.value.error_id == ErrorId.NOT_FOUND


def test_an_endpoint_where_nobody_listens() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{sock.getsockname()[1]}"
        settings = DataSettings(s3_endpoint=endpoint)
        backend = S3Backend(settings, client=lambda s: create_client(s, tries=1))
        with pytest.raises(TaskError, match=endpoint) as caught:
            backend.stat(parse("s3://bucket/key"))
    assert caught.value.error_id == ErrorId.CONNECTION_FAILED


@contextmanager
def http_server(body: bytes, status: int) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("body", [b"<html>hello</html>", b"not even that", b"", b"{}"])
@pytest.mark.parametrize("status", [200, 404, 500])
def test_an_endpoint_that_is_not_s3(body: bytes, status: int) -> None:
    with http_server(body, status) as endpoint:
        settings = DataSettings(s3_endpoint=endpoint)
        backend = S3Backend(settings, client=lambda s: create_client(s, tries=1))
        location = parse("s3://bucket/key")

        def put(size: int) -> None:
            with backend.open_write(location) as writer:
                writer.write(bytes(size))

        def get() -> None:
            with backend.open_read(location) as reader:
                reader.read()

        for action in (
            get,
            lambda: put(1),
            lambda: put(9 * MIB),
            lambda: list(backend.list(location)),
        ):
            with pytest.raises(TaskError, match="s3://bucket/key"):
                action()


KILLED = """
import os, signal, sys
from taskrunner.data.objects.store import open_store
from taskrunner.data.settings import DataSettings
root, endpoint, uri = sys.argv[1:]
store = open_store(DataSettings(s3_root=root or None, s3_endpoint=endpoint or None))
with store.open_write(uri) as writer:
    for _ in range(20):
        writer.write(bytes(1 << 20))
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("place", ["folder", "server"])
def test_kill_9_while_writing_leaves_nothing_visible(
    place: str, s3_endpoint: str, s3_bucket: str, tmp_path: Path
) -> None:
    root = str(tmp_path) if place == "folder" else ""
    endpoint = s3_endpoint if place == "server" else ""
    uri = f"s3://{s3_bucket}/folder/key"
    code = KILLED.replace("root or None", "__import__('pathlib').Path(root) if root else None")
    done = subprocess.run(
        [sys.executable, "-c", code, root, endpoint, uri], check=False, timeout=60
    )
    assert done.returncode == -9
    settings = DataSettings(s3_root=Path(root) if root else None, s3_endpoint=endpoint or None)
    store = open_store(settings)
    assert list(store.list(f"s3://{s3_bucket}/")) == []
    assert store.stat(uri) is None
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_nothing_of_boto3_is_loaded_for_a_folder() -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from taskrunner.data.objects.store import open_store\n"
        "from taskrunner.data.settings import DataSettings\n"
        "list(open_store(DataSettings(s3_root=Path('/nowhere'))).list('s3://bucket/'))\n"
        "print([m for m in ('boto3', 'botocore') if m in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "[]\n"


def test_boto3_reads_what_was_written(store: ObjectStore, s3_bucket: str, s3_endpoint: str) -> None:
    data = os.urandom(9 * MIB)
    put(store, f"s3://{s3_bucket}/key", data)
    client = boto3.client("s3", endpoint_url=s3_endpoint)
    assert client.get_object(Bucket=s3_bucket, Key="key")["Body"].read() == data
    client.close()


def test_a_role_that_may_not_be_assumed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    role = "arn:aws:iam::123456789012:role/reader"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with denying_sts() as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", url)
        with pytest.raises(TaskError) as caught:
            open_store(DataSettings(role=role)).stat("s3://bucket/key")
    assert f"the role {role!r} may not be assumed" in str(caught.value)
    assert caught.value.error_id == ErrorId.ACCESS_DENIED
