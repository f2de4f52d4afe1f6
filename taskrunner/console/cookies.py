"""The console's cookies: the session and what the visitor has chosen; and the pages' origin."""

from __future__ import annotations

from functools import cache
from urllib.parse import quote, urlsplit
from zoneinfo import available_timezones

from starlette.requests import Request
from starlette.responses import Response

from taskrunner.errors import UsageError
from taskrunner.service.sessions import SESSION_LIFE
from taskrunner.wire.endpoint import is_loopback

THEMES = ("light", "dark")
_THEME, _ZONE, _STILL = "taskrunner-theme", "taskrunner-zone", "taskrunner-still"
_ROOMY = "taskrunner-roomy"
_KEPT_S = 365 * 86400
#: With this prefix a browser takes the cookie over TLS only, for this host only.
_SECURE, _PLAIN = "__Host-taskrunner", "taskrunner-"


class Cookies:
    """How cookies are set for the address that people know the console by."""

    def __init__(self, url: str | None = None) -> None:
        """`url` is that address where it is not the one that requests come to: a proxy's.

        Raises UsageError.
        """
        self._origin = None if url is None else _origin(url)

    def origin_of(self, request: Request) -> str:
        """The origin that this console's pages have in a visitor's browser."""
        host = request.headers.get("host", "")
        return self._origin or f"{request.url.scheme}://{host}"

    def is_safe(self, request: Request) -> bool:
        """Whether nobody between can read a session: over TLS, or on this host."""
        origin = urlsplit(self.origin_of(request))
        if origin.scheme == "https":
            return True
        # Anybody can name a host; who is on this one comes from it.
        client = request.client.host if request.client else ""
        return is_loopback(origin.hostname or "") and is_loopback(client)

    def session_of(self, request: Request) -> str | None:
        """The session's token, if the browser has one."""
        return request.cookies.get(self._name(request)) or None

    def set_session(self, request: Request, response: Response, token: str) -> None:
        """Have the browser keep a session's token where no script can read it."""
        response.set_cookie(
            self._name(request),
            token,
            max_age=int(SESSION_LIFE.total_seconds()),
            path="/",
            httponly=True,
            samesite="lax",
            secure=self._is_secure(request),
        )

    def end_session(self, request: Request, response: Response) -> None:
        """Have the browser forget the session."""
        response.delete_cookie(
            self._name(request),
            path="/",
            httponly=True,
            samesite="lax",
            secure=self._is_secure(request),
        )

    def theme_of(self, request: Request) -> str:
        """The theme that the visitor has chosen; nothing: that of the visitor's system."""
        chosen = request.cookies.get(_THEME, "")
        return chosen if chosen in THEMES else ""

    def set_theme(self, response: Response, theme: str) -> None:
        """Keep a theme; anything that is none is forgotten."""
        self._keep(response, _THEME, theme if theme in THEMES else "")

    def zone_of(self, request: Request) -> str:
        """The time zone that the visitor has chosen; nothing: UTC."""
        chosen = request.cookies.get(_ZONE, "")
        return chosen if chosen in zones() else ""

    def set_zone(self, response: Response, zone: str) -> None:
        """Keep a time zone; UTC, and anything that is none, is forgotten."""
        self._keep(response, _ZONE, zone if zone in zones() and zone != "UTC" else "")

    def is_still(self, request: Request) -> bool:
        """Whether the visitor wants no page to change by itself."""
        return request.cookies.get(_STILL) == "yes"

    def set_still(self, response: Response, *, still: bool) -> None:
        """Keep whether pages change by themselves."""
        self._keep(response, _STILL, "yes" if still else "")

    def is_roomy(self, request: Request) -> bool:
        """Whether the visitor wants more room between lines."""
        return request.cookies.get(_ROOMY) == "yes"

    def set_roomy(self, response: Response, *, roomy: bool) -> None:
        """Keep whether there is more room between lines."""
        self._keep(response, _ROOMY, "yes" if roomy else "")

    @staticmethod
    def _keep(response: Response, name: str, value: str) -> None:
        if value:
            response.set_cookie(name, value, max_age=_KEPT_S, path="/", samesite="lax")
        else:
            response.delete_cookie(name, path="/")

    def sign_in(self, page: str, target: str) -> str:
        """The address of the page to sign in on, from which one comes to a target."""
        return f"{page}?to={quote(target, safe='/')}"

    def _is_secure(self, request: Request) -> bool:
        return self.origin_of(request).startswith("https:")

    def _name(self, request: Request) -> str:
        # Browsers tell hosts by their names, not by ports: two consoles of this host would clash.
        return _SECURE if self._is_secure(request) else f"{_PLAIN}{request.url.port or 80}"


@cache
def zones() -> frozenset[str]:
    """The time zones that this host knows."""
    return frozenset(available_timezones())


def _origin(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path not in {"", "/"}:
        raise UsageError(
            f"--console-url {url!r}: wanted the address that browsers know, such as "
            "https://pipelines.example.com"
        )
    return f"{parts.scheme}://{parts.netloc.lower()}"
