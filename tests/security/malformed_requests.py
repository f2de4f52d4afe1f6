"""Requests that are wrong in one thing each; all else of them is right, and makes a pipeline."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.resources import files
from typing import Any

from taskrunner.clock import SystemClock
from tests.security.served import KEY, Raw, Served

#: A request that is wrong in what its name says.
Row = tuple[str, Raw]

_LINES = [ b"POST / HTTP/1", b"POST / http/1.1",
    b"POST / HTTP/1.1 x", b"POST /", b"POST", b"/", b"\x00", b"post / HTTP/1.1", b"GET / HTTP/1.1",
    b"PUT / HTTP/1.1", b"DELETE / HTTP/1.1", b"PATCH / HTTP/1.1", b"TRACE / HTTP/1.1",
    b"OPTIONS * HTTP/1.1", b"CONNECT 127.0.0.1:22 HTTP/1.1", b"P\x00ST / HTTP/1.1",
    b"POST\t/ HTTP/1.1", b" POST / HTTP/1.1", b"POST /\x00 HTTP/1.1", b"POST /\xff HTTP/1.1",
    b"POST /%00 HTTP/1.1", b"POST /../ HTTP/1.1", b"POST /x HTTP/1.1", b"POST /livez HTTP/1.1",
    b"POST //evil.example/ HTTP/1.1", b"POST http://evil.example/ HTTP/1.1",
    b"POST /?a=b HTTP/1.1", b"POST /" + b"a" * 100_000 + b" HTTP/1.1", b"X" * 100_000,
]  # fmt: skip

#: In place of the header of this name.
_HEADERS = [
    b"content-length: -1", b"content-length: +2", b"content-length: 0x2", b"content-length: 1e1",
    b"content-length: 2, 3", b"content-length: 99999999999999999999999",
    b"content-length: \xd9\xa1\xd9\xa2", b"content-length: ", b"content-length: two",
    b"content-length: 6000000", b"content-type: ", b"content-type: application/json",
    b"content-type: text/plain", b"content-type: multipart/form-data; boundary=x",
    b"content-type: application/x-www-form-urlencoded", b"content-type: application/x-amz-json-2.0",
    b"x-amz-target: ", b"x-amz-target: CreatePipeline", b"x-amz-target: DataPipeline.",
    b"x-amz-target: DataPipeline.Nothing", b"x-amz-target: DataPipeline.__init__",
    b"x-amz-target: DynamoDB_20120810.ListTables", b"x-amz-target: DataPipeline.createpipeline",
    b"x-amz-target: DataPipeline.DeletePipeline", b"host: ", b"host: evil.example",
    b"host: 127.0.0.1, evil.example", b"host: user@127.0.0.1", b"host: [::1", b"host: a b",
]  # fmt: skip

#: Beside all the others.
_MORE = [
    b": x", b"no-colon", b"sp ace: x", b"content-length : 5", b"content-length: 5", b"\x00: x",
    b"n\xc3\xa9: x", b"x: a\x00b", b"x: a\rb",
    b"host: other.example", b"transfer-encoding: chunked", b"transfer-encoding: gzip, chunked",
    b"transfer-encoding: identity", b"transfer-encoding: xchunked", b"transfer-encoding: \x00",
    b"authorization: Bearer x", b"x-amz-target: DataPipeline.DeletePipeline",
    b"x-amz-date: 20260101T000000Z",
]  # fmt: skip

_CHUNKS = [
    b"zz\r\nab\r\n", b"-1\r\n", b"0x5\r\nabcde\r\n", b"+5\r\nabcde\r\n", b"ffffffffffffffffff\r\n",
    b"5;" + b"x" * 70_000, b"\r\n", b"5\r\nab\r\n0\r\n\r\n", b"2\r\nabcdef\r\n0\r\n\r\n",
    b"\x005\r\n", b"5\rabcde", b"0\r\nx y: z\r\n\r\n", b"1" * 100 + b"\r\n",
]  # fmt: skip

_FOREIGN = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300), b"SSH-2.0-OpenSSH_9.2\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(30), b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c" + bytes(12), "POST / HTTP/1.1\r\n".encode("utf-16"),
    bytes(100_000), b"\xff" * 1000, b"\r\n" * 1000, b"{}", b"*1\r\n$4\r\nPING\r\n",
    b"EHLO x\r\n", b"\x00\x00\x00\x08\x04\xd2\x16\x2f",
]  # fmt: skip

_PLAIN = b'{"name":"n","uniqueId":"u"}'


def _named(name: bytes) -> bytes:
    return b'{"name":%s,"uniqueId":"u"}' % name


_JSON: Mapping[str, bytes] = {
    "nothing": b"",
    "blanks": b" \n\t",
    "null": b"null",
    "a list": b"[]",
    "a number": b"1",
    "a text": b'"x"',
    "true": b"true",
    "cut": _PLAIN[:-1],
    "a comma more": b'{"name":"n","uniqueId":"u",}',
    "single quotes": _PLAIN.replace(b'"', b"'"),
    "no quotes": _PLAIN.replace(b'"', b""),
    "a comment": _named(b'"n"/**/'),
    "two values": _PLAIN + b"{}",
    "NaN": _named(b"NaN"),
    "Infinity": _named(b"Infinity"),
    "1e999": _named(b"1e999"),
    "a long number": _named(b"1" * 6000),
    "nested lists": _named(b"[" * 100_000 + b"]" * 100_000),
    "nested objects": _named(b'{"a":' * 50_000 + b"1" + b"}" * 50_000),
    "no UTF-8": _named(b'"\xff\xfe"'),
    "half a pair": _named(b'"\\ud800"'),
    "a BOM": b"\xef\xbb\xbf" + _PLAIN,
    "UTF-16": _PLAIN.decode().encode("utf-16"),
    "NUL": _named(b'"a\\u0000b"'),
    "a raw NUL": _named(b'"a\0b"'),
    "a raw line break": _named(b'"a\nb"'),
    "gzip": gzip.compress(_PLAIN),
    "a form": b"name=n&uniqueId=u",
    "XML": b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>',
    "YAML": b"!!python/object/apply:os.system ['true']",
    "a long name": _named(b'"' + b"x" * 900_000 + b'"'),
    "U+FFFE": _named(b'"\\ufffe"'),
    "an escape": _named(b'"\\u001b[2J"'),
}


def rows(s: Served) -> Iterator[Row]:
    """All of them, each made when its turn comes: signatures do not last."""
    yield from _of_http(s)
    yield from _of_bodies(s)
    yield from _of_the_model(s)
    yield from _of_signatures(s)


def _of_http(s: Served) -> Iterator[Row]:
    for line in _LINES:
        yield f"line {line[:40]!r}", replace(s.create(), line=line)
    for header in _HEADERS:
        yield f"header {header[:60]!r}", s.create().having(header)
    for header in _MORE:
        yield f"another header {header[:60]!r}", s.create().adding(header)
    for name in ("host", "content-type", "x-amz-target", "x-amz-date", "authorization"):
        yield f"no {name}", s.create().without(name)
    many = [b"x-%d: %s" % (number, b"y" * 90) for number in range(2000)]
    yield "2,000 headers", s.create().adding(*many)
    for chunk in _CHUNKS:
        yield f"chunk {chunk[:30]!r}", _chunked(s.create(), chunk)
    yield "chunks of 2 MB", _chunked(s.create(), b"10000\r\n" + b"x" * 65536 + b"\r\n", 32)
    for data in _FOREIGN:
        yield f"not HTTP: {data[:30]!r}", Raw(other=data, cut=True)
    yield "a body that stops", s.create().having(b"content-length: 100000")
    for part in (3, 18, 60, -30, -1):
        yield f"cut after {part}", Raw(other=s.create().data()[:part], cut=True)


def _chunked(raw: Raw, chunk: bytes, count: int = 1) -> Raw:
    headers = raw.without("content-length").adding(b"transfer-encoding: chunked")
    return replace(headers, body=chunk * count, cut=True)


def _of_bodies(s: Served) -> Iterator[Row]:
    for name, body in _JSON.items():
        yield f"JSON: {name}", s.signed("CreatePipeline", body)
    yield "a body beyond the limit", s.signed("CreatePipeline", b" " * 1_100_000)
    yield "an expression beyond it", s.signed("EvaluateExpression", b" " * 70_000)


# -- what the model says of each operation's members ---------------------------------------------

_MODEL: Mapping[str, Any] = json.loads(
    files("taskrunner.wire").joinpath("data/service-2.json").read_text()
)
_WRONG: Mapping[str, tuple[object, ...]] = {
    "string": (5, True, [], {}, ["x"]),
    "list": ("x", {}, 5, {"0": "x"}),
    "structure": ("x", [], 5, True),
    "integer": ("5", 1.5, [], True, 1e40),
    "boolean": ("true", 1, [], {}),
    "map": ("x", [], 5),
}


def _of_the_model(s: Served) -> Iterator[Row]:
    for name, operation in sorted(_MODEL["operations"].items()):
        shape = _MODEL["shapes"][operation["input"]["shape"]]
        right = _example(shape)
        for member in shape.get("required", ()):
            body = {key: value for key, value in right.items() if key != member}
            yield f"{name} without {member}", s.signed(name, body)
        for member, described in sorted(shape["members"].items()):
            for wrong in _wrong_values(_MODEL["shapes"][described["shape"]]):
                body = {**right, member: wrong}
                told = f"{name} with {member} {str(wrong)[:30]!r}"
                yield told, s.signed(name, body)


def is_as_declared(name: str, status: int | None, reply: bytes) -> bool:
    """Whether what breaks the model is answered by an error that the operation declares.

    What is not even of the right type never becomes a request, nor does what is beyond all bounds.
    """
    operation = _MODEL["operations"].get(name.partition(" ")[0])
    if operation is None or status == 413:
        return True
    declared = {error["shape"] for error in operation["errors"]}
    return json.loads(reply)["__type"] in declared | {"SerializationException"}


def _example(shape: Mapping[str, Any]) -> Any:
    """A right value, as short as it may be."""
    kind = shape["type"]
    if kind == "string":
        return shape["enum"][0] if "enum" in shape else "x" * max(1, shape.get("min", 1))
    if kind == "structure":
        required = shape.get("required", ())
        return {
            name: _example(_MODEL["shapes"][shape["members"][name]["shape"]]) for name in required
        }
    return {"list": [], "integer": 1, "boolean": True, "map": {}}[kind]


def _wrong_values(shape: Mapping[str, Any]) -> Iterator[object]:
    yield from _WRONG.get(shape["type"], ())
    if shape["type"] == "string":
        if shape.get("min", 0) > 0:
            yield ""
        if "max" in shape:
            yield "x" * (shape["max"] + 1)
        if "pattern" in shape:
            yield "a\u0001"
        if "enum" in shape:
            yield "nothing of this kind"
    if shape["type"] == "list":
        member = _MODEL["shapes"][shape["member"]["shape"]]
        if shape.get("min", 0) > 0:
            yield []
        if "max" in shape:
            yield [_example(member)] * (shape["max"] + 1)
        yield from ([wrong] for wrong in _wrong_values(member))
    if shape["type"] == "structure":
        yield from _wrong_members(shape)


def _wrong_members(shape: Mapping[str, Any]) -> Iterator[object]:
    """A structure with one of its members missing, or wrong."""
    right = _example(shape)
    for member in shape.get("required", ()):
        yield {key: value for key, value in right.items() if key != member}
    for member, described in sorted(shape["members"].items()):
        for wrong in _wrong_values(_MODEL["shapes"][described["shape"]]):
            yield {**right, member: wrong}


# -- signatures ----------------------------------------------------------------------------------


class _Skewed(SystemClock):
    """A client's clock that is wrong."""

    def __init__(self, minutes: int) -> None:
        self.by = dt.timedelta(minutes=minutes)

    def now(self) -> dt.datetime:
        return super().now() + self.by


def _of_signatures(s: Served) -> Iterator[Row]:
    body = {"name": "n", "uniqueId": "u"}
    stranger = replace(KEY, id="AKNOBODY")
    thief = replace(KEY, secret="a-guess-of-16-letters-or-more")
    yield "an unknown key", s.signed("CreatePipeline", body, key=stranger)
    yield "a wrong secret", s.signed("CreatePipeline", body, key=thief)
    yield "another region", s.signed("CreatePipeline", body, region="eu-west-1")
    for minutes in (-6, 6, -60 * 24, 60 * 24 * 365):
        yield f"{minutes} min", s.signed("CreatePipeline", body, clock=_Skewed(minutes))
    yield "another body", replace(s.create(), body=s.create().body)
    for number, (old, new) in enumerate(_FORGED):
        yield f"forged {number}: {new[:40]!r}", _forged(s.create(), old, new)
    for header in _HASHES:
        yield f"hash {header!r}", s.create().adding(b"x-amz-content-sha256: " + header)
    for text in _AUTHORIZATIONS:
        yield f"auth {text[:40]!r}", s.create().having(b"authorization: " + text)
    for date in _DATES:
        yield f"date {date!r}", s.create().having(b"x-amz-date: " + date)


_HASHES = [b"UNSIGNED-PAYLOAD", b"0" * 64, b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", b""]
_AUTHORIZATIONS = [
    b"", b"\xff", b"Bearer x", b"Basic eDp5", b"AWS AKADMIN:x", b"AWS4-HMAC-SHA256",
    b"AWS4-ECDSA-P256-SHA256 Credential=x", b"AWS4-HMAC-SHA256 " + b"x" * 5000,
]  # fmt: skip
_DATES = [
    b"", b"now", b"20260101", b"2026-01-01T00:00:00Z", b"99999999T999999Z", b"\xb2026",
]  # fmt: skip
#: What is replaced in the authorization header, and by what.
_FORGED = [
    (b"AWS4-HMAC-SHA256", b"AWS4-HMAC-SHA512"), (b"AWS4-HMAC-SHA256", b"aws4-hmac-sha256"),
    (b"/datapipeline/", b"/s3/"), (b"/aws4_request", b"/aws4_requests"), (b"/aws4_request", b""),
    (b"/us-east-1/", b"/us-east-1/us-east-1/"), (b"/us-east-1/", b"//"),
    (b"AKADMIN", b"AKADMIN\x00"), (b"AKADMIN", b"akadmin"), (b"AKADMIN", b""),
    (b"AKADMIN", b"AK/ADMIN"), (b"AKADMIN", b"*"),
    (b"host;", b""), (b"x-amz-target", b"x-amz-targets"), (b";x-amz-target", b""),
    (b"x-amz-date;", b""), (b"host;", b"host;host;"), (b"host;", b"HOST;"), (b"host;", b"zz;host;"),
    (b"SignedHeaders=", b"SignedHeaders=;"), (b"SignedHeaders", b"Signedheaders"),
    (b"Signature=", b"Signature=0"), (b"Signature=", b"Signature="+ b"0" * 64 + b", Signature="),
    (b"Signature=", b"signature="), (b", Signature", b"; Signature"), (b"Credential=", b""),
]  # fmt: skip


def _forged(raw: Raw, old: bytes, new: bytes) -> Raw:
    (header,) = (h for h in raw.headers if h.startswith(b"authorization:"))
    assert old in header, header
    return raw.having(header.replace(old, new, 1))
