"""`/console/live`: tells open pages that what they show has changed, by server-sent events.

A page is not sent what has changed: it asks for its changing part again, as itself. All pages of a
pipeline share one look at the store, every two seconds and only while there are any.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from functools import partial

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from taskrunner.console.edge import ConsoleParts, permit_of
from taskrunner.console.headers import page_headers
from taskrunner.errors import ServiceFault, StoreError
from taskrunner.service.auth import Permit
from taskrunner.service.store import marks as mark_store
from taskrunner.service.v1.edge import status_of

LIVE_PATH = "/console/live"
#: Seconds between two looks, and between two signs of life.
LOOK_S, SIGN_S = 2.0, 20.0
#: Pages that are told at a time, of all visitors and of one.
MOST, MOST_OF_HOLDER = 1000, 250
#: Pages that are gone keep nothing up: they come back by themselves after this.
_RETRY_MS = 3000
_RETRY = f"retry: {_RETRY_MS}\n\n"
#: A page that was just loaded knows a mark that has been the same for so many seconds.
_FRESH_S = 10.0
#: A comment, which keeps proxies from taking a stream for dead.
_SIGN = ": here\n\n"


@dataclass(eq=False, slots=True)
class _Page:
    """A page that is open."""

    holder: str
    #: What it knows.
    mark: str
    wake: asyncio.Event = field(default_factory=asyncio.Event)


class Live:
    """The pages that are open, by what they show.

    A pipeline (`of`), that with its alarms (`alarms=1`), or (the visitor's account) all pipelines.
    """

    def __init__(self, parts: ConsoleParts, *, look_s: float = LOOK_S) -> None:
        self._parts = parts
        self._look_s = look_s
        self._pages: dict[tuple[str, str], set[_Page]] = {}
        self._marks: dict[tuple[str, str], str] = {}
        self._same_since: dict[tuple[str, str], float] = {}
        self._looking: asyncio.Task[None] | None = None
        self._ended = asyncio.Event()

    def route(self) -> Route:
        """For the service's application."""
        return Route(LIVE_PATH, endpoint=self._answer, methods=["GET"])

    def stop(self) -> None:
        """End all streams; to be called on the loop."""
        self._ended.set()
        for page in [page for pages in self._pages.values() for page in pages]:
            page.wake.set()
        if self._looking is not None:
            self._looking.cancel()

    async def _answer(self, request: Request) -> Response:
        pipeline_id = request.query_params.get("of", "")
        try:
            permit = await permit_of(self._parts, request, used=False)
            await self._check(permit, pipeline_id)
        except ServiceFault as fault:
            # EventSource gives up for good on anything but 200 and a stream.
            return PlainTextResponse(f"{fault}\n", status_code=status_of(fault))
        if self._is_full(permit.holder):
            return PlainTextResponse(
                "too many pages are open\n", status_code=503, headers={"retry-after": "60"}
            )
        kind = "alarms" if request.query_params.get("alarms") == "1" else "pipeline"
        key = (kind, pipeline_id) if pipeline_id else ("account", permit.caller.account)
        known = request.headers.get("last-event-id", "")
        if request.query_params.get("fresh") == "1" and not known:
            known = self._mark_of_fresh(key)
        page = _Page(permit.holder, known)
        headers = {**page_headers(), "x-accel-buffering": "no"}
        return StreamingResponse(
            self._stream(key, page, request),
            media_type="text/event-stream",
            headers=headers,
        )

    async def _check(self, permit: Permit, pipeline_id: str) -> None:
        """Raise a ServiceFault where the visitor may not see what is asked for."""
        permit.check_action("QueryObjects" if pipeline_id else "DescribePipelines")
        service = self._parts.edge.service
        if pipeline_id:
            await self._parts.edge.pool.run(
                permit.holder, lambda: service.pipeline(pipeline_id, permit.caller)
            )

    def _mark_of_fresh(self, key: tuple[str, str]) -> str:
        """What a page knows that was loaded just now: nothing, if something changed meanwhile."""
        same_since = self._same_since.get(key)
        known = same_since is not None and time.monotonic() - same_since >= _FRESH_S
        return self._marks.get(key, "") if known else ""

    def _is_full(self, holder: str) -> bool:
        pages = [page for pages in self._pages.values() for page in pages]
        return len(pages) >= MOST or sum(p.holder == holder for p in pages) >= MOST_OF_HOLDER

    async def _stream(
        self, key: tuple[str, str], page: _Page, request: Request
    ) -> AsyncIterator[str]:
        self._pages.setdefault(key, set()).add(page)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_on())
        try:
            async with aclosing(self._events(key, page, request)) as events:
                async for event in events:
                    yield event
        except ServiceFault:
            yield "event: over\ndata: sign in again\n\n"
        except StoreError:
            return  # the page comes back when the store does
        finally:
            pages = self._pages.get(key, set())
            pages.discard(page)
            if not pages:
                self._pages.pop(key, None)
                self._marks.pop(key, None)
                self._same_since.pop(key, None)

    async def _events(
        self, key: tuple[str, str], page: _Page, request: Request
    ) -> AsyncGenerator[str]:
        """What a page is told, until the end. Raises ServiceFault when its session is over."""
        clock = self._parts.edge.service.clock
        check_at = clock.monotonic() + SIGN_S
        # What the page knows is told back when its connection was lost.
        yield f"id: {page.mark}\n{_RETRY}" if page.mark else _RETRY
        while not self._ended.is_set():
            page.wake.clear()
            # Also while there is always something to tell: no stream outlives its session.
            if clock.monotonic() >= check_at:
                check_at = clock.monotonic() + SIGN_S
                await permit_of(self._parts, request, used=False)
            mark = self._marks.get(key, "")
            if mark and mark != page.mark:
                # The first one, too: something may have changed since the page was made.
                subject = "" if key[0] == "account" else key[1]
                turn = self._parts.pace.turn(subject, time.monotonic())
                while not await self._comes(turn):
                    yield _SIGN
                if not self._ended.is_set():
                    page.mark = self._marks.get(key, mark)
                    yield f"id: {page.mark}\nevent: changed\ndata: {page.mark}\n\n"
                continue
            try:
                await asyncio.wait_for(page.wake.wait(), SIGN_S)
            except TimeoutError:
                check_at = clock.monotonic()
                yield _SIGN

    async def _comes(self, turn: float) -> bool:
        """Whether a page's turn has come, or the end of all, before a sign of life is due."""
        left = turn - time.monotonic()
        if left <= 0:
            return True
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), min(left, SIGN_S))
            return True
        return left <= SIGN_S

    async def _look_on(self) -> None:
        """Look at the store for as long as a page is open."""
        while self._pages and not self._ended.is_set():
            keys = list(self._pages)
            try:
                found = await self._parts.edge.pool.run("", partial(self._look, keys))
            except StoreError:
                found = {}  # the store has it logged once
            for key, mark in found.items():
                if self._marks.get(key) != mark and key in self._pages:
                    self._marks[key] = mark
                    self._same_since[key] = time.monotonic()
                    for page in self._pages[key]:
                        page.wake.set()
            await asyncio.sleep(self._look_s)

    def _look(self, keys: list[tuple[str, str]]) -> dict[tuple[str, str], str]:
        ids = [of for kind, of in keys if kind == "pipeline"]
        with self._parts.edge.service.store.read() as conn:
            found = {("pipeline", k): m for k, m in mark_store.marks(conn, ids).items()}
            for kind, of in keys:
                if kind == "account":
                    found[kind, of] = mark_store.account_mark(conn, of)
                elif kind == "alarms" and (mark := mark_store.alarms_mark(conn, of)) is not None:
                    found[kind, of] = mark
        return found
