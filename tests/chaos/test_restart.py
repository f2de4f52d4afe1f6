"""A8: an agent that is killed between a child's end and its report repeats nothing, loses nothing.

Chains of agents share a work folder. Each settles what the last one owed, takes a new task, and is
killed at a step of it; now and then the next one is killed while it settles that, too.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pytest

from tests.chaos.failpoints import AFTER_EXIT, BEFORE_EXIT, command
from tests.chaos.scale import Chaos
from tests.integration.agent_harness import (
    AgentProcess,
    FakeService,
    running_agent,
    task_json,
    wait_for,
)

CHAINS = 3
KILLED = -signal.SIGKILL


@dataclass
class Trial:
    """One hand-out, and how often its agents were killed over it."""

    task_id: str
    step: str
    effects: Path
    kills: int = 0
    told: list[tuple[str | None, ...]] = field(default_factory=list)

    @property
    def command(self) -> str:
        ends = "exec sleep 100" if self.step in BEFORE_EXIT else f"echo {self.task_id} >&2; exit 3"
        return f"echo began >> {self.effects}; {ends}"

    @property
    def starts(self) -> int:
        """How often the child was started."""
        return len(self.effects.read_text().split()) if self.effects.exists() else 0

    def faults(self) -> list[str]:
        """What is wrong with how it went."""
        found = [] if self.kills else ["the fault did not fire"]
        cut_short = self.step in BEFORE_EXIT
        if self.starts != 1 and not (cut_short and self.starts == 0):
            found.append(f"the child was started {self.starts} times")
        error = "TaskRunner.Interrupted" if cut_short else "CommandFailed"
        text = "the task runner stopped" if cut_short else f"command exited with 3: {self.task_id}"
        right = [t[:2] == ("FAILED", error) and str(t[2]).startswith(text) for t in self.told]
        if not right or not all(right):
            found.append(f"told {self.told}")
        return [f"{self.task_id}, killed at {self.step!r}: {fault}" for fault in found]


class Chain:
    """One work folder, and the agents that come and go over it."""

    options: ClassVar[Sequence[str]] = ("--log-uri", "s3://bucket/logs")

    def __init__(self, folder: Path, seed: int, without: str = "-") -> None:
        self.folder, self.chance, self.without = folder, random.Random(seed), without
        self.service = FakeService()
        self.trials: list[Trial] = []

    def live(self, steps: Sequence[str]) -> list[Trial]:
        """One trial a step."""
        try:
            for step in steps:
                self._kill_at(step)
            self._settle()
        finally:
            self.service.close()
        return self.trials

    def begin(self, step: str) -> Trial:
        number = len(self.trials)
        name = f"{uuid.uuid4().hex}-{number}"
        self.trials.append(Trial(name, step, self.folder / f"effects-{number}"))
        return self.trials[-1]

    def _kill_at(self, step: str) -> None:
        trial = self.begin(step)
        with self.agent(program=command(step, trial.task_id, self.without)) as agent:
            self.service.tasks.put(task_json(trial.task_id, trial.command))
            trial.kills += agent.wait() == KILLED
        while self.chance.random() < 0.2:
            # Killed over it once more, or, when it has gone past that step, when all is settled.
            again = command(self.chance.choice(list(AFTER_EXIT)), trial.task_id, self.without)
            with self.agent(program=again, wait=False) as agent:
                self.await_end_or_peace(agent, trial)
                agent.process.kill()
                trial.kills += agent.wait() == KILLED

    def _settle(self) -> None:
        """The last agent settles what is owed; and the same hand-outs again are not run again."""
        owed = {path.stem for path in self.owed()}
        for folder in self.scratch():
            # Of a dead agent. The next one removes it within a minute, while the same hand-out,
            # whose folder has the same name, may run again.
            if folder.name.rpartition("-")[2] not in owed:
                shutil.rmtree(folder)
        program = ("taskrunner",) if self.without == "-" else ("tests.chaos.mutants", self.without)
        with self.agent(program=program) as agent:
            wait_for("peace", lambda: not self.owed() and not self.scratch())
            for trial in self.trials:
                self.service.tasks.put(task_json(trial.task_id, trial.command))
            self.service.tasks.put(task_json("last", "true"))
            self.service.verdict("last")
            agent.signal(signal.SIGTERM)
            assert agent.wait() == 0
        for trial in self.trials:
            trial.told = [
                (call["taskStatus"], call.get("errorId"), call.get("errorMessage"))
                for call in self.service.calls("SetTaskStatus", trial.task_id)
            ]

    @contextmanager
    def agent(
        self,
        *,
        program: Sequence[str] = ("taskrunner",),
        under: Sequence[str] = (),
        wait: bool = True,
    ) -> Iterator[AgentProcess]:
        """An agent; with `wait`, one that has asked for work: no poll of the last one is left."""
        polls = len(self.service.calls("PollForTask"))
        options = (*self.options, "--tasks", "1")
        with running_agent(
            self.service, self.folder, *options, program=program, under=under
        ) as agent:
            if wait:
                self.service.wait("a poll", lambda: len(self.service.calls("PollForTask")) > polls)
            yield agent

    def owed(self) -> list[Path]:
        return list((self.folder / "work" / "journal").glob("*.jsonl"))

    def scratch(self) -> list[Path]:
        return list((self.folder / "work" / "output" / "tmp").glob("*"))

    def await_end_or_peace(self, agent: AgentProcess, trial: Trial) -> None:
        def told() -> bool:
            return bool(self.service.calls("SetTaskStatus", trial.task_id)) and not self.owed()

        wait_for("its end", lambda: agent.process.poll() is not None or told())


def _plan(chaos: Chaos) -> list[str]:
    """Every step as often as is wanted, in a random order."""
    steps = [*BEFORE_EXIT, *AFTER_EXIT] * chaos.trials(1, 50)
    chaos.random.shuffle(steps)
    return steps


def test_a_killed_agent_repeats_no_hand_out_and_tells_the_stored_result(
    chaos: Chaos, tmp_path: Path
) -> None:
    steps = _plan(chaos)
    chains = [Chain(tmp_path / f"chain{n}", chaos.random.randrange(1 << 32)) for n in range(CHAINS)]
    with ThreadPoolExecutor(CHAINS) as pool:
        lives = [pool.submit(c.live, steps[n::CHAINS]) for n, c in enumerate(chains)]
        trials = [trial for life in lives for trial in life.result()]
    faults = [fault for trial in trials for fault in trial.faults()]
    kills = sum(trial.kills for trial in trials)
    chaos.found(
        "A8",
        f"{kills} kills at {len(AFTER_EXIT) + len(BEFORE_EXIT)} steps of {len(trials)} hand-outs, "
        f"{len(faults)} repeated, lost or told wrong",
    )
    assert faults == []


@pytest.mark.parametrize(
    ("without", "step", "fault"),
    [
        ("end-not-journaled", "telling", "told [('FAILED', 'TaskRunner.Interrupted'"),
        ("hand-outs-forgotten", "told", "the child was started 2 times"),
    ],
)
def test_it_is_the_journal_that_does_it(
    tmp_path: Path, without: str, step: str, fault: str
) -> None:
    (trial,) = Chain(tmp_path / "chain", seed=1, without=without).live([step])
    assert any(fault in found for found in trial.faults()), trial


class Flushes(Chain):
    """Agents that strace kills as they ask for the n-th flush to the disk in one thread."""

    #: What pushes logs is not to be killed at its own flushes.
    options: ClassVar[Sequence[str]] = ()

    def kill_at_each(self) -> list[Trial]:
        """All flushes of a hand-out in turn, and for each all those of the next agent."""
        try:
            flush = 1
            while self._hand_out(flush):
                flush += 1
            self._settle()
        finally:
            self.service.close()
        return self.trials

    def _hand_out(self, flush: int) -> bool:
        trial = self.begin("flush")
        with self.agent(under=_killing(flush)) as agent:
            self.service.tasks.put(task_json(trial.task_id, trial.command))
            self.await_end_or_peace(agent, trial)
            trial.kills += _end(agent)
        again = 1
        while self.owed():
            with self.agent(under=_killing(again), wait=False) as agent:
                self.await_end_or_peace(agent, trial)
                trial.kills += _end(agent)
            again += 1
        return trial.kills > 0


def _killing(flush: int) -> Sequence[str]:
    inject = f"inject=fsync,fdatasync:signal=KILL:when={flush}"
    return ("strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", inject)


def _end(agent: AgentProcess) -> int:
    """End it, if need be, with the agent that it runs; whether it had been killed."""
    killed = agent.process.poll() is not None
    with suppress(ProcessLookupError):
        os.killpg(agent.process.pid, signal.SIGKILL)
    agent.wait()
    return killed


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_killed_at_any_flush_to_the_disk_it_repeats_nothing(chaos: Chaos, tmp_path: Path) -> None:
    if not chaos.full:
        pytest.skip("in the full form only: it takes a dozen agents, one after the other")
    trials = Flushes(tmp_path / "chain", seed=1).kill_at_each()
    *killed, whole = trials
    kills = sum(trial.kills for trial in killed)
    chaos.found("A8", f"{kills} kills, at each flush to the disk in {len(killed)} hand-outs")
    assert len(killed) >= 3
    assert whole.kills == 0
    for trial in killed:
        assert trial.starts <= 1
        # At the first flush nothing was acknowledged yet, and nothing need be told.
        ended = {tuple(told[:2]) for told in trial.told}
        if trial.starts or trial is not killed[0]:
            assert len(ended) == 1, trial
        assert ended <= {("FAILED", "CommandFailed"), ("FAILED", "TaskRunner.Interrupted")}
