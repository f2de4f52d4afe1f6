"""The agent's journal on disk: one file for each hand-out, one line for each step.

A step is on the disk before the next one is done. A file exists from acceptance until the service
has taken the verdict (or refused it as superseded), so a restart knows what is owed, and a
hand-out that has a file, or is among the finished ones, is never run again. No task content is
written here, so no secret is.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from taskrunner.agent.ipc import verdicts
from taskrunner.agent.ipc.names import AttemptFiles, token_of
from taskrunner.agent.journal.reserve import Reserve, is_full
from taskrunner.errors import ConfigError
from taskrunner.host import durable
from taskrunner.logs import get_logger
from taskrunner.model.log_names import LOG_NAMES
from taskrunner.model.task import Task
from taskrunner.secret import Secret
from taskrunner.wire.api import Verdict

log = get_logger()

#: How many finished hand-outs are remembered, at least.
REMEMBERED = 10_000
#: What could not be made shorter is tried again after so many more.
_TRIM_AGAIN_AFTER = 1_000
#: A file that says nothing any more is kept under this name, for a person to look at.
_DAMAGED = ".damaged"
_ACCEPTANCE = frozenset({"taskId", "attemptId", "logDir", "scratch"})


@dataclass(slots=True, kw_only=True)
class Entry:
    """One hand-out's file."""

    path: Path
    task_id: str
    attempt_id: str
    files: AttemptFiles
    #: The attempt's process, once it was started: (pid, `process_start_id` it).
    process: tuple[int, str] | None = None
    verdict: Verdict | None = None
    logs_shipped: bool = False
    #: The parts of logs that may have been pushed while it ran: (log, first byte, end).
    parts: list[tuple[str, int, int]] = field(default_factory=list)
    #: Up to which byte each log is in the store, in parts.
    pushed: dict[str, int] = field(default_factory=dict)
    #: Logs that the task emptied: what they had before is in their parts, and nowhere else.
    begun_anew: set[str] = field(default_factory=set)
    _journal: Journal = field(repr=False)

    @property
    def token(self) -> str:
        """The hand-out's short name."""
        return self.path.stem

    @property
    def mark(self) -> str:
        """What its processes bear: another agent of this host may run a task of the same id."""
        return f"{self.token}-{token_of(str(self.path.parent))[:16]}"

    def started(self, pid: int, birth: str) -> None:
        """Record the process. Not synced: a power cut that loses it ends the process too."""
        self.process = (pid, birth)
        self._add({"step": "started", "pid": pid, "birth": birth}, sync=False)

    def exited(self, verdict: Verdict) -> None:
        """Record how it ended: from now on this is what the service will be told."""
        self.verdict = verdict
        self._add({"step": "exited", "verdict": verdicts.to_json(verdict)})

    def part_begun(self, name: str, start: int, end: int) -> None:
        """Record that a range of a log may be in the store from now on."""
        if (name, start, end) not in self.parts:
            self.parts.append((name, start, end))
            self._add({"step": "part", "log": name, "start": start, "end": end}, sync=False)

    def part_pushed(self, name: str, end: int) -> None:
        """Record that a log is in the store up to a byte."""
        self.pushed[name] = end
        self._add({"step": "pushed", "log": name, "end": end}, sync=False)

    def anew(self, name: str) -> None:
        """Record that the task began a log anew."""
        self.begun_anew.add(name)
        self._add({"step": "anew", "log": name}, sync=False)

    def shipped(self) -> None:
        """Record that the logs are pushed, or that nobody will try again."""
        self.logs_shipped = True
        self._add({"step": "shipped"}, sync=False)

    def close(self) -> None:
        """Remove the file and remember the hand-out as finished: nothing is left to send."""
        self._journal.forget(self)

    def withdraw(self) -> None:
        """Remove the file of a hand-out that was not begun; handed out again, it may run."""
        self.path.unlink(missing_ok=True)

    def _add(self, step: Mapping[str, object], *, sync: bool = True) -> None:
        try:
            self._journal.append(self.path, json.dumps(step), sync=sync)
        except OSError as error:
            # A full disk is no reason to let a verdict wait: it is told, if not promised.
            _not_written(self.path, error)


class Journal:
    """The folder of open hand-outs; one agent at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._finished_path = folder / "finished"
        self._reserve = Reserve(folder / "reserve")
        self._writing = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = self._take_lock()
        self._finished = self._read_finished()
        self._finished_lines = len(self._finished)
        self._trim_at = 2 * REMEMBERED

    def _take_lock(self) -> int:
        descriptor = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode(errors="replace") or "unknown"
            os.close(descriptor)
            message = (
                f"work folder {self._folder.parent}: in use by another agent (process {holder}); "
                "give each agent its own --work-dir"
            )
            raise ConfigError(message) from None
        with suppress(OSError):  # a full disk: the lock holds without, and the agent can say so
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        return descriptor

    def accept(self, task: Task, files: AttemptFiles) -> Entry | None:
        """Open a file for a hand-out; None when it was accepted before.

        Raises OSError when that cannot be written: then nothing is promised.
        """
        token = token_of(task.task_id)
        path = self._folder / f"{token}.jsonl"
        if token in self._finished or path.exists() or path.with_suffix(_DAMAGED).exists():
            return None
        entry = Entry(
            path=path, task_id=task.task_id, attempt_id=task.attempt_id, files=files, _journal=self
        )
        step = {
            "step": "accepted",
            "taskId": task.task_id,
            "attemptId": task.attempt_id,
            "logDir": str(files.log_dir),
            "scratch": str(files.scratch),
            "logUri": files.log_uri,
            "logUriIsSecret": isinstance(files.log_uri, Secret),
            "user": files.user,
            "logsAs": files.logs_as,
        }
        try:
            # A hand-out is taken only when there is room to tell of its end.
            self._reserve.make()
            durable.append_line(path, json.dumps(step))
        except OSError:
            entry.withdraw()
            raise
        return entry

    def append(self, path: Path, line: str, *, sync: bool = True) -> None:
        """Add a line about what was accepted before, on a full disk in the room kept for it."""
        try:
            durable.append_line(path, line, sync=sync)
        except OSError as error:
            if not (is_full(error) and self._reserve.give_up()):
                raise
            log.warning("the disk is full: the journal uses the room that was kept for it")
            durable.append_line(path, line, sync=sync)

    def open_entries(self) -> Iterator[Entry]:
        """Every hand-out for which something is owed, oldest first."""
        paths = sorted(self._folder.glob("*.jsonl"), key=lambda path: path.stat().st_mtime)
        for path in paths:
            try:
                data = path.read_bytes()
                entry = self._read(path, data)
            except OSError as error:
                log.error("journal: not readable", path=str(path), error=str(error))  # noqa: TRY400
                continue
            if entry is not None:
                yield entry
            elif b"\n" in data:
                # Whole lines, but none that says whose they are: not ours to throw away.
                damaged = path.rename(path.with_suffix(_DAMAGED))
                log.error("journal: damaged; what it held is not known", path=str(damaged))
            else:
                # Power went before the acceptance was on disk: nothing was acknowledged.
                path.unlink()

    def forget(self, entry: Entry) -> None:
        """Remember the hand-out as finished and remove its file."""
        with self._writing:
            self._finished[entry.token] = None
            try:
                self.append(self._finished_path, entry.token)
            except OSError as error:
                # Its file stays, and keeps the memory instead: the verdict is told once more.
                _not_written(self._finished_path, error)
                return
            self._finished_lines += 1
            if self._finished_lines > self._trim_at:
                self._trim()
        with suppress(OSError):
            entry.path.unlink()

    def close(self) -> None:
        """Let another agent use the folder."""
        os.close(self._lock)

    def _trim(self) -> None:
        recent = list(self._finished)[-REMEMBERED:]
        data = "".join(f"{token}\n" for token in recent).encode()
        try:
            durable.write_atomically(self._finished_path, data)
        except OSError as error:
            # A full disk: more is remembered than need be, which harms nobody.
            _not_written(self._finished_path, error)
            self._trim_at = self._finished_lines + _TRIM_AGAIN_AFTER
            return
        self._finished = dict.fromkeys(recent)
        self._finished_lines, self._trim_at = len(recent), 2 * REMEMBERED

    def _read_finished(self) -> dict[str, None]:
        with suppress(FileNotFoundError):
            return dict.fromkeys(self._finished_path.read_text(errors="replace").split())
        return {}

    def _read(self, path: Path, data: bytes) -> Entry | None:
        entry = None
        for step in _steps(data):
            if entry is None:
                entry = _accepted(self, path, step)
            else:
                _apply(entry, step)
        return entry


def _not_written(path: Path, error: OSError) -> None:
    log.error("journal: cannot be written", path=str(path), error=error.strerror)


def _steps(data: bytes) -> Iterator[dict[str, object]]:
    for line in data.split(b"\n"):
        # A line that is torn, by a power cut or a full disk, is a step that was not done.
        with suppress(ValueError, RecursionError):
            step = json.loads(line)
            if isinstance(step, dict):
                yield step


def _accepted(journal: Journal, path: Path, step: Mapping[str, object]) -> Entry | None:
    if not step.keys() >= _ACCEPTANCE:
        return None
    log_uri, user, logs_as = (step.get(key) for key in ("logUri", "user", "logsAs"))
    files = AttemptFiles(
        log_dir=Path(str(step["logDir"])),
        scratch=Path(str(step["scratch"])),
        log_uri=_text(log_uri, secret=step.get("logUriIsSecret") is True),
        user=user if isinstance(user, str) else None,
        logs_as=logs_as if isinstance(logs_as, str) else None,
    )
    return Entry(
        path=path,
        task_id=str(step["taskId"]),
        attempt_id=str(step["attemptId"]),
        files=files,
        _journal=journal,
    )


def _text(found: object, *, secret: bool) -> str | None:
    if not isinstance(found, str):
        return None
    return Secret(found) if secret else found


def _apply(entry: Entry, step: Mapping[str, object]) -> None:
    pid, birth, verdict = step.get("pid"), step.get("birth"), step.get("verdict")
    if isinstance(pid, int) and isinstance(birth, str):
        entry.process = (pid, birth)
    if isinstance(verdict, dict):
        with suppress(KeyError):
            entry.verdict = verdicts.from_json(verdict)
    name, start, end = step.get("log"), step.get("start"), step.get("end")
    if isinstance(name, str) and name in LOG_NAMES:
        if step.get("step") == "anew":
            entry.begun_anew.add(name)
        elif isinstance(start, int) and isinstance(end, int):
            entry.parts.append((name, start, end))
        elif isinstance(end, int):
            entry.pushed[name] = end
    if step.get("step") == "shipped":
        entry.logs_shipped = True
