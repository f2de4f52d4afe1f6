"""What is made for resources over lives of a service that are cut short: what should be there."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from taskrunner.service.resources.targets import Where
from tests.chaos.lives import Dead
from tests.chaos.resource_lives import Life
from tests.chaos.scale import Chaos
from tests.integration.agent_harness import wait_for

PIPELINE = "taskrunner:pipeline"
NEVER = 1 << 30


class Made(Protocol):
    """An instance or a cluster."""

    @property
    def tags(self) -> dict[str, str]: ...


class Cloud(Protocol):
    """A server that makes some."""

    @property
    def url(self) -> str: ...

    @property
    def running(self) -> Sequence[Made]: ...

    @property
    def ever(self) -> Sequence[Made]: ...


@dataclass
class Trap:
    """Kills a life at one of its calls to AWS, before AWS does what it asks or after."""

    life: Life | None = None
    calls: int = NEVER
    when: str = "before"
    sprung: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def set(self, life: Life, calls: int, when: str) -> None:
        with self.lock:
            self.life, self.calls, self.when = life, calls, when

    def called(self, _action: str, when: str) -> None:
        with self.lock:
            if when != self.when or self.life is None:
                return
            self.calls -= 1
            if self.calls == 0:
                self.sprung += 1
                self.life.kill()


class World:
    """A store, a cloud, and the lives of the services between them."""

    def __init__(
        self,
        folder: Path,
        aws: Cloud,
        trap: Trap,
        without: str = "",
        where: Where = Where.EC2,
    ) -> None:
        self._url = f"sqlite:///{folder / 'service.db'}"
        self._without, self._where = without, where
        #: The type of resource that each pipeline has.
        self.kind = "EmrCluster" if where is Where.EMR else "Ec2Resource"
        self.aws, self.trap = aws, trap
        #: Pipelines that want an instance, and those that want none any more.
        self.wanted: set[str] = set()
        self.given_up: set[str] = set()
        self.kills = 0

    @contextmanager
    def life(
        self, *, calls: int = NEVER, when: str = "before", idle: bool = False
    ) -> Iterator[Life]:
        """A service, which is killed at so many calls."""
        life = Life(self._url, self.aws.url, where=self._where, without=self._without, idle=idle)
        self.trap.set(life, calls, when)
        try:
            yield life
        finally:
            life.end()

    def running(self) -> Counter[str]:
        """How many run for each pipeline."""
        return Counter(machine.tags[PIPELINE] for machine in self.aws.running)

    def made(self) -> Counter[str]:
        """How many were ever made for each."""
        return Counter(machine.tags[PIPELINE] for machine in self.aws.ever)

    def statuses(self, life: Life, pipelines: Set[str]) -> set[str]:
        """What the store says of these resources."""
        found = life.ask("resources")
        return {found[pipeline][0] for pipeline in pipelines}

    def settled(self, life: Life) -> bool:
        """Whether every resource has what it should have, by the store."""
        found = life.ask("resources")
        return all(
            found[pipeline][0] == "ACTIVATING" and found[pipeline][1] for pipeline in self.wanted
        ) and all(
            pipeline not in found or found[pipeline][0] in {"FINISHED", "CANCELED"}
            for pipeline in self.given_up
        )

    def faults(self) -> list[str]:
        """What is there that should not be, or is not that should."""
        running, made = self.running(), self.made()
        few = [f"{p} has {running[p]}" for p in sorted(self.wanted) if running[p] != 1]
        many = [f"{p} has one" for p in sorted(running.keys() - self.wanted)]
        twice = [f"{count} were made for {p}" for p, count in made.items() if count > 1]
        return [*few, *many, *twice]


def persist(world: World, chaos: Chaos, order: str, *given: str) -> str:
    """Have an order carried out by one life or another, each killed somewhere."""
    answer: str | None = None
    while answer is None:
        calls, when = chaos.random.randint(1, 4), chaos.random.choice(["before", "after", "any"])
        with world.life(calls=calls, when=when) as life, suppress(Dead):
            if when == "any":
                threading.Timer(chaos.random.uniform(0, 0.5), life.kill).start()
            answer = str(life.ask(order, *given))
            # It goes on until the trap has sprung; it looks at AWS again and again.
            wait_for("its end", life.is_dead)
        world.kills += 1
    return answer


def launch_and_give_up(world: World, chaos: Chaos, launches: int) -> None:
    """Launch for so many pipelines over lives that are cut short; every third is given up."""
    # There is always one that has a machine, so that each life has something to look at.
    for number in range(launches):
        pipeline = persist(world, chaos, "begin", f"p{number}", world.kind, "1 day")
        world.wanted.add(pipeline)
        if number % 3 == 1:
            # Given up somewhere in the middle of its launch, or after it.
            persist(world, chaos, chaos.random.choice(["delete", "cancel"]), pipeline)
            world.wanted.discard(pipeline)
            world.given_up.add(pipeline)
    with world.life() as life:
        wait_for("what is wanted", lambda: world.settled(life) and not world.faults())


def outlive(world: World, chaos: Chaos, launches: int) -> None:
    """Launch for so many pipelines whose terminateAfter passes, and for one that stays."""
    first = persist(world, chaos, "begin", "first", world.kind, "1 day")
    ended = {
        persist(world, chaos, "begin", f"p{number}", world.kind, "2 seconds")
        for number in range(launches)
    }
    with world.life() as life:
        wait_for("their ends", lambda: world.statuses(life, ended) == {"TIMEDOUT"})
        world.wanted.add(first)
        wait_for("the last one", lambda: world.settled(life))
