"""B8: retries, alarms and preconditions are as defined, however often the service is killed.

Definitions are made by chance, and worked off by runners that do what a script says: succeed, fail,
are lost, hang, give back, find nothing yet. Meanwhile the service dies at a statement, around a
commit, or around the delivery of an alarm, and another one takes up its store. What has come of it
is held against a model of a few lines.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.lives import Dead
from tests.chaos.mortal_service import POINTS, Life, Point
from tests.chaos.random_work import SLOW_MINUTES, VERDICTS, Alarm, End, Work, random_work
from tests.chaos.scale import Chaos
from tests.contract.stores import STORES

pytestmark = pytest.mark.xdist_group("chaos-random-work")

_MINUTE = timedelta(minutes=1)
#: By then everything has come to its end, were the service killed at every turn.
_MOST_MINUTES = 300
#: So long it is looked whether anything more happens: longer than any wait between two attempts,
#: and than alarms are held that a service had in hand when it died, each time ten minutes.
_AFTERWARDS = 60
_MOST_KILLS = 4


@dataclass
class World:
    """A store, the service that lives at the moment, and the runners."""

    chaos: Chaos
    url: str
    folder: Path
    without: str = ""
    #: Only these points, where not all.
    where: tuple[str, ...] = tuple(POINTS)
    now: datetime = datetime(2026, 2, 13, 2, tzinfo=UTC)
    life: Life | None = None
    kills: Counter[str] = field(default_factory=Counter)
    kills_left: int = 0
    point: Point = field(default_factory=Point)
    #: Attempts, alarms and preconditions seen.
    seen: Counter[str] = field(default_factory=Counter)

    def ask(self, order: str, *given: Any) -> Any:
        """Have an order carried out, by one service or the next."""
        while True:
            if self.life is None:
                self.point = self._next_point()
                self.life = Life(self.url, self.now, self.folder, self.point, self.without)
            try:
                return self.life.ask(order, *given)
            except Dead:
                self.kills[self.point.where] += 1
                self.kills_left -= 1
                self.close()

    def _next_point(self) -> Point:
        if self.kills_left <= 0:
            return Point()
        where = self.chaos.random.choice(self.where)
        return Point(where, self.chaos.random.randint(1, POINTS[where]))

    def close(self) -> None:
        if self.life is not None:
            self.life.end()
            self.life = None

    def pass_minute(self) -> None:
        self.now += _MINUTE
        self.ask("settle", self.now)

    def delivered(self) -> list[str]:
        path = self.folder / "delivered"
        return path.read_text().splitlines() if path.exists() else []


@dataclass
class Run:
    """A definition that is worked off."""

    world: World
    work: Work
    pipeline: str = ""
    #: How far each script has been gone through.
    steps: Counter[str] = field(default_factory=Counter)
    #: Tasks that are at work: task id -> component, step, minutes so far.
    held: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def live(self, number: int) -> list[str]:
        """All of it; what was not as the model has it."""
        self.pipeline = self.world.ask("begin", f"work {number}", self.work.objects())
        for _ in range(_MOST_MINUTES):
            self.serve()
            if not self.held and not self.unlike():
                break
            self.pass_minute()
        # Nothing more is to come, but for alarms that are not delivered yet.
        for _ in range(_AFTERWARDS):
            self.pass_minute()
            self.serve()
        self.wrong += self.unlike()
        self.wrong += self.wrong_alarms()
        self.world.ask("delete", self.pipeline)
        return self.wrong

    def unlike(self) -> list[str]:
        """The parts that are not at the end that they must come to."""
        ends = {key: End(status=s, attempts=a, failures=f) for key, (s, a, f) in self._ends()}
        return [
            f"{key} is {found}, wanted {self.work.ends[key]}"
            for key, found in ends.items()
            if not self.work.may_be(key, found)
        ] + [f"there is no {key}" for key in self.work.ends.keys() - ends.keys()]

    def _ends(self) -> list[tuple[str, tuple[str, int, int]]]:
        found: dict[str, tuple[str, int, int]] = self.world.ask("ends", self.pipeline)
        return list(found.items())

    def serve(self) -> None:
        """What runners do at one moment: take all that is ready, and go a step with each."""
        while (task := self.world.ask("claim", self.work.worker_group)) is not None:
            task_id, key = task
            if not self.world.ask("report", task_id):
                self.refused(key)
                continue
            script = self.work.parts[key].script
            step = script[self.steps[key]] if self.steps[key] < len(script) else "ok"
            if step != "never":
                self.steps[key] += 1
            if step in {"slow", "hang"}:
                self.held[task_id] = (key, step, 0)
            elif step != "silent" and not self.world.ask("conclude", task_id, *VERDICTS[step]):
                self.refused(key)

    def pass_minute(self) -> None:
        """A minute passes; those at work report."""
        self.world.pass_minute()
        for task_id, (key, step, minutes) in list(self.held.items()):
            self.held[task_id] = (key, step, minutes + 1)
            if not self.world.ask("report", task_id):
                del self.held[task_id]
                if step == "slow":
                    self.refused(key)
            elif step == "slow" and minutes + 1 == SLOW_MINUTES:
                del self.held[task_id]
                if not self.world.ask("conclude", task_id, *VERDICTS[step]):
                    self.refused(key)

    def refused(self, key: str) -> None:
        """A runner was not listened to, which is right only where its activity has ended."""
        if not self.work.is_free_to_cancel(self.work.parts[key]):
            self.wrong.append(f"a runner of {key} was refused")

    def wrong_alarms(self) -> list[str]:
        rows = self.world.ask("alarms", self.pipeline)
        raised: Counter[Alarm] = Counter(
            (instance[1:].rpartition("_")[0], event, action)
            for instance, event, action, _, _ in rows
        )
        found = [f"alarm {a} was raised {raised[a]} times" for a in raised if raised[a] > 1]
        found += [f"alarm {a} was not raised" for a in self.work.alarms - raised.keys()]
        found += [f"alarm {a} was raised" for a in raised.keys() - self.work.alarms]
        delivered = Counter(self.world.delivered())
        for _, _, _, key, status in rows:
            if status != "SENT" or not delivered[key]:
                found.append(f"alarm {key} is {status}, delivered {delivered[key]} times")
        ours = {key for _, _, _, key, _ in rows}
        found += [
            f"{key} was delivered, and is none"
            for key in delivered
            if key.startswith(f"{self.pipeline} ") and key not in ours
        ]
        self.world.seen["alarms"] += len(rows)
        return found


def work_off(world: World, definitions: int) -> list[str]:
    """So many definitions, or until one goes wrong."""
    try:
        for number in range(definitions):
            work = random_work(world.chaos.random, number)
            world.kills_left = world.chaos.random.randint(1, _MOST_KILLS)
            if world.point == Point():
                world.close()  # the next one is to die somewhere
            wrong = Run(world, work).live(number)
            if wrong:
                scripts = {key: part.script for key, part in work.parts.items()}
                return [*wrong, f"definition {number}, scripts {scripts}"]
            world.seen["attempts"] += sum(end.attempts for end in work.ends.values())
            world.seen["preconditions"] += sum(p.node is not None for p in work.parts.values())
    finally:
        world.close()
    return []


@pytest.fixture(params=STORES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'service.db'}"
    found: str = request.getfixturevalue("postgresql_database")
    return found


def test_attempts_alarms_and_preconditions_are_as_the_model_has_them(
    chaos: Chaos, tmp_path: Path, url: str
) -> None:
    # What is between the short form and the full is told by the variable.
    definitions = chaos.trials(int(os.environ.get("TASKRUNNER_EXAMPLES", "4")), 500)
    world = World(chaos, url, tmp_path)
    assert work_off(world, definitions) == []
    store, _, _ = url.partition(":")
    kills = ", ".join(f"{count} {where}" for where, count in sorted(world.kills.items()))
    chaos.found(
        "B8",
        f"{store}: {definitions} definitions, {world.seen['attempts']} attempts, "
        f"{world.seen['preconditions']} preconditions, {world.seen['alarms']} alarms as the model "
        f"has them; {world.kills.total()} kills ({kills})",
    )


@pytest.mark.parametrize(
    ("without", "where", "words"),
    [
        ("nothing-free", (), "wanted End"),
        ("sent-first", ("before a delivery",), "delivered 0 times"),
        ("statements-alone", ("a statement",), ""),
    ],
)
def test_the_model_sees_a_defence_that_is_off(
    chaos: Chaos, tmp_path: Path, without: str, where: tuple[str, ...], words: str
) -> None:
    if not chaos.full and without == "statements-alone":
        pytest.skip("takes many kills: in the full form only (make chaos)")
    url = f"sqlite:///{tmp_path / 'service.db'}"
    world = World(chaos, url, tmp_path, without=without, where=where or tuple(POINTS))
    try:
        found = work_off(world, 60)
    except AssertionError as error:
        # Half a transaction can leave a store that a service does not start on.
        assert without == "statements-alone"
        found = [str(error)]
    assert any(words in text for text in found), found
    chaos.found("B8", f"without {without}, as it must be: {found[0]}")
