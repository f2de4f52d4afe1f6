from __future__ import annotations

import pytest
from starlette.requests import Request
from starlette.responses import Response

from taskrunner.console.cookies import Cookies
from taskrunner.errors import UsageError


def request(url: str, cookie: str = "", client: str = "127.0.0.1") -> Request:
    scheme, _, host = url.partition("://")
    name, _, port = host.partition(":")
    headers = [(b"host", host.encode()), (b"cookie", cookie.encode())]
    server = (name, int(port or (443 if scheme == "https" else 80)))
    return Request(
        {
            "type": "http",
            "scheme": scheme,
            "path": "/",
            "query_string": b"",
            "headers": headers,
            "server": server,
            "client": (client, 5),
        }
    )


def set_by(cookies: Cookies, url: str) -> str:
    response = Response()
    cookies.set_session(request(url), response, "token")
    return response.headers["set-cookie"]


def test_over_tls_the_cookie_is_for_this_host_over_tls_only() -> None:
    told = set_by(Cookies(), "https://pipelines.example.com")
    assert told.startswith("__Host-taskrunner=token; ")
    assert {"HttpOnly", "Path=/", "SameSite=lax", "Secure"} <= set(told.split("; "))
    assert "Domain" not in told


def test_behind_a_proxy_the_address_that_browsers_know_counts() -> None:
    cookies = Cookies("https://pipelines.example.com/")
    asked = request("http://10.0.0.5:8484")
    assert cookies.origin_of(asked) == "https://pipelines.example.com"
    assert cookies.is_safe(asked)
    assert set_by(cookies, "http://10.0.0.5:8484").startswith("__Host-")


def test_consoles_on_two_ports_of_a_host_do_not_share_a_session() -> None:
    cookies = Cookies()
    told = set_by(cookies, "http://localhost:8484").split(";")[0]
    assert cookies.session_of(request("http://localhost:8484", told)) == "token"
    assert cookies.session_of(request("http://localhost:8485", told)) is None


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("http://127.0.0.1:8484", True),
        ("http://localhost:8484", True),
        ("https://pipelines.example.com", True),
        ("http://pipelines.example.com", False),
        ("http://10.0.0.5:8484", False),
    ],
)
def test_over_plain_http_only_this_host_is_safe(url: str, safe: bool) -> None:
    assert Cookies().is_safe(request(url)) is safe


def test_a_stranger_who_names_this_host_is_not_on_it() -> None:
    assert not Cookies().is_safe(request("http://localhost:8484", client="10.0.0.9"))
    assert Cookies().is_safe(request("http://localhost:8484", client="::1"))


@pytest.mark.parametrize("url", ["pipelines.example.com", "ftp://x", "https://x/path", "https://"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="--console-url"):
        Cookies(url)


@pytest.mark.parametrize(("chosen", "theme"), [("dark", "dark"), ("light", "light"), ("<x>", "")])
def test_a_theme_is_one_of_two(chosen: str, theme: str) -> None:
    asked = request("http://localhost:8484", f"taskrunner-theme={chosen}")
    assert Cookies().theme_of(asked) == theme
    response = Response()
    Cookies().set_theme(response, chosen)
    assert ("Max-Age=31536000" in response.headers["set-cookie"]) is bool(theme)
