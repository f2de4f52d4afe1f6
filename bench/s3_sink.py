"""S3 that costs next to nothing: bodies are hashed for their ETags and thrown away.

So who sends is the limit. Speaks as much of S3 as a log shipper and `aws s3 cp -` need: PUT of an
object, multipart uploads, HEAD, DELETE. Run as a process of its own: `python bench/s3_sink.py`
prints its port.
"""

from __future__ import annotations

import hashlib
import socket
import sys
import threading
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import IO, cast
from urllib.parse import parse_qs, unquote, urlsplit

_CHUNK = 1 << 20
_BUFFER = 1 << 16
_XML = '<?xml version="1.0" encoding="UTF-8"?>'


@dataclass(slots=True)
class Stored:
    """What is remembered of an object."""

    size: int
    etag: str
    metadata: dict[str, str]


@dataclass(slots=True)
class Upload:
    """A multipart upload under way."""

    metadata: dict[str, str]
    #: Number -> size and MD5.
    parts: dict[int, tuple[int, bytes]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    #: Of the body, which is gone.
    size: int
    md5: bytes

    @property
    def metadata(self) -> dict[str, str]:
        return {k: v for k, v in self.headers.items() if k.startswith("x-amz-meta-")}


@dataclass(frozen=True, slots=True)
class Reply:
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""


class Sink:
    """The buckets: every one exists."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._objects: dict[str, Stored] = {}
        self._uploads: dict[str, Upload] = {}

    def answer(self, request: Request) -> Reply:
        with self._lock:
            match request.method:
                case "PUT":
                    return self._put(request)
                case "POST":
                    return self._post(request)
                case "HEAD" | "GET":
                    return self._head(request)
                case _:
                    self._uploads.pop(request.query.get("uploadId", [""])[0], None)
                    self._objects.pop(request.path, None)
                    return Reply(204)

    def _put(self, request: Request) -> Reply:
        if upload := self._uploads.get(request.query.get("uploadId", [""])[0]):
            upload.parts[int(request.query["partNumber"][0])] = (request.size, request.md5)
            return Reply(headers={"etag": f'"{request.md5.hex()}"'})
        etag = f'"{request.md5.hex()}"'
        self._objects[request.path] = Stored(request.size, etag, request.metadata)
        return Reply(headers={"etag": etag})

    def _post(self, request: Request) -> Reply:
        if "uploads" in request.query:
            name = f"upload-{len(self._uploads)}-{request.path}"
            self._uploads[name] = Upload(request.metadata)
            root = "InitiateMultipartUploadResult"
            return Reply(body=f"{_XML}<{root}><UploadId>{name}</UploadId></{root}>")
        upload = self._uploads.pop(request.query["uploadId"][0])
        parts = [upload.parts[number] for number in sorted(upload.parts)]
        whole = hashlib.md5(b"".join(md5 for _, md5 in parts)).hexdigest()
        stored = Stored(sum(size for size, _ in parts), f'"{whole}-{len(parts)}"', upload.metadata)
        self._objects[request.path] = stored
        root = "CompleteMultipartUploadResult"
        return Reply(body=f"{_XML}<{root}><ETag>{stored.etag}</ETag></{root}>")

    def _head(self, request: Request) -> Reply:
        found = self._objects.get(request.path)
        if found is None:
            return Reply(404)
        stamp = formatdate(usegmt=True)
        facts = {"etag": found.etag, "last-modified": stamp, "x-size": str(found.size)}
        return Reply(headers={**facts, **found.metadata})


def serve(sink: Sink, listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_converse, args=(sink, connection), daemon=True).start()


def _converse(sink: Sink, connection: socket.socket) -> None:
    scratch = memoryview(bytearray(_CHUNK))
    with connection, connection.makefile("rb", buffering=_BUFFER) as made:
        stream = cast("IO[bytes]", made)
        try:
            while request := _receive(connection, stream, scratch):
                _send(connection, request, sink.answer(request))
        except OSError:
            return


def _receive(connection: socket.socket, stream: IO[bytes], scratch: memoryview) -> Request | None:
    line = stream.readline()
    if not line:
        return None
    method, target, _ = line.decode().split()
    headers: dict[str, str] = {}
    while (line := stream.readline()) not in {b"\r\n", b""}:
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
    if headers.get("expect", "").lower() == "100-continue":
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    size = int(headers.get("content-length", 0))
    left, md5 = size, hashlib.md5()
    while left and (count := stream.readinto(scratch[: min(left, _CHUNK)])):  # type: ignore[attr-defined]
        md5.update(scratch[:count])
        left -= count
    parts = urlsplit(target)
    query = parse_qs(parts.query, keep_blank_values=True)
    decoded = int(headers.get("x-amz-decoded-content-length", size))
    return Request(method, unquote(parts.path), query, headers, decoded, md5.digest())


def _send(connection: socket.socket, request: Request, reply: Reply) -> None:
    body = reply.body.encode()
    headers = dict(reply.headers)
    headers["content-length"] = headers.pop("x-size", str(len(body)))
    if request.method == "GET":
        headers["content-length"] = str(len(body))  # what was stored is gone
    lines = [f"HTTP/1.1 {reply.status} Sink", *(f"{k}: {v}" for k, v in headers.items())]
    head = ("\r\n".join(lines) + "\r\n\r\n").encode()
    connection.sendall(head + (b"" if request.method == "HEAD" else body))


def main() -> int:
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    print(listener.getsockname()[1], flush=True)
    serve(Sink(), listener)
    return 0


if __name__ == "__main__":
    sys.exit(main())
