"""What the measurements C1 to C9 share: programs in turns, their time, CPU time and memory.

How large they are is set by TASKRUNNER_BENCH_ROWS (5,000,000 is what the goals are for; 1,000,000
do for a look) and TASKRUNNER_BENCH_ROUNDS. Ours is `taskrunner copy`, a process as an attempt's
is one. Wall times are of little worth on a machine that does other things; so each line has the
ratio of CPU times, too: of the client's processes, as the kernel counts them, not of the servers'.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import harness
from bench.harness import Figure

ROWS = int(os.environ.get("TASKRUNNER_BENCH_ROWS", "5000000"))
ROUNDS = int(os.environ.get("TASKRUNNER_BENCH_ROUNDS", "3"))
PEERS = Path(__file__).resolve().parents[1] / ".venv-bench" / "bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of one program, or of a pipeline of some."""

    wall_s: float
    cpu_s: float
    #: Of the largest single process.
    rss_mb: float


def run(command: Sequence[str] | str, home: Path, **environ: str) -> Run:
    """Run a program, or a script of Bash's, to its end; raises ValueError when it fails."""
    if isinstance(command, str):
        command = ["/bin/bash", "-e", "-o", "pipefail", "-c", command]
    log = home / "run.log"
    with log.open("wb") as output:
        begin = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**harness.clean_environment(home), **environ},
        )
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise ValueError(f"{command}: exit code {process.returncode}: {log.read_text()[-500:]}")
    return Run(wall_s=wall, cpu_s=used.ru_utime + used.ru_stime, rss_mb=used.ru_maxrss * 1024 / 1e6)


def ours(source: str, target: str, home: Path, *options: str) -> Run:
    """`taskrunner copy`."""
    return run(
        [*(harness.program("taskrunner"), "copy", "--quiet", source, target), *options], home
    )


@dataclass(frozen=True, slots=True)
class Contest:
    """Ours and its peers, which took turns."""

    runs: Mapping[str, Sequence[Run]]

    def ratio(self, peer: str, what: Callable[[Run], float], *, mine: str = "ours") -> float:
        """The median over the rounds of ours to the peer's."""
        pairs = zip(self.runs[mine], self.runs[peer], strict=True)
        return statistics.median(what(one) / what(other) for one, other in pairs)

    def median(self, name: str, what: Callable[[Run], float]) -> float:
        """The median over the rounds."""
        return statistics.median(map(what, self.runs[name]))

    def slower(self, id_: str, peer: str, most: float, *, mine: str = "ours") -> Figure:
        """A goal of so many times the peer's wall time at most."""
        return Figure(
            id=id_,
            what=f"{mine} to {peer}",
            measured=self._told(peer, mine),
            goal=f"<= {most} x",
            met=self.ratio(peer, wall, mine=mine) <= most,
        )

    def faster(self, id_: str, peer: str, least: float) -> Figure:
        """A goal of being so many times as fast as the peer, at least."""
        times = 1 / self.ratio(peer, wall)
        of_cpu = 1 / self.ratio(peer, cpu)
        measured = f"{times:.2f} times as fast ({of_cpu:.2f} by CPU time); {self._told(peer)}"
        return Figure(
            id=id_,
            what=f"ours to {peer}",
            measured=measured,
            goal=f">= {least} times as fast",
            met=times >= least,
        )

    def memory(self, id_: str, most_mb: float) -> Figure:
        """A goal of so much memory at most."""
        peak = max(run.rss_mb for run in self.runs["ours"])
        return Figure(
            id=id_,
            what="memory (RSS) of ours",
            measured=f"at most {peak:.0f} MB",
            goal=f"< {most_mb:.0f} MB",
            met=peak < most_mb,
        )

    def _told(self, peer: str, mine: str = "ours") -> str:
        return (
            f"{self.median(mine, wall):.2f} s to {self.median(peer, wall):.2f} s = "
            f"{self.ratio(peer, wall, mine=mine):.2f} x; CPU {self.median(mine, cpu):.2f} s to "
            f"{self.median(peer, cpu):.2f} s = {self.ratio(peer, cpu, mine=mine):.2f} x"
        )


def wall(run: Run) -> float:
    """The time that it took."""
    return run.wall_s


def cpu(run: Run) -> float:
    """The CPU time of the client's side."""
    return max(run.cpu_s, 1e-3)


def contest(rounds: int = ROUNDS, **programs: Callable[[], Run]) -> Contest:
    """Run each in turn, so many times; one of them is called `ours`."""
    runs: dict[str, list[Run]] = {name: [] for name in programs}
    for _ in range(rounds):
        for name, program in programs.items():
            runs[name].append(program())
            print(f"    {name}: {runs[name][-1]}", file=sys.stderr, flush=True)
    return Contest(runs)


def aws(*arguments: str, endpoint: str) -> str:
    """`aws s3 cp` as part of a script."""
    program = harness.program("aws")
    return f"{program} s3 cp --only-show-errors --endpoint-url {endpoint} {' '.join(arguments)}"
