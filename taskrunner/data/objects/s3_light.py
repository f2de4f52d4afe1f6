"""CopyObject for thousands of small objects, in a fifth of the library's time for each.

Most of what the library does for a call is the same each time: which host, which headers, how the
reply is read. So one copy into a bucket is made by the library, and watched as it goes out; those
that follow are made in its likeness, over the library's own connections. Whatever comes back but a
plain success is none of this module's business: the library makes that copy again, with all that it
knows of errors, redirects, throttling and credentials that have run out. A copy may be made twice.

Source of the signature: "Signature Version 4 signing process" in the documentation of AWS's IAM.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import threading
import weakref
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import botocore.exceptions as aws
import urllib3
from botocore.awsrequest import AWSPreparedRequest

from taskrunner.clock import Clock
from taskrunner.data.objects.http_line import HttpLine
from taskrunner.data.objects.location import Location

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_NOTHING = hashlib.sha256(b"").hexdigest()
_SIGNED_BY = re.compile(r"AWS4-HMAC-SHA256 Credential=[^/]+/[0-9]{8}/([^/]+)/(s3)/aws4_request,")
_DONE = re.compile(rb"<CopyObjectResult[ >].*<ETag>[^<]+</ETag>", re.DOTALL)
#: What is made anew for each copy; all other headers are as the library had them.
_OF_ONE_COPY = {
    "authorization", "x-amz-date", "x-amz-security-token",
    "x-amz-copy-source", "x-amz-copy-source-if-match", "content-length", "amz-sdk-invocation-id",
    "amz-sdk-request",
}  # fmt: skip
_UNQUOTED = "/-_.~"


#: What may go wrong with a copy that is asked for in the library's likeness.
_FAILED = (aws.BotoCoreError, urllib3.exceptions.HTTPError, OSError, ValueError, KeyError)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A copy of an object as a listing had it."""

    source: Location
    etag: str
    target: Location


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """How copies into one bucket are asked for."""

    #: Scheme and host of an object's URL, the host alone, and what comes before its key.
    origin: str
    host: str
    path: str
    headers: Mapping[str, str]
    region: str
    service: str


class LightCopies:
    """Copies on the server's side, by one client; may be used by several threads."""

    def __init__(self, client: S3Client, clock: Clock) -> None:
        self._client: Any = client
        self._clock = clock
        self._ways: dict[str, _Way] = {}
        self._keys: dict[tuple[str, str, str], bytes] = {}
        #: Connections by scheme and host that they lead to; closed with this object.
        self._idle: defaultdict[str, list[HttpLine]] = defaultdict(list)
        weakref.finalize(self, _close_all, self._idle)
        #: In each thread, which copy the library makes.
        self._learning = threading.local()
        client.meta.events.register("before-send.s3.CopyObject", self._watch)

    def knows(self, target: Location, *, kind: str) -> bool:
        """Whether a copy to there has been seen, so that others can be made like it."""
        return f"{kind}/{target.bucket}" in self._ways

    def copy(self, wanted: Sequence[Wanted], *, kind: str) -> list[bool]:
        """Copy objects as a listing had them; false of each that the library has to do.

        All of them are asked for, by a connection each, before the first answer is waited for: so
        few threads do what would take many. `kind` names what copies have in common besides the
        bucket that they go to.
        """
        asked = [self._asked(one, kind) for one in wanted]
        return [found is not None and self._is_done(*found) for found in asked]

    def _asked(self, wanted: Wanted, kind: str) -> tuple[HttpLine, _Way] | None:
        """The connection that a copy is asked for by; None where the library has to do it."""
        source, target = wanted.source, wanted.target
        way = self._ways.get(f"{kind}/{target.bucket}")
        credentials = self._client._request_signer._credentials
        if way is None or credentials is None:
            return None
        headers = {
            **way.headers,
            "x-amz-copy-source": quote(f"{source.bucket}/{source.key}", safe=_UNQUOTED),
            "x-amz-copy-source-if-match": f'"{wanted.etag}"',
        }
        path = way.path + quote(target.key, safe=_UNQUOTED)
        line = None
        try:
            self._sign(path, headers, way, credentials.get_frozen_credentials())
            line = self._idle_line(way)
            line.put(way.host, path, headers)
        except _FAILED:
            if line is not None:
                line.close()
            return None
        return line, way

    def _is_done(self, line: HttpLine, way: _Way) -> bool:
        """Whether the answer is a plain success; the connection is there for another copy."""
        try:
            status, body = line.answer()
        except _FAILED:
            line.close()
            return False
        if line.is_open:
            self._idle[way.origin].append(line)
        else:
            line.close()
        return status == 200 and _DONE.search(body) is not None

    def _idle_line(self, way: _Way) -> HttpLine:
        """Any connection that is not in use, or a new one."""
        try:
            return self._idle[way.origin].pop()
        except IndexError:
            return self._connected(way.origin)

    def _connected(self, url: str) -> HttpLine:
        """A new connection, as the library makes it: its certificates, its time-outs."""
        session = self._client._endpoint.http_session
        if session._proxy_config.proxy_url_for(url) is not None:
            raise OSError("by a proxy the library finds its way")
        pool = session._manager.connection_from_url(url)
        session._setup_ssl_cert(pool, url, session._verify)
        connection = pool._new_conn()
        connection.connect()
        return HttpLine(connection)

    @contextmanager
    def learning(self, target: Location, *, kind: str) -> Iterator[None]:
        """While the library makes a copy in this thread: the next ones can be made like it."""
        self._learning.of = (kind, target)
        try:
            yield
        finally:
            self._learning.of = None

    def _watch(self, request: AWSPreparedRequest, **_: object) -> None:
        kind, target = getattr(self._learning, "of", None) or ("", None)
        headers = {name.lower(): _text(value) for name, value in request.headers.items()}
        signed = _SIGNED_BY.match(headers.get("authorization", ""))
        key = quote(target.key, safe=_UNQUOTED) if target is not None else ""
        if target is None or signed is None or not request.url.endswith(f"/{key}"):
            return
        url = urlsplit(request.url.removesuffix(key))
        self._ways[f"{kind}/{target.bucket}"] = _Way(
            origin=f"{url.scheme}://{url.netloc}",
            host=url.netloc,
            path=url.path,
            headers={k: v for k, v in headers.items() if k not in _OF_ONE_COPY},
            region=signed[1],
            service=signed[2],
        )

    def _sign(self, path: str, headers: dict[str, str], way: _Way, keys: Any) -> None:
        """Add the headers that say who asks, and when."""
        moment = f"{self._clock.now():%Y%m%dT%H%M%SZ}"
        headers["x-amz-date"] = moment
        content = headers.setdefault("x-amz-content-sha256", _NOTHING)
        if keys.token:
            headers["x-amz-security-token"] = keys.token
        signed = {"host": way.host, **{k: v for k, v in headers.items() if k[:6] == "x-amz-"}}
        names = sorted(signed)
        lines = [f"{name}:{signed[name].strip()}\n" for name in names]
        asked = "\n".join(["PUT", path, "", "".join(lines), ";".join(names), content])
        scope = f"{moment[:8]}/{way.region}/{way.service}/aws4_request"
        digest = hashlib.sha256(asked.encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}"
        key = self._key(keys.secret_key, moment[:8], way)
        signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={keys.access_key}/{scope}, "
            f"SignedHeaders={';'.join(names)}, Signature={signature}"
        )
        headers["content-length"] = "0"

    def _key(self, secret: str, day: str, way: _Way) -> bytes:
        """The key of a day, which takes as long to make as all the rest."""
        wanted = (secret, day, way.region)
        if wanted not in self._keys:
            key = f"AWS4{secret}".encode()
            for part in (day, way.region, way.service, "aws4_request"):
                key = hmac.new(key, part.encode(), hashlib.sha256).digest()
            self._keys = {wanted: key}
            return key
        return self._keys[wanted]


def _close_all(idle: Mapping[str, list[HttpLine]]) -> None:
    for lines in idle.values():
        for line in lines:
            line.close()


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
