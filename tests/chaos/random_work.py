"""Definitions by chance, what their runners will do, and a plain model of what must come of both.

The model knows no store, no queue and no clock: how an instance ends follows from what its runner
does step by step (its *script*), and from how those end that it waits for. Whatever depends on
moments is chosen so that it comes out the same at any: something is late after a minute only if it
surely takes longer, and else after years.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from taskrunner.errors import ErrorId

#: The verdicts of a script's steps; the other steps give none.
VERDICTS: Mapping[str, tuple[str, str | None]] = {
    "ok": ("FINISHED", None),
    "slow": ("FINISHED", None),
    "fail": ("FAILED", "X"),
    "permanent": ("FAILED", ErrorId.INVALID_FIELD),
    "interrupted": ("FAILED", ErrorId.INTERRUPTED),
    "false": ("FALSE", None),
    "never": ("FALSE", None),
}
#: Steps by which an attempt ends that cost no retry: the runner was lost, or gave it back.
_FREE = {"interrupted", "silent"}
#: For how many minutes something slow is at work; a step of another kind lasts for none.
SLOW_MINUTES = 5
ATTEMPT_TIMEOUT = "10 minutes"
PRECONDITION_TIMEOUT = "30 minutes"
SOON, IN_YEARS = "1 minute", "10 years"
WAITING = "WAITING_ON_DEPENDENCIES"
_ACTIONS = ("Mail", "Page")
_ONCE = {
    "id": "Once",
    "type": "Schedule",
    "startDateTime": "2026-02-13T02:00:00",
    "period": "1 day",
    "occurrences": "1",
}
_EVENTS = ("onSuccess", "onFail", "onLateAction")

Object = dict[str, Any]
#: Component, event and action of an alarm.
Alarm = tuple[str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """What an instance must come to: a state, by so many attempts and failures."""

    status: str
    attempts: int = 0
    failures: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """An activity or a precondition."""

    id: str
    after: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    #: Of a precondition the activity that it is for.
    node: str | None = None
    retries: int
    delay_minutes: int
    cascade: bool = False
    #: What its runner does; when it is used up all goes well.
    script: tuple[str, ...]
    #: Event -> the actions that hang on it.
    actions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    late_after: str | None = None

    def steps(self) -> Iterator[str]:
        """The script and what follows it."""
        yield from self.script
        while True:
            yield "ok"

    def object(self) -> Object:
        """It as it stands in a definition."""
        made: Object = {
            "id": self.id,
            "maximumRetries": str(self.retries),
            "retryDelay": f"{self.delay_minutes} minutes",
            **{event: _refs(actions) for event, actions in self.actions.items()},
        }
        if self.late_after is not None:
            made["lateAfterTimeout"] = self.late_after
        if self.node is not None:
            timeout = {"preconditionTimeout": PRECONDITION_TIMEOUT}
            return {**made, "type": "Exists", **(timeout if "never" in self.script else {})}
        made |= {"type": "ShellCommandActivity", "command": "true"}
        made |= {"attemptTimeout": ATTEMPT_TIMEOUT}
        made |= {"failureAndRerunMode": "CASCADE" if self.cascade else "NONE"}
        made |= {"dependsOn": _refs(self.after)} if self.after else {}
        return made | ({"precondition": _refs(self.checks)} if self.checks else {})


@dataclass(frozen=True)
class Work:
    """A definition and its model."""

    parts: Mapping[str, Part]
    worker_group: str
    #: Nothing is ever late then: AWS's guide has it so.
    on_demand: bool

    def objects(self) -> list[Object]:
        """The definition."""
        default: Object = {"id": "Default", "workerGroup": self.worker_group}
        if self.on_demand:
            default["scheduleType"] = "ondemand"
        else:
            default |= {"scheduleType": "cron", "schedule": {"ref": "Once"}}
        topic = {"type": "SnsAlarm", "role": "r", "topicArn": "t", "subject": "s", "message": "m"}
        alarms = [{"id": action, **topic} for action in _ACTIONS]
        return [default, _ONCE, *alarms, *(part.object() for part in self.parts.values())]

    @cached_property
    def ends(self) -> dict[str, End]:
        """What each part comes to."""
        found: dict[str, End] = {}
        for part in self.parts.values():
            for key in part.checks:
                found[key] = _run(self.parts[key])
            if part.node is None:
                found[part.id] = self._end(part, found)
        return found

    def _end(self, part: Part, known: Mapping[str, End]) -> End:
        before = [known[key].status for key in (*part.after, *part.checks)]
        if part.cascade and set(before) & {"FAILED", "CASCADE_FAILED"}:
            return End(status="CASCADE_FAILED")
        return _run(part) if set(before) <= {"FINISHED"} else End(status=WAITING)

    def is_free_to_cancel(self, part: Part) -> bool:
        """Whether its activity may end before it: then its own end depends on moments."""
        return part.node is not None and self.ends[part.node].status == "CASCADE_FAILED"

    def may_be(self, key: str, found: End) -> bool:
        """Whether a part may have come to this."""
        wanted = self.ends[key]
        if found == wanted:
            return True
        fewer = found.attempts <= wanted.attempts and found.failures <= wanted.failures
        return self.is_free_to_cancel(self.parts[key]) and found.status == "CANCELED" and fewer

    @property
    def alarms(self) -> set[Alarm]:
        """Every alarm that must be raised, once."""
        happens = {
            key: {"onLateAction"} if part.late_after == SOON and not self.on_demand else set()
            for key, part in self.parts.items()
        }
        for key, end in self.ends.items():
            if end.status == "FINISHED":
                happens[key].add("onSuccess")
            elif end.status in {"FAILED", "CASCADE_FAILED"}:
                happens[key].add("onFail")
        return {
            (key, event, action)
            for key, part in self.parts.items()
            for event, actions in part.actions.items()
            if event in happens[key]
            for action in actions
        }

    def takes_long(self, part: Part) -> bool:
        """Whether it surely goes on for two minutes and more."""
        end = self.ends[part.id]
        others = [self.parts[key] for key in (*part.after, *part.checks)]
        if end.status == WAITING:
            return True
        if end.status == "CASCADE_FAILED":
            lost = [o for o in others if self.ends[o.id].status in {"FAILED", "CASCADE_FAILED"}]
            return all(map(self.takes_long, lost))
        return _lasts(part, end) or any(map(self.takes_long, others))


def _run(part: Part) -> End:
    """What a part comes to that can begin."""
    attempts, failures = 1, 0
    for step in part.steps():
        if step in {"ok", "slow"}:
            return End(status="FINISHED", attempts=attempts, failures=failures)
        if step in {"never", "permanent"}:
            break
        if step == "false":
            continue  # the same attempt looks again
        if step not in _FREE:
            if failures == part.retries:
                break
            failures += 1
        attempts += 1
    return End(status="FAILED", attempts=attempts, failures=failures)


def _lasts(part: Part, end: End) -> bool:
    """Whether its own steps take so long: leases and timeouts do, and waits of two minutes."""
    used, attempts = [], 1
    for step in part.steps():
        used.append(step)
        if step in {"ok", "slow", "never", "permanent"} or (
            attempts == end.attempts and step != "false"
        ):
            break
        attempts += step != "false"
    waits = "false" in used or end.failures > 0
    return bool({"slow", "hang", "silent", "never"} & set(used)) or (
        waits and part.delay_minutes >= 2
    )


def _refs(ids: tuple[str, ...]) -> list[dict[str, str]]:
    return [{"ref": key} for key in ids]


# -- by chance ------------------------------------------------------------------------------------

_ACTIVITY_STEPS = ("ok", "ok", "fail", "fail", "interrupted", "silent", "hang", "slow", "permanent")
_CHECK_STEPS = ("ok", "false", "false", "fail", "interrupted", "silent", "never", "permanent")


def random_work(chance: random.Random, number: int) -> Work:
    """A definition of up to five activities with their preconditions."""
    parts: dict[str, Part] = {}
    activities: list[str] = []
    for n in range(chance.randint(1, 5)):
        own = f"A{n}"
        checks = tuple(f"P{n}x{k}" for k in range(chance.choice((0, 0, 1, 1, 2))))
        for key in checks:
            parts[key] = _part(chance, key, _CHECK_STEPS, node=own)
        after = tuple(key for key in activities if chance.random() < 0.4)
        cascade = chance.random() < 0.4
        part = _part(chance, own, _ACTIVITY_STEPS)
        parts[own] = replace(part, after=after, checks=checks, cascade=cascade)
        activities.append(own)
    work = Work(parts, f"wg-{number}", chance.random() < 0.4)
    return replace(work, parts={key: _watched(chance, work, part) for key, part in parts.items()})


def _part(chance: random.Random, key: str, steps: tuple[str, ...], node: str | None = None) -> Part:
    script = tuple(chance.choice(steps) for _ in range(chance.randint(0, 4)))
    # More of these would only take more time.
    while script.count("silent") > 1 or script.count("hang") > 1:
        script = script[1:]
    # One that never holds is looked at ten times, not thirty.
    delay = 3 if "never" in script else chance.randint(1, 3)
    return Part(id=key, node=node, retries=chance.randint(0, 2), delay_minutes=delay, script=script)


def _watched(chance: random.Random, work: Work, part: Part) -> Part:
    """The part with alarms."""
    if work.is_free_to_cancel(part):
        return part
    actions = {
        event: tuple(chance.sample(_ACTIONS, chance.randint(1, 2)))
        for event in _EVENTS
        if chance.random() < 0.5
    }
    late_after = chance.choice([SOON if work.takes_long(part) else IN_YEARS, IN_YEARS, None])
    return replace(part, actions=actions, late_after=late_after)
