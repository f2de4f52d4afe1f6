"""What a form asks for is done once, however often the form is sent.

Two presses of a button, a page that is loaded again after a form was sent and a proxy that sends
twice are the same form of the same page: its token, its address and its fields. Scripts disable
buttons that were pressed, but a page must not need scripts for that. The store remembers forms as
it does signed calls of the API, for as long as a session can last.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from sqlalchemy.exc import IntegrityError

from taskrunner.console.edge import Answer
from taskrunner.console.visit import Visit
from taskrunner.service.sessions import SESSION_LIFE
from taskrunner.service.store import answered_calls
from taskrunner.service.store.rows import AnsweredCall

#: In the place of a key's id: no key has a space in it.
_FORMS = "console form"


def once(visit: Visit, work: Callable[[], Answer], *, again: Answer) -> Answer:
    """The answer of `work`, which is done for the first copy of a form; `again` for each other.

    What `work` raises undoes the remembering: nothing has changed, and the form may be sent anew.
    """
    store = visit.service.store
    form = AnsweredCall(
        key_id=_FORMS,
        signature=_mark(visit),
        operation="console",
        pipeline_id=visit.names.get("pipeline_id"),
        begun_at=visit.now,
        good_until=visit.now + SESSION_LIFE,
    )
    try:
        with store.write() as conn:
            answered_calls.insert(conn, form)
    except IntegrityError:
        return again
    try:
        return work()
    except BaseException:
        with store.write() as conn:
            answered_calls.remove(conn, form.key_id, form.signature)
        raise


def _mark(visit: Visit) -> str:
    """What tells a form from all others; its token is of one page of one session."""
    fields = sorted((name, tuple(texts)) for name, texts in visit.form.items())
    told = repr((visit.given_token, visit.path, fields))
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()
