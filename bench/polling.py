"""Many long polls from one thread: no more of a client than HTTP over connections that stay."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from bench.harness import Service

#: When a poll brought a task, and the task: called on the loop.
Took = Callable[[float, dict[str, Any]], None]


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
                self.took(time.perf_counter(), task)

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


async def first_hand_outs(service: Service, pollers: int, groups: int, samples: int) -> list[float]:
    """Seconds from an activation's call to a held poll's answer, each of a pipeline of its own."""
    return await with_pollers(
        service,
        pollers,
        groups,
        lambda line, wait: _hand_outs(service, line, wait, groups, samples),
    )


async def with_pollers(
    service: Service,
    pollers: int,
    groups: int,
    work: Callable[[Line, Callable[[], Awaitable[float]]], Awaitable[list[float]]],
) -> list[float]:
    """Do something while so many polls are held, over a connection of its own."""
    taken: asyncio.Queue[float] = asyncio.Queue()
    held = Pollers(service, lambda at, _task: taken.put_nowait(at))
    await held.start([f"group-{number % groups}" for number in range(pollers)])
    try:
        line = await Line.open(service)
        await asyncio.sleep(1)
        found = await work(line, taken.get)
        await line.close()
        held.check()
        return found
    finally:
        await held.stop()


async def _hand_outs(
    service: Service,
    line: Line,
    wait: Callable[[], Awaitable[float]],
    groups: int,
    samples: int,
) -> list[float]:
    found = []
    for number in range(samples):
        made = await asyncio.to_thread(
            service.pipeline, f"sample-{number}", f"group-{number % groups}", ["true"]
        )
        await asyncio.sleep(0.05)
        begin = time.perf_counter()
        _, taken = await asyncio.gather(line.call("ActivatePipeline", pipelineId=made), wait())
        found.append(taken - begin)
    return found
