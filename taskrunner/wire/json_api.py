"""Calls of the service's own JSON API, `/v1`, which AWS's service does not have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from taskrunner.errors import CallRefused, NotAuthorized, ServiceUnreachable
from taskrunner.wire.client import AUTHORIZATION, THROTTLED, Client
from taskrunner.wire.codec import parse_json
from taskrunner.wire.decoding import Malformed
from taskrunner.wire.http import HttpReply, HttpRequest

_DEADLINE_S = 60.0


class NoJsonApi(CallRefused):
    """Whoever answers has no `/v1`: it is AWS's service, or an old one of ours."""


class JsonApi:
    """Typed by nobody: what comes back is JSON as docs/openapi.json describes it."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def get(self, *parts: str, **query: str | None) -> Any:
        """What a path below `/v1` answers.

        Raises NoJsonApi where there is none, ServiceUnreachable, NotAuthorized or CallRefused.
        """
        endpoint = self._client.endpoint
        path = "/".join(quote(part, safe="@:=,;!~*'()-._") for part in ("v1", *parts))
        request = HttpRequest(
            method="GET",
            path=f"{endpoint.path.rstrip('/')}/{path}",
            query=urlencode({key: value for key, value in query.items() if value is not None}),
            headers={
                "host": endpoint.authority,
                "user-agent": self._client.introduction.header(),
            },
        )
        what = f"GET /{path}"
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
