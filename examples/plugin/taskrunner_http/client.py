"""One GET request, and which of its failures are worth another try."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from taskrunner.activities.base import ErrorId, PermanentTaskError, TaskError, TaskObject

__all__ = ["TIMEOUT_S", "get", "url_of"]

#: How long the server may be silent.
TIMEOUT_S = 60.0
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


def url_of(main: TaskObject) -> str:
    """The object's `url`; anything but HTTP could read this host's files."""
    url = main.required("url")
    if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
        message = f"{main.component_id!r}, field 'url': found {url!r}, wanted http:// or https://"
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
    return url


def get(main: TaskObject) -> http.client.HTTPResponse:
    """The reply to a GET of the object's `url`, with its token if it has one.

    Raises TaskError for what may pass, PermanentTaskError for what will be so again.
    """
    url = url_of(main)
    try:
        return _open(url, main.get("*bearerToken"))
    except urllib.error.HTTPError as error:
        error.close()
        message = f"{url}: the server answered {error.code} {error.reason}"
        if error.code in _PASSING:
            raise TaskError(message, error_id=ErrorId.CONNECTION_FAILED) from error
        error_id = {401: ErrorId.ACCESS_DENIED, 403: ErrorId.ACCESS_DENIED}.get(error.code)
        raise PermanentTaskError(message, error_id=error_id or ErrorId.NOT_FOUND) from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise TaskError(f"{url}: {reason}", error_id=ErrorId.CONNECTION_FAILED) from error


def _open(url: str, token: str | None) -> http.client.HTTPResponse:
    request = urllib.request.Request(url)  # noqa: S310  HTTP only, see `url_of`
    # A field whose name starts with * is a secret, and masked wherever the task writes.
    if token:
        # Not for whoever the server redirects to.
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    reply: http.client.HTTPResponse = _opener().open(request, timeout=TIMEOUT_S)
    return reply


def _opener() -> urllib.request.OpenerDirector:
    """HTTP and nothing else: by itself urllib follows a redirect to FTP, too."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener
