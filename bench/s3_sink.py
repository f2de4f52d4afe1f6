"""S3 that costs next to nothing: bodies are thrown away; the MD5 sums that come along are ETags.

A CRC-32 in a header is looked at, as S3 does. So the client is the limit. Speaks as much of S3 as
copies and `aws s3 cp` need: PUT and copies of objects, multipart uploads, listings, HEAD, DELETE.
What lies in a folder, as `bucket/key`, can be read, too, and is sent by the kernel; unless its key
begins with `plain`, its CRC-32 is told to whoever asks for checksums, and for no range. Run as a
process of its own: `python bench/s3_sink.py FOLDER` prints its port.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import socket
import sys
import threading
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import IO, cast
from urllib.parse import parse_qs, quote, unquote, urlsplit

from isal import isal_zlib

_CHUNK = 1 << 20
_BUFFER = 1 << 16
_PAGE = 1000
_RANGE = re.compile(r"bytes=([0-9]+)-([0-9]*)")
_CRC32 = "x-amz-checksum-crc32"
_XML = '<?xml version="1.0" encoding="UTF-8"?>'


@dataclass(slots=True)
class Stored:
    """What is remembered of an object."""

    size: int
    etag: str
    metadata: dict[str, str]
    #: Where its bytes are, if they are kept.
    file: Path | None = None
    #: As headers have it; empty: the object was uploaded without one.
    crc32: str = ""


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
    #: As the client says; where it says nothing, of no bytes.
    md5: bytes
    #: Whether the body is what its CRC-32 says, where that came along: S3 looks at it.
    is_as_said: bool = True

    @property
    def metadata(self) -> dict[str, str]:
        return {k: v for k, v in self.headers.items() if k.startswith("x-amz-meta-")}


@dataclass(frozen=True, slots=True)
class Reply:
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    #: Sent instead of the body: some bytes of a file.
    file: Path | None = None
    start: int = 0
    length: int = 0


class Sink:
    """The buckets: every one exists."""

    def __init__(self, folder: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._folder = folder
        self._objects: dict[str, Stored] = {}
        self._uploads: dict[str, Upload] = {}

    def answer(self, request: Request) -> Reply:
        with self._lock:
            match request.method:
                case "PUT":
                    return self._put(request)
                case "POST":
                    return self._post(request)
                case "GET" if "list-type" in request.query:
                    return self._list(request)
                case "HEAD" | "GET":
                    return self._get(request)
                case _:
                    self._uploads.pop(request.query.get("uploadId", [""])[0], None)
                    self._objects.pop(request.path, None)
                    return Reply(204)

    def _put(self, request: Request) -> Reply:
        if not request.is_as_said:
            return Reply(400, body=f"{_XML}<Error><Code>BadDigest</Code></Error>")
        upload = self._uploads.get(request.query.get("uploadId", [""])[0])
        if "x-amz-copy-source" in request.headers:
            return self._copy(request, upload)
        etag = f'"{request.md5.hex()}"'
        if upload is not None:
            upload.parts[int(request.query["partNumber"][0])] = (request.size, request.md5)
        else:
            self._objects[request.path] = Stored(request.size, etag, request.metadata)
        said = {k: v for k, v in request.headers.items() if k == _CRC32}
        return Reply(headers={"etag": etag, **said})

    def _copy(self, request: Request, upload: Upload | None) -> Reply:
        found = self._find("/" + unquote(request.headers["x-amz-copy-source"]).lstrip("/"))
        if found is None:
            return Reply(404)
        if request.headers.get("x-amz-copy-source-if-match", found.etag) != found.etag:
            return Reply(412)
        root = "CopyObjectResult" if upload is None else "CopyPartResult"
        if upload is None:
            self._objects[request.path] = Stored(found.size, found.etag, found.metadata)
        else:
            upload.parts[int(request.query["partNumber"][0])] = (found.size, bytes(16))
        moment = "2026-01-01T00:00:00.000Z"
        inside = f"<LastModified>{moment}</LastModified><ETag>{found.etag}</ETag>"
        return Reply(body=f"{_XML}<{root}>{inside}</{root}>")

    def _list(self, request: Request) -> Reply:
        """A page of the objects below a prefix; the token for the next one is its last key."""
        bucket = request.path.strip("/")
        start = f"/{bucket}/{request.query.get('prefix', [''])[0]}"
        after = [
            *request.query.get("start-after", []),
            *request.query.get("continuation-token", []),
        ]
        last = f"/{bucket}/{after[-1]}" if after else ""
        paths = sorted(p for p in self._objects if p.startswith(start) and p > last)
        items = "".join(map(self._item, paths[:_PAGE]))
        more = len(paths) > _PAGE
        token = paths[_PAGE - 1].split("/", 2)[2] if more else ""
        token = f"<NextContinuationToken>{token}</NextContinuationToken>" if more else ""
        return Reply(
            body=f"{_XML}<ListBucketResult><Name>{bucket}</Name><KeyCount>{len(paths[:_PAGE])}"
            f"</KeyCount><MaxKeys>{_PAGE}</MaxKeys><EncodingType>url</EncodingType><IsTruncated>"
            f"{str(more).lower()}</IsTruncated>{token}{items}</ListBucketResult>"
        )

    def _item(self, path: str) -> str:
        found = self._objects[path]
        return (
            f"<Contents><Key>{quote(path.split('/', 2)[2])}</Key><LastModified>2026-01-01T00:00:00"
            f".000Z</LastModified><ETag>{found.etag.replace(chr(34), '&quot;')}</ETag>"
            f"<Size>{found.size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
        )

    def _find(self, path: str) -> Stored | None:
        """An object, or the file that is one from now on."""
        file = self._folder / path.lstrip("/") if self._folder is not None else None
        if path not in self._objects and file is not None and file.is_file():
            with file.open("rb") as opened:
                md5 = hashlib.file_digest(opened, "md5").hexdigest()
            crc32 = "" if file.name.startswith("plain") else _crc32_of(file)
            self._objects[path] = Stored(file.stat().st_size, f'"{md5}"', {}, file, crc32)
        return self._objects.get(path)

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

    def _get(self, request: Request) -> Reply:
        found = self._find(request.path)
        if found is None:
            return Reply(404)
        stamp = formatdate(usegmt=True)
        facts = {"etag": found.etag, "last-modified": stamp, "accept-ranges": "bytes"}
        asks = request.headers.get("x-amz-checksum-mode", "").upper() == "ENABLED"
        if found.crc32 and asks and "range" not in request.headers:
            facts |= {_CRC32: found.crc32, "x-amz-checksum-type": "FULL_OBJECT"}
        asked = _RANGE.fullmatch(request.headers.get("range", ""))
        start = int(asked[1]) if asked else 0
        end = min(int(asked[2]) + 1, found.size) if asked and asked[2] else found.size
        if asked:
            facts["content-range"] = f"bytes {start}-{end - 1}/{found.size}"
        return Reply(
            status=206 if asked else 200,
            headers={**facts, **found.metadata},
            file=found.file or Path(os.devnull),
            start=start,
            length=end - start,
        )


def _crc32_of(file: Path) -> str:
    crc = 0
    with file.open("rb") as opened:
        while data := opened.read(_CHUNK):
            crc = isal_zlib.crc32(data, crc)
    return base64.b64encode(crc.to_bytes(4, "big")).decode()


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
    left, crc, said = size, 0, headers.get(_CRC32)
    while left and (count := stream.readinto(scratch[: min(left, _CHUNK)])):  # type: ignore[attr-defined]
        left -= count
        if said is not None:
            crc = isal_zlib.crc32(scratch[:count], crc)
    is_as_said = said is None or base64.b64decode(said) == crc.to_bytes(4, "big")
    given = headers.get("content-md5")
    md5 = base64.b64decode(given) if given else hashlib.md5().digest()
    parts = urlsplit(target)
    query = parse_qs(parts.query, keep_blank_values=True)
    decoded = int(headers.get("x-amz-decoded-content-length", size))
    return Request(method, unquote(parts.path), query, headers, decoded, md5, is_as_said)


def _send(connection: socket.socket, request: Request, reply: Reply) -> None:
    body = reply.body.encode()
    length = len(body) if reply.file is None else reply.length
    headers = {**reply.headers, "content-length": str(length)}
    lines = [f"HTTP/1.1 {reply.status} Sink", *(f"{k}: {v}" for k, v in headers.items())]
    head = ("\r\n".join(lines) + "\r\n\r\n").encode()
    if request.method == "HEAD":
        connection.sendall(head)
    elif reply.file is None:
        connection.sendall(head + body)
    else:
        connection.sendall(head)
        with reply.file.open("rb") as file:
            if connection.sendfile(file, reply.start, reply.length) < reply.length:
                raise OSError("what was stored is gone")


def main(arguments: list[str]) -> int:
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    print(listener.getsockname()[1], flush=True)
    serve(Sink(Path(arguments[0]) if arguments else None), listener)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
