"""A small Data Pipeline service over real HTTP, and a real agent process working against it."""

from __future__ import annotations

import collections
import json
import os
import queue
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol

from taskrunner.agent.operations.control import ask
from taskrunner.clock import SystemClock
from taskrunner.errors import TaskrunnerError

PATIENCE_S = 60.0


def task_json(
    task_id: str,
    command: str,
    *,
    fields: Mapping[str, Any] | None = None,
    objects: Mapping[str, Mapping[str, Any]] | None = None,
    kind: str = "ShellCommandActivity",
) -> dict[str, Any]:
    """A task as PollForTask returns it; a {"ref": id} value becomes a reference."""
    instance = "@Work_2026-02-13T02:00:00"
    attempt = f"{instance}_Attempt=1"
    own: dict[str, Any] = {
        "type": kind,
        "command": command,
        "parent": {"ref": "Work"},
        "@componentParent": {"ref": "Work"},
        "@instanceParent": {"ref": instance},
        "@sphere": "ATTEMPT",
        **(fields or {}),
    }
    if own["command"] == "":
        del own["command"]
    return {
        "taskId": task_id,
        "pipelineId": "df-test",
        "attemptId": attempt,
        "objects": {
            id_: {"id": id_, "name": id_, "fields": list(_fields(values))}
            for id_, values in {attempt: own, **(objects or {})}.items()
        },
    }


def _fields(values: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    for key, value in values.items():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict):
                yield {"key": key, "refValue": item["ref"]}
            else:
                yield {"key": key, "stringValue": item}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_args: object) -> None:
        """A client that was killed has hung up."""


class FakeService:
    """The four runner operations; tests put tasks in and wait for what comes back."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.tasks: queue.Queue[dict[str, Any]] = queue.Queue()
        #: Tasks by worker group, in place of `tasks`, once there is a group in it.
        self.by_group: dict[str, queue.Queue[dict[str, Any]]] = {}
        self.canceled: set[str] = set()
        self.superseded: set[str] = set()
        #: While set, calls named here are answered with HTTP 503.
        self.down: set[str] = set()
        self.refuse_all = False
        #: Calls named here are refused for want of permission.
        self.refused: set[str] = set()
        self.terminate = False
        #: While set, no call is answered.
        self.hung = False
        self.events: list[tuple[str, dict[str, Any]]] = []
        #: By which names the programs that called go.
        self.programs: set[str] = set()
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._server = _Server((host, 0), self._handler())
        self.url = f"http://{host}:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._stop.set()
        self._server.shutdown()
        self._server.server_close()

    def wait(self, what: str, holds: Callable[[], Any]) -> Any:
        """Wait until `holds` is true of what was recorded; returns its value."""
        with self._changed:
            found = self._changed.wait_for(holds, PATIENCE_S)
        seen = collections.Counter(name for name, _ in self.events)
        assert found, f"waited in vain for {what}; seen: {dict(seen)}"
        return found

    def calls(self, operation: str, task_id: str | None = None) -> list[dict[str, Any]]:
        return [
            body
            for name, body in list(self.events)
            if name == operation and task_id in {None, body.get("taskId")}
        ]

    def verdict(self, task_id: str) -> dict[str, Any]:
        """Wait for the task's SetTaskStatus."""
        calls: list[dict[str, Any]] = self.wait(
            f"the verdict of {task_id}", lambda: self.calls("SetTaskStatus", task_id)
        )
        return calls[0]

    def _poll(self, connection: socket.socket) -> dict[str, Any]:
        return self._poll_of(connection, self.tasks)

    def _poll_of(
        self, connection: socket.socket, tasks: queue.Queue[dict[str, Any]]
    ) -> dict[str, Any]:
        # A poller that was killed must not be given what the next one waits for.
        while not (self._stop.is_set() or _gone(connection)):
            try:
                task = tasks.get(timeout=0.05)
            except queue.Empty:
                continue
            if not _gone(connection):
                return {"taskObject": task}
            tasks.put(task)
        return {}

    def _answer(
        self, operation: str, body: dict[str, Any], connection: socket.socket
    ) -> tuple[int, dict[str, Any]]:
        while self.hung and not self._stop.wait(0.05):
            continue
        if self.refuse_all or operation in self.refused:
            return 400, {"__type": "AccessDeniedException", "message": "not you"}
        if operation in self.down:
            return 503, {"__type": "ServiceUnavailable", "message": "later"}
        with self._changed:
            self.events.append((operation, body))
            self._changed.notify_all()
        if body.get("taskId") in self.superseded:
            return 400, {"__type": "TaskNotFoundException", "message": "superseded"}
        if operation == "PollForTask" and body["workerGroup"] in self.by_group:
            return 200, self._poll_of(connection, self.by_group[body["workerGroup"]])
        if operation == "PollForTask":
            return 200, self._poll(connection)
        answers = {
            "ReportTaskProgress": {"canceled": body.get("taskId") in self.canceled},
            "ReportTaskRunnerHeartbeat": {"terminate": self.terminate},
        }
        return 200, answers.get(operation, {})

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Head and body in one packet: two would wait for each other's acknowledgement.
            wbufsize = -1

            def do_POST(self) -> None:
                operation = self.headers["X-Amz-Target"].rpartition(".")[2]
                service.programs.add(self.headers["User-Agent"].partition("/")[0])
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, answer = service._answer(operation, body, self.connection)
                raw = json.dumps(answer).encode()
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", "application/x-amz-json-1.1")
                    self.send_header("Content-Length", str(len(raw)))
                    self.end_headers()
                    self.wfile.write(raw)
                    self.wfile.flush()
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            def log_message(self, *_args: object) -> None:
                """Quiet."""

        return Handler


class HasUrl(Protocol):
    """A service at an address."""

    url: str


def _gone(connection: socket.socket) -> bool:
    """Whether a poller that has sent all of its request has ended, or cut the line."""
    # Not select(), which knows no descriptor above 1,023.
    looking = select.poll()
    looking.register(connection, select.POLLIN)
    return bool(looking.poll(0))


class AgentProcess:
    """`taskrunner --worker-group ...` as a process of its own."""

    def __init__(
        self,
        service: HasUrl,
        folder: Path,
        *options: str,
        s3_root: bool = True,
        program: Sequence[str] = ("taskrunner",),
        environ: Mapping[str, str] | None = None,
        under: Sequence[str] = (),
    ) -> None:
        """`program` is a module that becomes `taskrunner`, with the arguments it takes itself.

        `environ` adds variables; the fixed credentials give way to an AWS_CONFIG_FILE. `under` is
        a program that runs it, such as strace.
        """
        self.work_dir = folder / "work"
        self.s3 = folder / "s3"
        self._log_path = folder / "agent.log"
        given = dict(environ or {})
        key = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "agent-secret-key"}
        variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "AWS_EC2_METADATA_DISABLED": "true",
            **({} if "AWS_CONFIG_FILE" in given else key),
            **given,
        }
        argv = [*under, sys.executable, "-m", *program, "--worker-group", "wg"]
        argv += ["--endpoint", service.url, "--work-dir", str(self.work_dir)]
        argv += ["--s3-root", str(self.s3)] if s3_root else []
        argv += ["--progress-interval", "0.2", "--kill-grace", "3", "--allow-root"]
        with self._log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [*argv, "--log-format", "json", *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=variables,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        return self._log_path.read_text()

    def status(self) -> str:
        """What it says of itself; for a person who looks for what went wrong."""
        try:
            return json.dumps(ask(self.work_dir, "status"), indent=1)
        except (OSError, TaskrunnerError) as error:
            return str(error)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        return self.process.wait(PATIENCE_S)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            self.wait()


@contextmanager
def running_agent(
    service: HasUrl,
    folder: Path,
    *options: str,
    s3_root: bool = True,
    program: Sequence[str] = ("taskrunner",),
    environ: Mapping[str, str] | None = None,
    under: Sequence[str] = (),
) -> Iterator[AgentProcess]:
    """An agent that is ended, at the latest, with the block."""
    folder.mkdir(parents=True, exist_ok=True)
    agent = AgentProcess(
        service, folder, *options, s3_root=s3_root, program=program, environ=environ, under=under
    )
    try:
        yield agent
    except BaseException:
        print(f"--- log of the agent in {folder}\n{agent.log}--- its status\n{agent.status()}\n---")
        raise
    finally:
        agent.stop()


def wait_for(what: str, holds: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
    """Wait for something outside of the service, such as a file or the end of a process."""
    clock, never = SystemClock(), threading.Event()
    until = clock.monotonic() + patience_s
    while not (found := holds()):
        assert clock.monotonic() < until, f"waited in vain for {what}"
        clock.wait(never, 0.05)
    return found
