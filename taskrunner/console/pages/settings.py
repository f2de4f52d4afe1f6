"""`/settings`: what a visitor has chosen for this browser, and where the visitor is signed in."""

from __future__ import annotations

from taskrunner.console.cookies import zones
from taskrunner.console.edge import Answer
from taskrunner.console.pages.answers import saying, shown
from taskrunner.console.visit import Visit
from taskrunner.service.v1.faults import NotFound


def settings(visit: Visit) -> Answer:
    """The settings, and the sessions of the visitor's key."""
    key, found = visit.permit.key, visit.sessions
    return shown(
        visit,
        "settings.html",
        zones=sorted(zones()),
        key_id=key.id if key else "",
        sessions=found.of_key(key.id, visit.session) if found and key else (),
    )


def end_session(visit: Visit) -> Answer:
    """`POST`: end a session of the visitor's key, on whatever browser it is."""
    key, session_id = visit.permit.key, visit.field("id")
    if visit.sessions is None or key is None or not visit.sessions.end(key.id, session_id):
        raise NotFound("there is no such session of yours: it is over already")
    return Answer(go_to=saying("/settings", "end-session"))
