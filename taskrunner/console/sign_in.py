"""Signing in and out, and the theme: what is answered without a session, or changes it.

`taskrunner login` asks for a ticket by a call that is signed as ever, and opens the page below with
the ticket behind the `#` of its address, which no server and no log of one sees. The page sends it
in a form; without JavaScript it is pasted there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from taskrunner.console.cookies import zones
from taskrunner.console.edge import Answering, ConsoleParts, permit_of
from taskrunner.console.headers import page_headers
from taskrunner.console.render import render, static_files
from taskrunner.console.views.addresses import local
from taskrunner.console.visit import is_form_token
from taskrunner.errors import ServiceFault
from taskrunner.service.auth import Permit
from taskrunner.service.incoming import Incoming
from taskrunner.service.sessions import TICKET_LIFE, SessionOver
from taskrunner.service.v1.edge import status_of
from taskrunner.wire.faults import AccessDenied

#: Below /v1 for clients of that; it is no route of it, since a ticket is for the key that signed.
TICKET_PATH = "/v1/console/ticket"
ENTER_PATH = "/console/enter"
_MOST_OF_FORM = 16 * 1024
_KINDS = {
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
}


def sign_in_routes(parts: ConsoleParts) -> Sequence[Route]:
    """Beside the pages of the table."""
    return [
        Route(TICKET_PATH, endpoint=_Ticket(parts), methods=["POST"]),
        Route(ENTER_PATH, endpoint=_Enter(parts), methods=["GET", "POST"]),
        Route("/console/leave", endpoint=_Leave(parts), methods=["POST"]),
        Route("/console/theme", endpoint=_Theme(parts), methods=["POST"]),
        Route("/console/settings", endpoint=_Settings(parts), methods=["POST"]),
        Route("/console/static/{mark}/{name}", endpoint=_static, methods=["GET"]),
    ]


class _Raw(Answering):
    """A request that is answered without a session."""

    def refused(self, request: Request, fault: ServiceFault) -> Response:
        """What a fault is answered with."""
        theme = self.parts.cookies.theme_of(request)
        html = render("fault.html", fault=fault, is_part=False, theme=theme)
        return _html(html, status_of(fault))

    async def fields(self, request: Request, call: Incoming) -> dict[str, str]:
        """The fields of a form, which have one value each."""
        form = await self.form(request, call, _MOST_OF_FORM)
        return {key: values[0] for key, values in form.items()}


class _Ticket(_Raw):
    """`POST /v1/console/ticket`, signed: a ticket for the holder of the key."""

    async def respond(self, request: Request, call: Incoming) -> Response:
        sessions, edge = self.parts.sessions, self.parts.edge
        if sessions is None:
            return JSONResponse({"ticket": None}, headers={"cache-control": "no-store"})
        _check_safe(self.parts, request)
        edge.authenticator.check_headers(call.headers)
        signed = call.request(await self.body(call, _MOST_OF_FORM))

        def work() -> str:
            return sessions.ticket(edge.authenticator.authenticate(signed))

        ticket = await edge.pool.run(f"from {call.body.origin}", work)
        call.proved()
        told = {"ticket": ticket, "seconds": int(TICKET_LIFE.total_seconds())}
        return JSONResponse(told, headers={"cache-control": "no-store"})

    def refused(self, _request: Request, fault: ServiceFault) -> Response:
        told = {"error": {"code": fault.code, "message": str(fault)}}
        return Response(
            json.dumps(told), status_code=status_of(fault), media_type="application/json"
        )


class _Enter(_Raw):
    """`/console/enter`: a form for the ticket, and what turns it into a session.

    Anybody can send a link with a ticket of their own in it, and have others act with their key.
    So a page says first whose the ticket is, and what is answered to it names that key, and the
    one whose session it ends.
    """

    async def respond(self, request: Request, call: Incoming) -> Response:
        parts = self.parts
        target = local(request.query_params.get("to", "/"))
        if parts.sessions is None:
            return RedirectResponse(target, status_code=303, headers=page_headers())
        _check_safe(parts, request)
        if request.method == "GET":
            return self._page(request, target)
        form = await self.fields(request, call)
        target, sessions = local(form.get("to", "/")), parts.sessions
        ticket, turn = form.get("ticket", "").strip(), f"from {call.body.origin}"
        current = await self._current(request)
        try:
            holder = await parts.edge.pool.run(turn, lambda: sessions.holder(ticket))
            if not _is_confirmed(form, holder, current):
                return self._asking(request, target, ticket, holder, current)
            token = await parts.edge.pool.run(turn, lambda: sessions.enter(ticket))
        except SessionOver as over:
            return self._page(request, target, problem=str(over))
        call.proved()
        former = parts.cookies.session_of(request)
        if former is not None:
            await parts.edge.pool.run(turn, lambda: sessions.leave(former))
        response = RedirectResponse(target, status_code=303, headers=page_headers())
        parts.cookies.set_session(request, response, token)
        return response

    async def _current(self, request: Request) -> Permit | None:
        """Who the visitor is already."""
        try:
            return await permit_of(self.parts, request, used=False)
        except SessionOver:
            return None

    def _asking(
        self, request: Request, target: str, ticket: str, holder: Permit, current: Permit | None
    ) -> Response:
        html = render(
            "confirm.html",
            target=target,
            ticket=ticket,
            holder=holder,
            current=current,
            theme=self.parts.cookies.theme_of(request),
        )
        return _html(html, 200)

    def _page(self, request: Request, target: str, problem: str = "") -> Response:
        html = render(
            "enter.html",
            target=target,
            problem=problem,
            origin=self.parts.cookies.origin_of(request),
            theme=self.parts.cookies.theme_of(request),
        )
        return _html(html, 401 if problem else 200)


def _is_confirmed(form: Mapping[str, str], holder: Permit, current: Permit | None) -> bool:
    """Whether the visitor has been shown who they become, and in whose place."""
    was = _key_of(current)
    if was and was == _key_of(holder):
        return True
    return form.get("key", "") == _key_of(holder) and form.get("in_place_of", "") == was


def _key_of(permit: Permit | None) -> str:
    return permit.key.id if permit and permit.key else ""


class _Leave(_Raw):
    """`POST /console/leave`: ends the session."""

    async def respond(self, request: Request, call: Incoming) -> Response:
        parts = self.parts
        form = await self.fields(request, call)
        token = parts.cookies.session_of(request)
        if token is None or not is_form_token(form.get("form_token", ""), token):
            raise AccessDenied("this form is of another session: load the page anew")
        response = RedirectResponse(ENTER_PATH, status_code=303, headers=page_headers())
        sessions = parts.sessions
        if sessions is not None:
            await parts.edge.pool.run(f"from {call.body.origin}", lambda: sessions.leave(token))
            parts.cookies.end_session(request, response)
        return response


class _Theme(_Raw):
    """`POST /console/theme`: keeps the theme in a cookie."""

    async def respond(self, request: Request, call: Incoming) -> Response:
        form = await self.fields(request, call)
        target = local(form.get("to", "/"))
        response = RedirectResponse(target, status_code=303, headers=page_headers())
        self.parts.cookies.set_theme(response, form.get("theme", ""))
        return response


class _Settings(_Raw):
    """`POST /console/settings`: keeps what a visitor has chosen, in cookies."""

    async def respond(self, request: Request, call: Incoming) -> Response:
        form = await self.fields(request, call)
        zone = form.get("zone", "").strip()
        known = not zone or zone in zones()
        done = "settings" if known else "no-zone"
        headers = page_headers()
        response = RedirectResponse(f"/settings?done={done}", status_code=303, headers=headers)
        if known:
            cookies = self.parts.cookies
            cookies.set_theme(response, form.get("theme", ""))
            cookies.set_zone(response, zone)
            cookies.set_still(response, still=form.get("still") == "yes")
            cookies.set_roomy(response, roomy=form.get("room") == "roomy")
        return response


def _check_safe(parts: ConsoleParts, request: Request) -> None:
    """Raise AccessDenied where somebody between could read a ticket or a session."""
    if not parts.cookies.is_safe(request):
        raise AccessDenied(
            "over plain http others could read the session: open the console over https, or on "
            "the service's own host (docs/console.md)"
        )


async def _static(request: Request) -> Response:
    """A file that pages use; its address changes with it."""
    name = request.path_params["name"]
    kind = _KINDS.get(name.rpartition(".")[2])
    body = static_files().get(name)
    if body is None or kind is None:
        return Response("there is no such file\n", status_code=404, media_type="text/plain")
    headers = {
        **page_headers(),
        "cache-control": "public, max-age=31536000, immutable",
        "content-type": kind,
    }
    packed = static_files().get(f"{name}.gz")
    if packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        return Response(packed, headers={**headers, "content-encoding": "gzip"})
    return Response(body, headers=headers)


def _html(html: str, status: int) -> Response:
    headers = {"content-type": "text/html; charset=utf-8", **page_headers()}
    return Response(html, status_code=status, headers=headers)
