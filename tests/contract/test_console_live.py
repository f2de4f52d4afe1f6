"""Open pages are told when what they show has changed, and nobody else is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from taskrunner.clock import SystemClock
from taskrunner.console import live as live_module
from taskrunner.console.cookies import Cookies
from taskrunner.console.edge import ConsoleParts
from taskrunner.console.live import Live
from taskrunner.model.states import AlarmStatus
from taskrunner.service.app import EdgeSettings, create_app
from taskrunner.service.auth import Authenticator, NoAuthenticator, SigV4Authenticator
from taskrunner.service.handlers import HANDLERS
from taskrunner.service.sessions import IDLE_LIFE, Sessions
from taskrunner.service.store import alarms as alarm_store
from taskrunner.service.store.marks import marks
from taskrunner.service.v1.edge import EdgeParts
from taskrunner.testing import ServiceInProcess
from tests.contract.browser import Browser, app_of
from tests.contract.v1 import KEYS, V1
from tests.unit.service import asgi
from tests.unit.service.worlds import ON_DEMAND, alarm, ref, shell

TWO = [ON_DEMAND, shell("A"), shell("B", after="A")]


class Watch:
    """The live streams of a service without keys."""

    def __init__(self, world: ServiceInProcess, role: str | None = None) -> None:
        """`role`: that of a visitor who has signed in, and whose streams are opened."""
        self.parts: list[EdgeParts] = []
        authenticator: Authenticator = NoAuthenticator()
        if role is not None:
            authenticator = SigV4Authenticator(KEYS, region="us-east-1", clock=SystemClock())
        self.app: Starlette = create_app(
            world.service,
            handlers=HANDLERS,
            authenticator=authenticator,
            settings=EdgeSettings(threads=1),
            pages=self._take,
        )
        self.cookie, sessions = "", None
        if role is not None:
            sessions = Sessions(world.service.store, authenticator, world.service.clock)
            ticket = sessions.ticket(authenticator.permit_of(role))
            self.cookie = f"taskrunner-80={sessions.enter(ticket)}"
        parts = ConsoleParts(edge=self.parts[0], sessions=sessions, cookies=Cookies())
        self.pace = parts.pace
        self.live = Live(parts, look_s=0.001)

    def _take(self, parts: EdgeParts) -> list[Any]:
        self.parts.append(parts)
        return []

    async def open(self, query: str = "", **headers: str) -> Response:
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/console/live",
            "query_string": query.encode(),
            "headers": [
                (k.replace("_", "-").encode(), v.encode())
                for k, v in {"cookie": self.cookie, **headers}.items()
            ],
        }
        return await self.live._answer(Request(scope))  # what the route calls

    @asynccontextmanager
    async def stream(self, query: str = "", **headers: str) -> AsyncIterator[AsyncIterator[str]]:
        response = await self.open(query, **headers)
        assert isinstance(response, StreamingResponse), response.body
        body = cast("AsyncGenerator[str]", response.body_iterator)
        try:
            yield body
        finally:
            await body.aclose()


def run(watch: Watch, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        async with asgi.started(watch.app):
            await asyncio.wait_for(main(), 60)

    asyncio.run(whole())


def test_a_page_is_told_when_its_pipeline_has_changed(world: ServiceInProcess) -> None:
    made = V1(world).pipeline("orders", TWO)
    watch = Watch(world)

    async def main() -> None:
        async with watch.stream(f"of={made}") as events:
            assert (await anext(events)).startswith("retry: ")
            assert "event: changed" in await anext(events)
            world.conclude(world.take(), "FINISHED")
            world.settle()
            assert "event: changed" in await anext(events)

    run(watch, main)


def test_a_mark_is_another_one_with_every_change_that_a_page_shows(
    world: ServiceInProcess,
) -> None:
    made, other = (V1(world).pipeline(name, TWO) for name in ("orders", "others"))
    seen: list[str] = []

    def changed(what: str) -> None:
        with world.service.store.read() as conn:
            found = marks(conn, [made, other])
            assert found == marks(conn, [other, made])
            assert marks(conn, ["df-NONE"]) == {}
        assert found[made] not in seen, what
        assert not seen or found[other] == others, what
        seen.append(found[made])

    with world.service.store.read() as conn:
        others = marks(conn, [other])[other]
    changed("as it is")
    V1(world).did(f"/pipelines/{made}/pause")
    changed("paused")
    V1(world).did(f"/pipelines/{made}/resume")
    seen.pop(0)  # as it was at first
    changed("resumed")
    (first, *_) = V1(world).got(f"/pipelines/{made}/instances", component="A")["instances"]
    V1(world).did(f"/pipelines/{made}/cancel", ids=[first["id"]])
    changed("canceled")
    V1(world).did(f"/pipelines/{made}/rerun", ids=[first["id"]])
    changed("rerun")
    V1(world).did(f"/pipelines/{made}/finish", ids=[first["id"]])
    changed("finished")


def test_a_page_of_alarms_is_told_when_nothing_but_an_alarm_has_changed(
    world: ServiceInProcess,
) -> None:
    made = V1(world).pipeline(
        "orders", [ON_DEMAND, alarm("Page"), shell("A", onSuccess=ref("Page"))]
    )
    world.work_off()
    watch = Watch(world)

    async def main() -> None:
        async with (
            watch.stream(f"of={made}&alarms=1") as alarms,
            watch.stream(f"of={made}") as others,
        ):
            for events in (alarms, others):
                assert (await anext(events)).startswith("retry: ")
                assert "event: changed" in await anext(events)
            waits = asyncio.create_task(_next(others))
            with world.service.store.write() as conn:
                (row,) = alarm_store.load_alarms(conn, made)
                alarm_store.update_alarm(conn, row, status=AlarmStatus.FAILED, tries=12)
            assert "event: changed" in await anext(alarms)
            assert not waits.done()
            waits.cancel()
            await asyncio.gather(waits, return_exceptions=True)

    run(watch, main)


async def _next(events: AsyncIterator[str]) -> str:
    return await anext(events)


def test_a_page_that_comes_back_is_told_what_it_has_missed(world: ServiceInProcess) -> None:
    made = V1(world).pipeline("orders", TWO)
    watch = Watch(world)

    async def main() -> None:
        async with watch.stream(f"of={made}", last_event_id="an earlier mark") as events:
            await anext(events)
            assert "event: changed" in await anext(events)

    run(watch, main)


def test_a_page_that_was_just_loaded_is_told_when_something_changes_and_not_before(
    world: ServiceInProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = V1(world).pipeline("orders", TWO)
    watch = Watch(world)

    async def main() -> None:
        async with watch.stream(f"of={made}&fresh=1") as first:
            await anext(first)
            assert "event: changed" in await anext(first), "nobody knows how it was"
            # Something may have changed since the page was made: it has just now been looked at.
            async with watch.stream(f"of={made}&fresh=1") as soon:
                await anext(soon)
                assert "event: changed" in await anext(soon)
            monkeypatch.setattr(live_module, "_FRESH_S", 0.0)
            async with watch.stream(f"of={made}&fresh=1") as events:
                assert (await anext(events)).startswith("id: ")
                waits = asyncio.ensure_future(anext(events))
                await asyncio.sleep(0.05)
                assert not waits.done()
                await asyncio.to_thread(V1(world).did, f"/pipelines/{made}/pause")
                assert "event: changed" in await waits

    run(watch, main)


def test_the_list_is_told_of_new_pipelines_pauses_and_changes(world: ServiceInProcess) -> None:
    watch = Watch(world)

    async def main() -> None:
        async with watch.stream() as events:
            await anext(events)
            await anext(events)
            made = V1(world).pipeline("orders", TWO)
            assert "event: changed" in await anext(events)
            await asyncio.to_thread(V1(world).did, f"/pipelines/{made}/pause")
            assert "event: changed" in await anext(events)

    run(watch, main)


def test_nobody_is_told_of_what_is_not_theirs(world: ServiceInProcess) -> None:
    made = V1(world).pipeline("orders", TWO)
    app = app_of(world)
    stranger = Browser(app)
    assert stranger.get(f"/console/live?of={made}").status == 401
    stranger.sign_in("other")
    assert stranger.get(f"/console/live?of={made}").status == 404
    stranger.sign_in("runner")
    assert stranger.get("/console/live").status == 403


def test_a_stream_ends_with_its_session_though_there_is_always_something_to_tell(
    world: ServiceInProcess,
) -> None:
    made = V1(world).pipeline("orders", TWO)
    watch = Watch(world, role="viewer")

    async def main() -> None:
        async with watch.stream(f"of={made}") as events:
            await anext(events)
            assert "event: changed" in await anext(events)
            # Half of the time in which a session that nobody uses is over: it goes on.
            world.clock.advance(IDLE_LIFE / 2)
            await asyncio.to_thread(V1(world).did, f"/pipelines/{made}/pause")
            assert "event: changed" in await anext(events)
            # The stream has not made use of it: then it is over, as without a stream.
            world.clock.advance(IDLE_LIFE / 2)
            await asyncio.to_thread(V1(world).did, f"/pipelines/{made}/resume")
            assert "event: over" in await anext(events)
            with pytest.raises(StopAsyncIteration):
                await anext(events)

    run(watch, main)


def test_so_many_pages_are_told_at_a_time(
    world: ServiceInProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "MOST_OF_HOLDER", 2)
    watch = Watch(world)

    async def main() -> None:
        async with watch.stream() as one, watch.stream() as two:
            await anext(one)
            await anext(two)
            assert (await watch.open()).status_code == 503
        async with watch.stream() as again:
            await anext(again)

    run(watch, main)


def test_pages_are_told_one_after_the_other_and_the_end_ends_their_waiting(
    world: ServiceInProcess,
) -> None:
    watch = Watch(world)
    watch.pace.spent("", 10_000.0)  # the next page's turn is in two days

    async def main() -> None:
        async with watch.stream() as one, watch.stream() as two:
            await anext(one)
            assert "event: changed" in await anext(one)
            await anext(two)
            waits = asyncio.ensure_future(anext(two))
            await asyncio.sleep(0.05)
            assert not waits.done()
            watch.live.stop()
            with pytest.raises(StopAsyncIteration):
                await waits

    run(watch, main)


def test_streams_end_when_the_service_stops(world: ServiceInProcess) -> None:
    watch = Watch(world)

    async def main() -> None:
        async with watch.stream() as events:
            await anext(events)
            await anext(events)
            watch.live.stop()
            with pytest.raises(StopAsyncIteration):
                await anext(events)

    run(watch, main)


def test_the_application_ends_streams_before_it_waits(world: ServiceInProcess) -> None:
    watch = Watch(world)
    watch.parts[0].at_stop.append(watch.live.stop)

    async def main() -> None:
        async with watch.stream() as events:
            await anext(events)
            await anext(events)
            watch.app.state.stop()
            with pytest.raises(StopAsyncIteration):
                await anext(events)

    run(watch, main)
