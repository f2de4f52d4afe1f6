from __future__ import annotations

import asyncio
import html

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from taskrunner.service.prefix import UnderPrefix
from tests.unit.service import asgi

NASTY = 'not an address: <a href="/p/df-1"> "/x" href="/p"'
PAGE = (
    '<link href="/console/static/a.css"><a class="x" href="/p/df-1/grid">grid</a>'
    '<a href="/">all</a><a href="//elsewhere/">no</a><a href="#L1">line</a><a href="?n=1">n</a>'
    '<form action="/p/df-1/do/pause"><input name="to" value="/p/df-1"></form>'
    '<button formaction="/bulk/pause"></button><div data-live="/console/live" hx-get="/p/df-1">'
)


async def page(request: Request) -> Response:
    told = f"{request.url.path} {request.scope['raw_path'].decode()}"
    return HTMLResponse(f"{PAGE}<p>{told}</p><p>{html.escape(NASTY)}</p>")


async def away(request: Request) -> Response:
    to = request.query_params["to"]
    return RedirectResponse(to, status_code=303, headers={"hx-redirect": to})


async def text(request: Request) -> Response:
    return PlainTextResponse(f'<a href="/p">{request.headers.get("accept-encoding")}')


APP = UnderPrefix(
    Starlette(routes=[Route("/p/{rest:path}", page), Route("/go", away), Route("/text", text)]),
    "/secret",
)


def ask(path: str, **headers: str) -> asgi.Answer:
    answer = asyncio.run(
        asgi.Caller(APP).ask(method="GET", path=path, headers=headers)  # type: ignore[arg-type]
    )
    assert answer is not None
    return answer


def test_a_page_is_asked_for_without_the_prefix_and_its_addresses_have_it() -> None:
    answer = ask("/secret/p/a%2Fb")
    told = answer.body.decode()
    assert "<p>/p/a/b /p/a%2Fb</p>" in told
    assert int(answer.headers["content-length"]) == len(answer.body)
    for attribute in (
        'href="/secret/console/static/a.css"',
        'href="/secret/p/df-1/grid"',
        'href="/secret/"',
        'action="/secret/p/df-1/do/pause"',
        'formaction="/secret/bulk/pause"',
        'data-live="/secret/console/live"',
        'hx-get="/secret/p/df-1"',
    ):
        assert attribute in told
    # What is no address of ours from the root stays, as does what a form tells us.
    for same in ('href="//elsewhere/"', 'href="#L1"', 'href="?n=1"', 'value="/p/df-1"'):
        assert same in told


def test_texts_of_others_stay_as_they_are() -> None:
    assert html.escape(NASTY) in ask("/secret/p/x").body.decode()


def test_what_leads_on_stays_below_the_prefix() -> None:
    answer = ask("/secret/go?to=/p/1?done=pause")
    assert answer.headers["location"] == "/secret/p/1?done=pause"
    assert answer.headers["hx-redirect"] == "/secret/p/1?done=pause"
    assert ask("/secret/go?to=https://e.invalid/").headers["location"] == "https://e.invalid/"


def test_only_pages_are_changed_and_nothing_comes_compressed() -> None:
    assert ask("/secret/text", **{"accept-encoding": "gzip"}).body == b'<a href="/p">None'
