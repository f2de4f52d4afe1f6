"""One visit of a page: who looks, at what, and what the service answers them."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

from taskrunner.console.views import addresses
from taskrunner.errors import InvalidRequest
from taskrunner.service.auth import Permit
from taskrunner.service.engine import Service
from taskrunner.service.handler import Handler
from taskrunner.service.sessions import Sessions
from taskrunner.service.store.audit import acting
from taskrunner.service.v1.route import Route
from taskrunner.service.v1.schema import from_texts, read
from taskrunner.service.v1.table import ROUTES

_ROUTE_OF: Mapping[str, Route] = {route.operation: route for route in ROUTES}
#: Of a query or a form, more pairs than any page has.
MOST_PAIRS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A request for a page by somebody who may look."""

    service: Service
    permit: Permit
    #: What tells the visitor's forms from those of other origins.
    form_token: str
    #: The path and the query, as links of the page repeat them.
    path: str
    query: Mapping[str, list[str]] = field(default_factory=dict)
    #: What stands in the path, by its name.
    names: Mapping[str, str] = field(default_factory=dict)
    #: The form of a POST.
    form: Mapping[str, list[str]] = field(default_factory=dict)
    #: The token that stood in it.
    given_token: str = ""
    #: By which address shells reach the service; nothing: they do not.
    endpoint: str = ""
    #: htmx asks for a part of the page only.
    is_part: bool = False
    #: Whether there is a session to be left; without keys there is none.
    signed_in: bool = False
    #: `light` or `dark` where the visitor has chosen one.
    theme: str = ""
    #: The time zone that the visitor has chosen; nothing: UTC.
    zone: str = ""
    #: The visitor wants no page to change by itself.
    still: bool = False
    #: The visitor wants more room between lines.
    roomy: bool = False
    #: The sessions of visitors, and the token of this visitor's; without keys there are none.
    sessions: Sessions | None = None
    session: str = field(default="", repr=False)

    @property
    def now(self) -> datetime:
        """The service's time."""
        return self.service.clock.now()

    @property
    def address(self) -> str:
        """Where one comes back to from here: this page, or the one whose form this is answered to.

        What was done just before is told once, so that it is left out.
        """
        if self.form:
            return addresses.local(self.field("to"))
        return addresses.with_query(self.path, self.query, done=None)

    def may(self, action: str) -> bool:
        """Whether the visitor may call an operation."""
        return self.permit.actions is None or action in self.permit.actions

    def first(self, key: str, default: str = "") -> str:
        """The first value of the query by a name."""
        return (self.query.get(key) or [default])[0]

    def field(self, key: str) -> str:
        """The first value of the form by a name."""
        return (self.form.get(key) or [""])[0]

    def ask(self, handler: Handler, **members: Any) -> Any:
        """What a handler of /v1 answers the visitor, who may no more here than there.

        Raises ServiceFault.
        """
        route = _ROUTE_OF[handler.__name__]
        message = route.request(**members)
        route.check(self.permit, message)
        with acting(self.permit.actor(route.action, self.now)):
            return route.handler(self.service, self.permit.caller, message)

    def asked(self, handler: Handler, texts: Mapping[str, list[str]], **members: Any) -> Any:
        """As `ask`, with members that stand in a query or a form as texts."""
        request = _ROUTE_OF[handler.__name__].request
        known = {field.name for field in fields(request)}
        given = {key: [v for v in values if v] for key, values in texts.items() if key in known}
        named = {key: [str(value)] for key, value in members.items()}
        found = from_texts(request, {**{k: v for k, v in given.items() if v}, **named})
        return self.ask(handler, **_members(read(request, found)))


def _members(message: Any) -> dict[str, Any]:
    return {field.name: getattr(message, field.name) for field in fields(message)}


def pairs(text: str) -> dict[str, list[str]]:
    """The pairs of a query or a form. Raises InvalidRequest."""
    try:
        return parse_qs(text, keep_blank_values=True, max_num_fields=MOST_PAIRS, errors="strict")
    except ValueError as error:
        raise InvalidRequest(f"the query or form cannot be read: {error}") from None


def form_token(session: str) -> str:
    """What the forms of a session hold, and no other origin can know.

    It is another one on each page: what is the same on all of them could be told from the sizes of
    pages, which are compressed (BREACH).
    """
    nonce = secrets.token_hex(8)
    return f"{nonce}.{_mac(session, nonce)}"


def is_form_token(given: str, session: str) -> bool:
    """Whether a form is of a page of the session."""
    nonce, _, mac = given.partition(".")
    return hmac.compare_digest(mac.encode(), _mac(session, nonce).encode())


def _mac(session: str, nonce: str) -> str:
    return hmac.new(session.encode(), b"form " + nonce.encode(), hashlib.sha256).hexdigest()
