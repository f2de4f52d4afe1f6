"""Many long polls from one thread: no more of a client than HTTP over connections that stay."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit

from bench.harness import Service

#: A task that a poll brought: called on the loop, at once.
Took = Callable[[dict[str, Any]], None]


@dataclass(slots=True)
class Line:
    """One connection to the service."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def open(cls, service: Service) -> Line:
        where = urlsplit(service.url)
        return cls(*await asyncio.open_connection(where.hostname, where.port))

    async def call(self, operation: str, **members: Any) -> dict[str, Any]:
        """One call of the API, unsigned. Raises ValueError for what is not answered with 200."""
        body = json.dumps(members).encode()
        head = (
            "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-amz-json-1.1\r\n"
            f"x-amz-target: DataPipeline.{operation}\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        self.writer.write(head.encode() + body)
        status, length = await self.reader.readline(), 0
        while (line := await self.reader.readline()).strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        reply = await self.reader.readexactly(length)
        if b" 200 " not in status:
            raise ValueError(f"{operation}: {status!r} {reply!r}")
        found: dict[str, Any] = json.loads(reply or b"{}")
        return found

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


@dataclass(slots=True)
class Pollers:
    """Polls that are held by the service, each made again as soon as it was answered."""

    service: Service
    took: Took
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _lines: list[Line] = field(default_factory=list)

    async def start(self, groups: list[str]) -> None:
        """One poller for each name; they connect a few at a time."""
        for at in range(0, len(groups), 50):
            lines = await asyncio.gather(*(Line.open(self.service) for _ in groups[at : at + 50]))
            self._lines += lines
            for line, group in zip(lines, groups[at : at + 50], strict=True):
                self._tasks.append(asyncio.create_task(self._poll(line, group)))
            await asyncio.sleep(0.05)

    async def _poll(self, line: Line, group: str) -> None:
        while True:
            task = (await line.call("PollForTask", workerGroup=group)).get("taskObject")
            if task is not None:
                self.took(task)

    def check(self) -> None:
        """Raise what any of them broke with."""
        for task in self._tasks:
            if task.done():
                task.result()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(line.close() for line in self._lines), return_exceptions=True)


@dataclass(slots=True)
class HandOuts:
    """The tasks that polls have brought, and when each was taken, by the wall clock."""

    #: By pipelines: what is handed out a second time, since nobody has acknowledged it, is no news.
    taken: dict[str, float] = field(default_factory=dict)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def took(self, task: dict[str, Any]) -> None:
        self.taken.setdefault(task["pipelineId"], time.time())
        self._news.set()

    async def of(self, pipeline: str) -> float:
        """When the pipeline's first task was taken, waiting until one is."""
        while pipeline not in self.taken:
            self._news.clear()
            await self._news.wait()
        return self.taken[pipeline]


@dataclass(frozen=True, slots=True)
class Delays:
    """How long hand-outs took, in seconds, each of a pipeline of its own."""

    #: From the call that activates a pipeline to the reply of the poll that brings its task.
    from_call: list[float]
    #: From when the task was ready by the store, which is when that transaction began.
    from_ready: list[float]


#: Nobody acknowledges what polls bring: it is not to be handed out again meanwhile.
UNACKNOWLEDGED = ("--ack-timeout", "3600")


async def first_hand_outs(service: Service, pollers: int, groups: int, samples: int) -> Delays:
    """Activate pipelines one by one while so many polls are held."""

    async def work(line: Line, got: HandOuts) -> Delays:
        begun: dict[str, float] = {}
        for number in range(samples):
            made = await asyncio.to_thread(
                service.pipeline, f"sample-{number}", f"group-{number % groups}", ["true"]
            )
            await asyncio.sleep(0.05)
            begun[made] = time.time()
            await asyncio.gather(line.call("ActivatePipeline", pipelineId=made), got.of(made))
        ready = service.ready_at()
        return Delays(
            from_call=[got.taken[made] - at for made, at in begun.items()],
            from_ready=[got.taken[made] - ready[made] for made in begun],
        )

    return await with_pollers(service, pollers, groups, work)


T = TypeVar("T")


async def with_pollers(
    service: Service,
    pollers: int,
    groups: int,
    work: Callable[[Line, HandOuts], Awaitable[T]],
) -> T:
    """Do something while so many polls are held, over a connection of its own."""
    got = HandOuts()
    held = Pollers(service, got.took)
    await held.start([f"group-{number % groups}" for number in range(pollers)])
    try:
        line = await Line.open(service)
        await asyncio.sleep(1)
        found = await work(line, got)
        await line.close()
        held.check()
        return found
    finally:
        await held.stop()
