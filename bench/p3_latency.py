"""P3: from work that is ready to the first instruction of its command, beside two job queues.

Every command appends the moment at which its shell runs it to a file. Ours counts from the
`ready_at` that the service writes in the transaction that makes the work ready; the peers' from
just before their client is asked to queue the job. All three are idle and wait when it comes, and
take turns, so that whatever else this machine does hits all of them.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path

from bench import harness
from bench.harness import Figure
from tests import servers

ROUNDS = 200
MEDIAN_MS, P99_MS = 30.0, 150.0
#: Between two pieces of work; what the last one left to do is done by then.
PAUSE_S = 0.04
PEERS = Path(__file__).resolve().parents[1] / ".venv-bench" / "bin"
SCRIPTS = Path(__file__).with_name("peers")


class Starts:
    """The file in which commands note when they began."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    def command(self, number: int) -> str:
        """A builtin of the shell: no program is started first."""
        return f'echo {number} "$EPOCHREALTIME" >> {self.path}'

    def read(self) -> dict[int, float]:
        lines = self.path.read_text().splitlines()
        return {int(line.split()[0]): float(line.split()[1]) for line in lines}

    def wait(self, count: int) -> None:
        harness.until(f"{count} commands of {self.path.name}", lambda: len(self.read()) >= count)


class Peer:
    """A job queue: its worker runs, its client waits for commands to queue."""

    def __init__(self, name: str, client: subprocess.Popen[str], starts: Starts) -> None:
        self.name = name
        self.starts = starts
        self.queued: dict[int, float] = {}
        self._client = client
        self._answer()

    def queue(self, number: int) -> None:
        assert self._client.stdin is not None
        self._client.stdin.write(self.starts.command(number) + "\n")
        self._client.stdin.flush()
        self.queued[number] = float(self._answer())

    def _answer(self) -> str:
        assert self._client.stdout is not None
        return self._client.stdout.readline()


Start = Callable[[Path], AbstractContextManager[Peer]]


def measure(rounds: int = ROUNDS, *, beside: Sequence[Start] | None = None) -> Iterator[Figure]:
    """With `beside` only these peers are measured."""
    with ExitStack() as stack:
        home = stack.enter_context(harness.folder())
        peers, missing = _peers(stack, home, PEER_STARTS if beside is None else beside)
        service = stack.enter_context(harness.service(home))
        ours = Starts(home / "ours")
        pipelines = [
            service.pipeline(f"p3-{number}", "bench", [ours.command(number)])
            for number in range(rounds)
        ]
        stack.enter_context(harness.agent(home, service.url))
        asked = {}
        for number, pipeline in enumerate(pipelines):
            asked[number] = time.time()
            service.activate(pipeline)
            ours.wait(number + 1)
            time.sleep(PAUSE_S)
            for peer in peers:
                peer.queue(number)
                peer.starts.wait(number + 1)
                time.sleep(PAUSE_S)
        ready = service.ready_at()
        began = ours.read()
        since_ready = [began[n] - ready[pipeline] for n, pipeline in enumerate(pipelines)]
        since_call = [began[n] - asked[n] for n in range(rounds)]
        waits = {peer.name: _waits(peer) for peer in peers}
    yield _ours(since_ready)
    what = "the same from the call that activates the pipeline, planning included"
    yield Figure(id="P3", what=what, measured=_text(since_call))
    for name, values in waits.items():
        ratio = statistics.median(since_ready) / statistics.median(values)
        measured = f"{_text(values)} (ours is {ratio:.2f} x its median)"
        yield Figure(
            id="P3", what=f"peer {name}: queued to the same instruction", measured=measured
        )
    for reason in missing:
        yield Figure(id="P3", what="a peer is missing", measured=reason)


def _ours(values: list[float]) -> Figure:
    median, worst = 1000 * statistics.median(values), 1000 * harness.percentile(values, 99)
    return Figure(
        id="P3",
        what=f"ready in the service to the command's first instruction ({len(values)} tasks)",
        measured=_text(values),
        goal=f"median <= {MEDIAN_MS:.0f} ms, p99 <= {P99_MS:.0f} ms",
        met=median <= MEDIAN_MS and worst <= P99_MS,
    )


def _text(values: list[float]) -> str:
    median, worst = 1000 * statistics.median(values), 1000 * harness.percentile(values, 99)
    return f"median {median:.1f} ms, p99 {worst:.1f} ms"


def _waits(peer: Peer) -> list[float]:
    began = peer.starts.read()
    return [began[number] - at for number, at in peer.queued.items()]


def _peers(stack: ExitStack, home: Path, starts: Sequence[Start]) -> tuple[list[Peer], list[str]]:
    """Those that can be run here, and why the others cannot."""
    found, missing = [], []
    for start in starts:
        try:
            found.append(stack.enter_context(start(home)))
        except (servers.ServerMissing, FileNotFoundError, TimeoutError) as error:
            missing.append(str(error))
    return found, missing


@contextmanager
def _procrastinate(home: Path) -> Iterator[Peer]:
    _need(PEERS / "procrastinate")
    worker = ["procrastinate", "-a", "with_procrastinate.app", "worker", "--concurrency", "4"]
    with (
        servers.postgresql() as url,
        _peer("procrastinate (PostgreSQL)", "with_procrastinate", worker, url, home) as peer,
    ):
        yield peer


@contextmanager
def _celery(home: Path) -> Iterator[Peer]:
    _need(PEERS / "celery")
    server = shutil.which("redis-server")
    if server is None:
        raise FileNotFoundError("redis-server is not installed (package redis-server)")
    port = harness.free_port()
    command = [server, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(home)]
    with harness.running([*command, "--save", ""], home=home, log=home / "redis.log"):
        worker = ["celery", "-A", "with_celery", "worker", "-c", "4", "--loglevel", "WARNING"]
        url = f"redis://127.0.0.1:{port}/0"
        with _peer("Celery (Redis)", "with_celery", worker, url, home) as peer:
            yield peer


@contextmanager
def _peer(name: str, module: str, worker: list[str], url: str, home: Path) -> Iterator[Peer]:
    starts = Starts(home / module)
    environ = _environment(home, url)
    client_command = [str(PEERS / "python"), str(SCRIPTS / "client.py"), module]
    with ExitStack() as stack:
        log = stack.enter_context((home / f"{module}.log").open("ab"))
        peer = Peer(name, stack.enter_context(_process(client_command, environ, None)), starts)
        # It finds its tables, since the client has made them.
        stack.enter_context(_process([str(PEERS / worker[0]), *worker[1:]], environ, log.fileno()))
        # The first job finds out whether the worker is there at all.
        peer.queue(-1)
        starts.wait(1)
        starts.path.write_text("")
        peer.queued.clear()
        yield peer


@contextmanager
def _process(
    command: list[str], environ: dict[str, str], output: int | None
) -> Iterator[subprocess.Popen[str]]:
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        command, env=environ, stdin=pipe, stdout=output or pipe, stderr=output, text=True
    )
    try:
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.wait()
        for pipe_end in (process.stdin, process.stdout):
            if pipe_end is not None:
                with suppress(OSError):
                    pipe_end.close()


def _environment(home: Path, url: str) -> dict[str, str]:
    path = os.pathsep.join([str(PEERS), os.environ["PATH"]])
    return {"PATH": path, "HOME": str(home), "PEER_URL": url, "PYTHONPATH": str(SCRIPTS)}


def _need(program: Path) -> None:
    if not program.exists():
        raise FileNotFoundError(f"{program.name} is not installed: run `make bench`")


PEER_STARTS: Sequence[Start] = (_procrastinate, _celery)
