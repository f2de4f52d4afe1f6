"""The one judge of a storm: what must hold of the store, the effects and the outputs afterwards.

It believes the store's triggers, the tasks' own traces and the outputs, and the API for what the
client sees; it never asks the code under test whether that did well.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.chaos.audit import Change
from tests.chaos.work import Effect, token_of

__all__ = ["Evidence", "Violation", "check", "overlaps"]

_ATTEMPT_ENDS = {"FINISHED", "FAILED", "TIMEDOUT", "CANCELED"}
_INSTANCE_ENDS = _ATTEMPT_ENDS | {"CASCADE_FAILED", "SKIPPED"}
#: The end of a killed agent reaches what ran under it well within this, on a busy machine too.
_ORPHANS_GONE_S = 5.0

Key = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A promise that was broken."""

    invariant: str
    text: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handout:
    """A row of the store's hand-outs."""

    task_id: str
    attempt: Key
    #: The agent's life that polled it.
    host: str
    state: str


@dataclass(slots=True, kw_only=True)
class Evidence:
    """All that is known of a run that is over."""

    #: How many tasks there were to be.
    expected: int
    #: What the API says of each instance (pipeline and instance id).
    statuses: Mapping[Key, str]
    changes: Sequence[Change]
    handouts: Sequence[Handout]
    effects: Sequence[Effect]
    #: Finished instances without an output, or with one that is not whole.
    bad_outputs: Mapping[Key, str]
    #: Outputs that a reader saw half-written.
    torn: Mapping[str, int]
    #: When each agent's life was ended by kill -9, on the wall clock.
    killed: Mapping[str, float]
    #: Lives that were paused: what they do late is judged by the fence alone.
    paused: frozenset[str] = frozenset()
    #: Whether every task must have been run once only: nothing but replies was lost.
    single: bool = False
    tokens: Mapping[str, Handout] = field(init=False)

    def __post_init__(self) -> None:
        self.tokens = {token_of(handout.task_id): handout for handout in self.handouts}


def check(evidence: Evidence) -> list[Violation]:
    """Every violation of A1 to A5."""
    found = [
        *_one_end(evidence),
        *_one_verdict(evidence),
        *_effects(evidence),
        *_orphans(evidence),
        *_outputs(evidence),
    ]
    return [Violation(invariant=invariant, text=text) for invariant, text in found]


Findings = Iterator[tuple[str, str]]


def _one_end(evidence: Evidence) -> Findings:
    """A1: every task there, at its end, which is success, and which came once."""
    if len(evidence.statuses) != evidence.expected:
        yield "A1", f"{len(evidence.statuses)} tasks, expected {evidence.expected}"
    for key, status in evidence.statuses.items():
        if status != "FINISHED":
            yield "A1", f"{key[1]} is {status}"
    ends = _ends(evidence.changes, "instances", _INSTANCE_ENDS)
    for key in evidence.statuses:
        if len(ends[key]) != 1:
            yield "A1", f"{key[1]} came to {len(ends[key])} ends: {ends[key]}"
    attempts = {c.key: c.after for c in evidence.changes if c.what == "attempts"}
    for key, status in attempts.items():
        if status not in _ATTEMPT_ENDS:
            yield "A1", f"{key[1]} is still {status}"


def _one_verdict(evidence: Evidence) -> Findings:
    """A3: an end is final, and what a superseded hand-out says changes nothing."""
    ends = _ends(evidence.changes, "attempts", _ATTEMPT_ENDS)
    for key, states in ends.items():
        if len(states) > 1:
            yield "A3", f"{key[1]} came to {len(states)} ends: {states}"
    finished: collections.Counter[Key] = collections.Counter()
    for (pipeline, attempt), states in ends.items():
        finished[pipeline, attempt.rpartition("_Attempt=")[0]] += states.count("FINISHED")
    for key, times in finished.items():
        if times > 1:
            yield "A3", f"{key[1]} was finished {times} times"
    for change in evidence.changes:
        if change.what == "handouts" and change.before in {"DONE", "SUPERSEDED"}:
            yield "A3", f"hand-out of {change.key} went from {change.before} to {change.after}"


def _ends(
    changes: Sequence[Change], what: str, ends: set[str]
) -> collections.defaultdict[Key, list[str]]:
    found: collections.defaultdict[Key, list[str]] = collections.defaultdict(list)
    for change in changes:
        if change.what == what and change.after in ends:
            found[change.key].append(change.after)
    return found


def _effects(evidence: Evidence) -> Findings:
    """A2: an attempt's work is begun and done once at the most; success has its effect.

    Two attempts of a task may both have had their effect: the first was done when its runner
    died before it could say so.
    """
    times: collections.Counter[tuple[str, Key]] = collections.Counter()
    acknowledged = {c.key[1] for c in evidence.changes if c.after == "RUNNING"}
    for effect in evidence.effects:
        handout = evidence.tokens.get(effect.token)
        if handout is None:
            yield "A2", f"{effect} is of no hand-out"
            continue
        times[effect.kind, handout.attempt] += 1
        if effect.kind == "S" and handout.task_id not in acknowledged:
            yield "A5", f"{handout.attempt[1]} ran for a hand-out that was never acknowledged"
    for (kind, attempt), count in times.items():
        if count > 1:
            yield "A2", f"{attempt[1]}: {kind} {count} times"
    done = {attempt for (kind, attempt) in times if kind == "D"}
    for change in evidence.changes:
        finished = change.what == "attempts" and change.after == "FINISHED"
        if finished and "@Work_" in change.key[1] and change.key not in done:
            yield "A2", f"{change.key[1]} is FINISHED without its effect"
    if evidence.single:
        yield from _single(evidence)


def _single(evidence: Evidence) -> Findings:
    begun: collections.Counter[Key] = collections.Counter()
    for effect in evidence.effects:
        handout = evidence.tokens.get(effect.token)
        if effect.kind == "S" and handout is not None:
            pipeline, attempt = handout.attempt
            begun[pipeline, attempt.rpartition("_Attempt=")[0]] += 1
    for key, count in begun.items():
        if count > 1:
            yield "A4", f"{key[1]} was run {count} times, though its runner lived"


def _orphans(evidence: Evidence) -> Findings:
    """A1: nobody works on for a runner that is dead."""
    for effect in evidence.effects:
        handout = evidence.tokens.get(effect.token)
        died = evidence.killed.get(handout.host) if handout else None
        if died is not None and effect.at > died + _ORPHANS_GONE_S:
            late = effect.at - died
            yield "A7", f"{effect.kind} of {effect.token} {late:.1f} s after its agent was killed"


def _outputs(evidence: Evidence) -> Findings:
    for key, problem in evidence.bad_outputs.items():
        yield "OUTPUT", f"{key[1]}: {problem}"
    for name, size in evidence.torn.items():
        yield "OUTPUT", f"{name} was seen half-written, with {size} bytes"


def overlaps(evidence: Evidence) -> int:
    """How often an attempt went on while the next one of its task had begun.

    That happens to a holder that was paused past its lease, and is no violation: only what is
    done with an attempt's result can be fenced.
    """
    newest: dict[Key, int] = {}
    late = set()
    for effect in evidence.effects:
        handout = evidence.tokens.get(effect.token)
        if handout is None:
            continue
        pipeline, attempt = handout.attempt
        instance, _, number = attempt.rpartition("_Attempt=")
        key = (pipeline, instance)
        newest[key] = max(newest.get(key, 0), int(number))
        if int(number) < newest[key]:
            late.add(handout.attempt)
    return len(late)
