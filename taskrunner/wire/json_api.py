"""Calls of the service's own JSON API, `/v1`, which AWS's service does not have."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from taskrunner.errors import CallRefused, NotAuthorized, ServiceUnreachable
from taskrunner.wire.client import AUTHORIZATION, THROTTLED, Client
from taskrunner.wire.codec import parse_json
from taskrunner.wire.decoding import Malformed
from taskrunner.wire.http import HttpReply, HttpRequest

#: Long enough for a dry run of much.
_DEADLINE_S = 120.0


class NoJsonApi(CallRefused):
    """Whoever answers has no `/v1`: it is AWS's service, or an old one of ours."""


class JsonApi:
    """Typed by nobody: what comes back is JSON as docs/openapi.json describes it."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def get(self, *parts: str, **query: Any) -> Any:
        """What a path below `/v1` answers; None in the query is nothing, a list several values.

        Raises NoJsonApi where there is none, ServiceUnreachable, NotAuthorized or CallRefused.
        """
        given = {key: _text(value) for key, value in query.items() if value is not None}
        return self._call("GET", parts, urlencode(given, doseq=True), b"")

    def post(self, *parts: str, body: Mapping[str, Any]) -> Any:
        """What a change below `/v1` answers; raises what `get` does."""
        given = {key: value for key, value in body.items() if value is not None}
        return self._call("POST", parts, "", json.dumps(given).encode())

    def pages(self, key: str, *parts: str, **query: Any) -> Iterator[Any]:
        """Every item of a list that comes in pages, where it stands under a key."""
        marker = None
        while True:
            page = self.get(*parts, **{**query, "marker": marker})
            yield from page[key]
            marker = page.get("marker")
            if marker is None:
                return

    def _call(self, method: str, parts: Sequence[str], query: str, body: bytes) -> Any:
        endpoint = self._client.endpoint
        path = "/".join(quote(part, safe="@:=,;!~*'()-._") for part in ("v1", *parts))
        headers = {
            "host": endpoint.authority,
            "user-agent": self._client.introduction.header(),
        }
        if method != "GET":
            headers["content-type"] = "application/json"
        request = HttpRequest(
            method=method,
            path=f"{endpoint.path.rstrip('/')}/{path}",
            query=query,
            headers=headers,
            body=body,
        )
        what = f"{method} /{path}"
        return self._read(what, self._client.send(what, request, _DEADLINE_S))

    def _read(self, what: str, reply: HttpReply) -> Any:
        try:
            found = parse_json(reply.body)
        except Malformed:
            found = None
        if reply.status == 200 and isinstance(found, dict):
            return found
        error = found.get("error") if isinstance(found, dict) else None
        said = f"the service at {self._client.endpoint} answered {what} with"
        if not isinstance(error, Mapping):
            if reply.status >= 500:
                raise ServiceUnreachable(f"{said} {reply.status}")
            raise NoJsonApi(f"{said} {reply.status}", code=str(reply.status))
        code, message = (
            str(error.get("code")),
            f"{said} {error.get('code')}: {error.get('message')}",
        )
        if reply.status >= 500 or code in THROTTLED:
            raise ServiceUnreachable(message)
        kind = NotAuthorized if code in AUTHORIZATION else CallRefused
        raise kind(message, code=code)


def _text(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value
