"""The console's edge: who visits, which page, and the headers that keep its browser safe.

Pages are answered with what /v1 answers the visitor's own key. A change is a POST that bears the
token of the visitor's own forms and comes from this origin; GET changes nothing.
"""

from __future__ import annotations

import gzip
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from taskrunner.console.cookies import Cookies
from taskrunner.console.headers import is_ours, page_headers
from taskrunner.console.pace import Pace
from taskrunner.console.render import render
from taskrunner.console.views.moments import shown_in
from taskrunner.console.visit import Visit, form_token, is_form_token, pairs
from taskrunner.errors import ServiceFault
from taskrunner.service.auth import Permit
from taskrunner.service.bodies import ClientGone, read_body
from taskrunner.service.callers import ANONYMOUS
from taskrunner.service.incoming import Incoming, fault_of
from taskrunner.service.replies import new_request_id
from taskrunner.service.sessions import SessionOver, Sessions, visitors
from taskrunner.service.v1.edge import EdgeParts, status_of
from taskrunner.service.v1.route import named_parts
from taskrunner.service.v1.text_file import TextFile, text_response
from taskrunner.wire.faults import AccessDenied

#: Most forms are small.
MOST_OF_FORM = 2 * 1024 * 1024
_SIGN_IN = "/console/enter"
#: A grid of many cells says the same again and again.
_WORTH_PACKING = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a page answers: HTML, a file to be kept, or where to go on."""

    html: str = ""
    status: int = 200
    go_to: str = ""
    file: TextFile | None = None
    #: Beside the headers that every page has.
    headers: Mapping[str, str] | None = None


#: Carried out in a thread of the pool; raises ServiceFault.
PageHandler = Callable[[Visit], Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page, or an action: one method of one path."""

    path: str
    handler: PageHandler
    method: str = "GET"
    #: Bytes of its form.
    most: int = MOST_OF_FORM


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleParts:
    """What the console is answered with."""

    edge: EdgeParts
    #: None: no keys, everybody of this host is the same visitor.
    sessions: Sessions | None
    cookies: Cookies
    #: What that visitor may call; None: all that is not for runners.
    actions: frozenset[str] | None = None
    #: Whether the API answers where the pages are, so that commands reach it.
    for_shells: bool = True
    #: Of pages that are open.
    pace: Pace = field(default_factory=Pace)


class Console:
    """Answers the pages of a table."""

    def __init__(self, parts: ConsoleParts, pages: Sequence[Page]) -> None:
        self._parts = parts
        self._pages = pages

    def routes(self) -> Sequence[Route]:
        """For the service's application."""
        return [
            _PageRoute(page.path, endpoint=_Endpoint(self._parts, page), methods=[page.method])
            for page in self._pages
        ]


class _PageRoute(Route):
    """A route whose names stand for parts of the path as it was sent.

    Starlette's own looks at the decoded path, in which a slash of an id is one more part.
    """

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether the request is for this page, and what stands in its path."""
        if scope["type"] != "http":
            return Match.NONE, {}
        found = named_parts(self.path, raw_path(scope))
        if found is None:
            return Match.NONE, {}
        child: Scope = {"endpoint": self.endpoint, "path_params": dict(found)}
        taken = scope["method"] in (self.methods or ())
        return (Match.FULL if taken else Match.PARTIAL), child


def raw_path(scope: Scope) -> str:
    """The path of a request as it was sent, percent-encoded."""
    sent: bytes = scope.get("raw_path") or b"/"
    return sent.decode("latin-1").partition("?")[0]


async def permit_of(parts: ConsoleParts, request: Request, *, used: bool = True) -> Permit:
    """What a visitor may do; `used`: the visitor asks, not a page that is open by itself.

    Raises SessionOver.
    """
    sessions, session = parts.sessions, parts.cookies.session_of(request)
    if sessions is None:
        return Permit(caller=ANONYMOUS, actions=visitors(parts.actions))
    if session is None:
        raise SessionOver("sign in first")
    origin = request.client.host if request.client else ""
    return await parts.edge.pool.run(f"from {origin}", lambda: sessions.permit(session, used=used))


class Answering(ABC):
    """An ASGI application that answers one request with a page, whatever goes wrong."""

    def __init__(self, parts: ConsoleParts) -> None:
        self.parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        call = Incoming(scope, receive, self.parts.edge.bodies)
        try:
            response = await self._responded(Request(scope), call)
        except ClientGone:
            return
        finally:
            call.body.done()
        await response(scope, receive, send)

    async def _responded(self, request: Request, call: Incoming) -> Response:
        try:
            return await self.respond(request, call)
        except ClientGone:
            raise
        except Exception as error:
            operation = f"console {request.url.path}"
            fault = fault_of(error, operation=operation, request_id=new_request_id())
            response = self.refused(request, fault)
            if not await call.passed_over(fault):
                response.headers["connection"] = "close"
            return response

    @abstractmethod
    async def respond(self, request: Request, call: Incoming) -> Response:
        """The response. Raises ServiceFault."""

    @abstractmethod
    def refused(self, request: Request, fault: ServiceFault) -> Response:
        """What a fault is answered with."""

    async def body(self, call: Incoming, limit: int) -> bytes:
        """The request's body. Raises ServiceFault for one that is too large or too slow."""
        return await read_body(
            call.receive,
            declared=call.headers.get("content-length"),
            limit=limit,
            body=call.body,
            timeout_s=self.parts.edge.body_timeout_s,
        )

    async def form(self, request: Request, call: Incoming, limit: int) -> dict[str, list[str]]:
        """The form of a page of this console. Raises AccessDenied for one of another origin."""
        if not is_ours(request.headers, self.parts.cookies.origin_of(request)):
            raise AccessDenied("this form was not sent by a page of this console")
        return pairs((await self.body(call, limit)).decode("utf-8", "replace"))


class _Endpoint(Answering):
    """One page."""

    def __init__(self, parts: ConsoleParts, page: Page) -> None:
        super().__init__(parts)
        self._page = page

    async def respond(self, request: Request, call: Incoming) -> Response:
        """The page."""
        parts, page = self.parts, self._page
        session = parts.cookies.session_of(request)
        fresh = session is None and parts.sessions is None
        if fresh:
            # Without keys it says nothing of who somebody is: it tells our forms from others'.
            session = secrets.token_urlsafe(32)
        form: Mapping[str, list[str]] = {}
        given = ""
        if page.method == "POST":
            form, given = await self._own_form(request, call, session)
        # What an open page asks for by itself is no use of the session: it would never be over.
        is_part = request.headers.get("hx-request") == "true"
        used = page.method != "GET" or not is_part
        permit = replace(await permit_of(parts, request, used=used), address=call.address)
        call.proved()
        visit = Visit(
            service=parts.edge.service,
            permit=permit,
            form_token=form_token(session or ""),
            path=raw_path(request.scope),
            query=pairs(request.url.query),
            names=dict(request.path_params),
            form=form,
            given_token=given,
            endpoint=parts.cookies.origin_of(request) if parts.for_shells else "",
            is_part=is_part,
            signed_in=parts.sessions is not None,
            theme=parts.cookies.theme_of(request),
            zone=parts.cookies.zone_of(request),
            still=parts.cookies.is_still(request),
            roomy=parts.cookies.is_roomy(request),
            sessions=parts.sessions,
            session=session or "",
        )
        response = await self._carried_out(permit, visit, request)
        if fresh and session is not None:
            parts.cookies.set_session(request, response, session)
        return response

    async def _own_form(
        self, request: Request, call: Incoming, session: str | None
    ) -> tuple[Mapping[str, list[str]], str]:
        """The form of a POST, and its token. Raises AccessDenied where it is not the visitor's."""
        form = await self.form(request, call, self._page.most)
        given = (form.pop("form_token", None) or [""])[0]
        if session is None or not is_form_token(given, session):
            raise AccessDenied("this form is of another session: load the page anew")
        return form, given

    async def _carried_out(self, permit: Permit, visit: Visit, request: Request) -> Response:
        handler, request_id = self._page.handler, new_request_id()
        pool, packed = self.parts.edge.pool, _takes_gzip(request)

        def work() -> Response:
            try:
                # Here and not on the loop: to compress a large page takes milliseconds.
                with shown_in(visit.zone):
                    answer = handler(visit)
                if (file := answer.file) is not None:
                    told = page_headers()
                    return text_response(file, pool, permit.holder, told, method=request.method)
                return _response(answer, is_part=visit.is_part, packed=packed)
            except ServiceFault:
                raise
            except Exception as error:
                operation = f"console {self._page.path}"
                raise fault_of(error, operation=operation, request_id=request_id) from error

        def measured() -> Response:
            begin = time.thread_time()
            try:
                return work()
            finally:
                subject = visit.names.get("pipeline_id", "")
                self.parts.pace.spent(subject, time.thread_time() - begin)

        return await pool.run(permit.holder, measured if visit.is_part else work)

    def refused(self, request: Request, fault: ServiceFault) -> Response:
        is_part = request.headers.get("hx-request") == "true"
        if isinstance(fault, SessionOver) and not is_part:
            target = _address(request) if self._page.method == "GET" else "/"
            return _response(Answer(go_to=self.parts.cookies.sign_in(_SIGN_IN, target)))
        html = render(
            "fault.html",
            fault=fault,
            is_part=is_part,
            theme=self.parts.cookies.theme_of(request),
        )
        status = 401 if isinstance(fault, SessionOver) else status_of(fault)
        return _response(Answer(html=html, status=status), is_part=is_part)


def _address(request: Request) -> str:
    """The path and the query, as they were sent."""
    query = request.url.query
    return raw_path(request.scope) + (f"?{query}" if query else "")


def _takes_gzip(request: Request) -> bool:
    return "gzip" in request.headers.get("accept-encoding", "")


def _response(answer: Answer, *, is_part: bool = False, packed: bool = False) -> Response:
    headers: dict[str, Any] = {**page_headers(), **(answer.headers or {})}
    if answer.go_to:
        if is_part:
            return Response(status_code=204, headers={**headers, "hx-redirect": answer.go_to})
        return RedirectResponse(answer.go_to, status_code=303, headers=headers)
    body = answer.html.encode()
    headers = {"content-type": "text/html; charset=utf-8", "vary": "accept-encoding", **headers}
    if packed and len(body) > _WORTH_PACKING:
        body = gzip.compress(body, compresslevel=1, mtime=0)
        headers["content-encoding"] = "gzip"
    return Response(body, status_code=answer.status, headers=headers)
