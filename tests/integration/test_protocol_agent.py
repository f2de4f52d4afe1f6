"""What docs/protocol.md says that the agent does with each answer, row by row and cell by cell.

The agent's own parts, over its real client and real HTTP; time passes only in their waits. What the
process does in the end (its exit code) is shown with real processes at the end of this file.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import Any

import pytest
from structlog.testing import capture_logs

from taskrunner.agent.handouts.deadlines import Deadlines
from taskrunner.agent.handouts.ending import End, why_end
from taskrunner.agent.handouts.outbox import Outbox
from taskrunner.agent.handouts.reporter import Reporter
from taskrunner.agent.ipc import verdicts
from taskrunner.agent.ipc.names import AttemptFiles
from taskrunner.agent.journal.journal import Journal
from taskrunner.agent.lifecycle import ExitCode
from taskrunner.agent.operations.calls import WatchedCalls
from taskrunner.agent.polling.heartbeat import Heartbeat
from taskrunner.agent.polling.poller import Poller
from taskrunner.agent.polling.turns import Turns
from taskrunner.errors import NotAuthorized
from taskrunner.metrics import Counters
from taskrunner.model.task import Task
from taskrunner.wire import client as wire
from taskrunner.wire.budgets import BUDGETS
from taskrunner.wire.connect import ClientSettings, connect
from taskrunner.wire.retrying import RetryingCalls
from taskrunner.wire.runner import RunnerApi
from taskrunner.wire.transport import MAX_REPLY_BYTES
from tests.integration.agent_harness import FakeService, running_agent, task_json
from tests.protocol_document import codes_in, header, table
from tests.unit.agent.fakes import FakeClock, make_task

SECTION = "What the agent does with each answer"
DATE = "Fri, 13 Feb 2026 02:00:00 GMT"  # the fake clock's


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the server sends: a whole reply, or as much of it as `cut` says."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] | None = None
    #: So many bytes of the body are sent before the connection is closed; -1: no reply at all.
    cut: int | None = None


def code(name: str, status: int = 400, **headers: str) -> Reply:
    body = json.dumps({"__type": name, "message": "said by the service"}).encode()
    return Reply(status=status, body=body, headers={"Date": DATE, **headers})


class Server:
    """Answers each operation by its script, and then as a service that has nothing to say."""

    def __init__(self) -> None:
        self.scripts: dict[str, list[Reply]] = {}
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, operation: str, *replies: Reply) -> None:
        """The next calls of an operation are answered so."""
        self.scripts[operation] = list(replies)

    def calls(self, operation: str) -> list[dict[str, Any]]:
        return [body for name, body in self.seen if name == operation]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1

            def do_POST(self) -> None:
                operation = self.headers["X-Amz-Target"].rpartition(".")[2]
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                server.seen.append((operation, json.loads(raw)))
                script = server.scripts.get(operation)
                reply = script.pop(0) if script else Reply(body=_QUIET[operation])
                if reply.cut == -1:
                    self.close_connection = True
                    return
                self.send_response_only(reply.status)
                headers = {"Content-Type": "application/x-amz-json-1.1", **(reply.headers or {})}
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                try:
                    self.wfile.write(reply.body[: reply.cut])
                    self.wfile.flush()
                except OSError:
                    self.close_connection = True  # it had enough
                if reply.cut is not None:
                    self.close_connection = True

            def log_message(self, *_args: object) -> None:
                """Quiet."""

        return Handler


_QUIET = {
    "PollForTask": b"{}",
    "ReportTaskProgress": b'{"canceled": false}',
    "SetTaskStatus": b"{}",
    "ReportTaskRunnerHeartbeat": b'{"terminate": false}',
}


class AttemptServices:
    """The parts of an agent that call the service."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.clock = FakeClock()
        self.stopping = threading.Event()
        self.refused: list[NotAuthorized] = []
        self.ran: list[Task] = []
        self.asked_to_end = 0
        self.client = connect(
            ClientSettings(endpoint=server.url, region="us-east-1", unsigned=True), self.clock
        )
        tried = RetryingCalls(self.client.call, clock=self.clock, fraction=lambda: 1.0)
        self.watched = WatchedCalls(
            tried.call, clock=self.clock, counters=Counters(), on_not_authorized=self.no_permission
        )
        self.api = RunnerApi(self.watched.call)
        self.poller = Poller(
            self.api,
            Turns(["wg"], slots=1),
            hostname="host",
            run=self.ran.append,
            stopping=self.stopping,
            clock=self.clock,
            random=Random(1),
        )
        self.reporter = Reporter(
            self.api, "t", clock=self.clock, interval_s=60, fields=dict, wake=lambda: None
        )
        self.outbox = Outbox(self.api, self.clock, random=Random(1))
        self.heartbeat = Heartbeat(
            self.api,
            ["wg"],
            taskrunner_id="id",
            hostname="host",
            interval_s=900,
            on_terminate=self.terminate,
            clock=self.clock,
        )
        self.journal = Journal(folder / "journal")

    def no_permission(self, error: NotAuthorized) -> None:
        """As the agent does: it drains, and ends with exit code 77."""
        self.refused.append(error)
        self.stopping.set()

    def terminate(self) -> None:
        self.asked_to_end += 1

    def owe(self) -> None:
        """A verdict that has not been told."""
        task = make_task()
        files = AttemptFiles.of(task, output=Path("/nowhere"), default_log_uri=None)
        entry = self.journal.accept(task, files)
        assert entry is not None
        entry.exited(verdicts.failed("SomeError", "a message", "a trace"))
        self.outbox.deliver(entry)

    def owes(self) -> bool:
        return bool(list(self.journal.open_entries()))

    def end(self) -> End | None:
        """Why the work would be ended now, if it would."""
        limits = Deadlines.of(make_task(), lease_s=300, now=self.clock.now())
        now = self.clock.monotonic()
        return why_end(self.reporter, limits=limits, elapsed_s=now, now=now, canceling=False)

    def count(self, operation: str) -> int:
        return len(self.server.calls(operation))


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def desk(server: Server, tmp_path: Path) -> AttemptServices:
    return AttemptServices(server, tmp_path)


# -- the classes of answers --------------------------------------------------------------------

HTML = {"Content-Type": "text/html"}
MUST_RETRY = {
    "HTTP 500": code("InternalServiceError", 500),
    "HTTP 500 of no code": Reply(status=500, body=b""),
    "HTTP 502, HTML": Reply(status=502, body=b"<html>bad gateway</html>", headers=HTML),
    "HTTP 503": code("ServiceUnavailable", 503),
    "HTTP 504": Reply(status=504, body=b""),
    "HTTP 408": code("RequestTimeoutException", 408),
    "HTTP 429": Reply(status=429, body=b"slow down"),
    "a code of permissions with HTTP 500": code("AccessDeniedException", 500),
    "HTML with HTTP 200": Reply(body=b"<html>log in first</html>", headers=HTML),
    "HTML with HTTP 403": Reply(status=403, body=b"<html>forbidden</html>", headers=HTML),
    "a redirect": Reply(status=302, body=b"", headers={"Location": "http://127.0.0.1:1/"}),
    "cut JSON, whole HTTP": Reply(body=b'{"taskObject": {"taskId": "t'),
    "cut HTTP": Reply(body=b'{"canceled": false, "terminate": false}', cut=7),
    "nothing at all": Reply(cut=-1),
    "JSON of another shape": Reply(body=b'[{"taskObject": null}]'),
    "JSON, a number": Reply(body=b"7"),
    "not UTF-8": Reply(body=b'{"a": "\xff"}'),
    "an error of no code": Reply(status=400, body=b'{"message": "no"}'),
    "a signature refused by a clock that is off": code(
        "InvalidSignatureException", Date="Fri, 13 Feb 2026 02:30:00 GMT"
    ),
}
TOO_LONG = Reply(body=b" " * (MAX_REPLY_BYTES + 2))
THROTTLED = {f"throttled: {name}": code(name) for name in sorted(wire.THROTTLED)}
NO_PERMISSION = {name: code(name) for name in sorted(wire.AUTHORIZATION)}
GONE = {name: code(name) for name in sorted(wire.GONE)}
REFUSALS = {
    name: code(name)
    for name in ("InvalidRequestException", "ValidationException", "SomethingNewException")
}
UNREACHABLE = (
    "no whole reply within the deadline; a signature that is refused while the reply's `Date` "
    "shows that this host's clock is more than 4 minutes off; HTTP 5xx, 408, 429; a throttling "
    "code; a reply that is not this API's (HTML, a redirect, cut or misshapen JSON, more than "
    # Keys have their tests in tests/unit/wire/test_signing.py.
    "16 MB); keys that are over and could not be renewed, whatever the reason"
)
NOT_AUTHORIZED = (
    "a code about credentials or permissions: `AccessDeniedException`, "
    "`UnrecognizedClientException`, `InvalidSignatureException`, "
    "`MissingAuthenticationTokenException`, `IncompleteSignatureException`, "
    "`ExpiredTokenException`, `OptInRequired`, ...; no credentials at all for another machine's "
    "service"
)
UNKNOWN_TASK = (
    "`TaskNotFoundException`, `PipelineDeletedException` or `PipelineNotFoundException` to a call "
    "that names a task"
)
#: By class: replies of it, and the description that they are chosen by.
CLASSES = {
    "unreachable": ({**MUST_RETRY, **THROTTLED}, UNREACHABLE),
    "not authorized": (NO_PERMISSION, NOT_AUTHORIZED),
    "unknown task": (GONE, UNKNOWN_TASK),
    "refused": (REFUSALS, "any other code, such as `InvalidRequestException`"),
}


@pytest.mark.parametrize("row", table(SECTION, 1), ids=lambda row: row[0])
def test_every_class_of_answers_is_tested_as_it_is_described(row: tuple[str, str]) -> None:
    replies, words = CLASSES[row[0]]
    assert row[1] == words
    assert set(codes_in(row[1])) <= replies.keys()


def test_no_class_is_tested_that_is_not_described() -> None:
    assert CLASSES.keys() == {row[0] for row in table(SECTION, 1)}
    assert header(SECTION, 2)[3:] == tuple(CLASSES)


def test_no_reply_at_all_ends_at_the_deadline_and_counts_as_unreachable(
    desk: AttemptServices,
) -> None:
    """The deadline itself, against servers that stall, is tests/contract/test_wire_transport.py."""
    desk.server.answer("PollForTask", *[Reply(cut=-1)] * 3)
    for _ in range(3):
        desk.poller.ask("wg")
    assert desk.watched.polls["wg"].outcome == "unreachable"


def test_without_credentials_nothing_is_sent_to_another_machine(tmp_path: Path) -> None:
    client = connect(
        ClientSettings(endpoint="https://192.0.2.1", region="us-east-1", unsigned=True), FakeClock()
    )
    with pytest.raises(NotAuthorized, match="no AWS credentials were found"):
        RunnerApi(client.call).set_task_status("t", verdicts.FINISHED)


# -- the calls ----------------------------------------------------------------------------------

Check = Callable[[AttemptServices, Reply], None]


def poll_task(desk: AttemptServices, _reply: Reply) -> None:
    body = json.dumps({"taskObject": task_json("t", "true")}).encode()
    desk.server.answer("PollForTask", Reply(), Reply(body=body))
    desk.poller.ask("wg")
    desk.poller.ask("wg")
    assert (desk.count("PollForTask"), desk.clock.waits) == (2, [])
    desk.poller.serve()
    (task,) = desk.ran
    assert task.task_id == "t"
    assert desk.reporter.acknowledge(desk.stopping)
    assert [report["taskId"] for report in desk.server.calls("ReportTaskProgress")] == ["t"]


def poll_again(desk: AttemptServices, reply: Reply) -> None:
    desk.server.answer("PollForTask", *[reply] * 9)
    with capture_logs() as logs:
        for _ in range(10):
            desk.poller.ask("wg")
    assert (desk.count("PollForTask"), len(desk.clock.waits), desk.refused) == (10, 9, [])
    assert 0.5 <= desk.clock.waits[0] <= 1
    assert 30 <= desk.clock.waits[8] <= 60
    assert [log["event"] for log in logs] == [
        "no answer; will keep trying",
        "the service answers again",
    ]


def poll_no_more(desk: AttemptServices, reply: Reply) -> None:
    desk.server.answer("PollForTask", reply)
    desk.poller.ask("wg")
    desk.poller.ask("wg")
    assert desk.count("PollForTask") == 1
    assert len(desk.refused) == 1


def canceled(desk: AttemptServices, _reply: Reply) -> None:
    assert desk.reporter.tick({})
    assert desk.end() is None
    desk.server.answer("ReportTaskProgress", Reply(body=b'{"canceled": true}'))
    assert desk.reporter.tick({})
    assert desk.end() is End.CANCELED
    assert verdict_after(desk) is None


def verdict_after(desk: AttemptServices) -> object:
    from taskrunner.agent.handouts.ending import judge
    from taskrunner.agent.ipc.verdicts import Exit

    limits = Deadlines.of(make_task(), lease_s=300, now=desk.clock.now())
    return judge(desk.end(), Exit(status=9), None, limits)


def report_again(desk: AttemptServices, reply: Reply) -> None:
    report_until_the_lease_ends(desk, reply, tries=3)
    assert desk.refused == []


def report_until_the_lease_ends(desk: AttemptServices, reply: Reply, *, tries: int) -> None:
    desk.server.answer("ReportTaskProgress", *[reply] * 1000)
    reports = 0
    while desk.end() is None:
        before = desk.count("ReportTaskProgress")
        assert not desk.reporter.tick({"rows": "1"})
        assert desk.count("ReportTaskProgress") - before == tries
        desk.clock.elapsed += 5
        reports += 1
    assert desk.end() is End.LEASE_LOST
    assert 240 <= desk.clock.elapsed < 255
    assert reports > 15
    desk.server.answer("ReportTaskProgress")
    assert desk.reporter.tick({})
    assert desk.end() is None


def report_refused(desk: AttemptServices, reply: Reply) -> None:
    report_until_the_lease_ends(desk, reply, tries=1)
    assert desk.refused == []


def report_without_permission(desk: AttemptServices, reply: Reply) -> None:
    report_until_the_lease_ends(desk, reply, tries=1)
    assert desk.refused


def report_of_nothing(desk: AttemptServices, reply: Reply) -> None:
    desk.server.answer("ReportTaskProgress", reply)
    assert not desk.reporter.tick({})
    assert desk.count("ReportTaskProgress") == 1
    assert desk.end() is End.SUPERSEDED
    assert verdict_after(desk) is None


def verdict_taken(desk: AttemptServices, _reply: Reply) -> None:
    desk.owe()
    assert not desk.owes()
    (told,) = desk.server.calls("SetTaskStatus")
    assert (told["taskStatus"], told["errorId"]) == ("FAILED", "SomeError")


def verdict_kept(desk: AttemptServices, reply: Reply) -> None:
    desk.server.answer("SetTaskStatus", *[reply] * 400)
    desk.owe()
    assert desk.count("SetTaskStatus") == 4
    delays = [desk.outbox.tick() for _ in range(50)]
    assert (desk.count("SetTaskStatus"), desk.owes(), desk.refused) == (204, True, [])
    assert max(delays) <= 30
    desk.server.answer("SetTaskStatus")
    desk.outbox.tick()
    assert not desk.owes()


def verdict_without_permission(desk: AttemptServices, reply: Reply) -> None:
    desk.server.answer("SetTaskStatus", reply)
    desk.owe()
    assert desk.count("SetTaskStatus") == 1
    assert desk.owes()
    assert desk.refused


def verdict_dropped(desk: AttemptServices, reply: Reply) -> None:
    desk.server.answer("SetTaskStatus", reply)
    desk.owe()
    assert (desk.count("SetTaskStatus"), desk.owes(), desk.refused) == (1, False, [])


def verdict_without_texts(desk: AttemptServices, reply: Reply) -> None:
    desk.server.answer("SetTaskStatus", reply, reply)
    desk.owe()
    assert (desk.owes(), desk.refused) == (False, [])
    first, second = desk.server.calls("SetTaskStatus")
    assert first["errorMessage"] == "a message"
    assert second == {"taskId": "task-1", "taskStatus": "FAILED", "errorId": "SomeError"}


def beat_terminates(desk: AttemptServices, _reply: Reply) -> None:
    desk.heartbeat.tick()
    assert desk.asked_to_end == 0
    desk.server.answer("ReportTaskRunnerHeartbeat", Reply(body=b'{"terminate": true}'))
    desk.heartbeat.tick()
    assert desk.asked_to_end == 1


def beat_dropped(desk: AttemptServices, reply: Reply, tries: int = 2) -> None:
    desk.server.answer("ReportTaskRunnerHeartbeat", *[reply] * tries)
    desk.heartbeat.tick()
    assert desk.count("ReportTaskRunnerHeartbeat") == tries
    desk.heartbeat.tick()  # answered
    assert desk.count("ReportTaskRunnerHeartbeat") == tries + 1
    assert (desk.refused, desk.asked_to_end) == ([], 0)


def beat_refused(desk: AttemptServices, reply: Reply) -> None:
    beat_dropped(desk, reply, tries=1)


def beat_without_permission(desk: AttemptServices, reply: Reply) -> None:
    desk.server.answer("ReportTaskRunnerHeartbeat", reply)
    desk.heartbeat.tick()
    assert desk.count("ReportTaskRunnerHeartbeat") == 1
    assert len(desk.refused) == 1


#: By call and the cell's own words: what is said there and what is tested go together.
CELLS: Mapping[tuple[str, str], Mapping[str, Check]] = {
    ("PollForTask", "100 s, once"): {
        "a task: acknowledge it; none: poll again": poll_task,
        "**retry**: back off 1 s to 60 s, poll again": poll_again,
        "**exit** 77 after a drain": poll_no_more,
        "(a refusal)": poll_again,
        "**retry**, as unreachable; said once": poll_again,
    },
    ("ReportTaskProgress", "15 s, 3"): {
        "`canceled`: **stop** the work, no verdict": canceled,
        "**retry** in 5 s; after 80 % of the lease **stop** the work": report_again,
        "**exit** 77 after a drain; **retry** until the lease ends": report_without_permission,
        "**stop** the work, no verdict": report_of_nothing,
        "**retry** in 5 s until the lease ends": report_refused,
    },
    ("SetTaskStatus", "30 s, 4"): {
        "forget the task": verdict_taken,
        "**retry** from the journal on disk, without end": verdict_kept,
        "**exit** 77; the verdict stays in the journal": verdict_without_permission,
        "**drop** the verdict": verdict_dropped,
        "**retry** once without texts, then **drop**": verdict_without_texts,
    },
    ("ReportTaskRunnerHeartbeat", "15 s, 2"): {
        "`terminate`: **exit** 0 after a drain": beat_terminates,
        "**drop**; the next one comes by itself": beat_dropped,
        "**exit** 77 after a drain": beat_without_permission,
        "(a refusal)": beat_refused,
        "**drop**": beat_refused,
    },
}
ROWS = table(SECTION, 2)
COLUMNS = header(SECTION, 2)
DOCUMENTED = [
    (row[0], row[1], column, words)
    for row in ROWS
    for column, words in zip(COLUMNS[2:], row[2:], strict=True)
]
#: Of each class, what each call is tried with.
SOME: Mapping[str, Mapping[str, Reply]] = {
    "Success": {"": Reply()},
    "unreachable": {**MUST_RETRY, "throttled": code("ThrottlingException")},
    "not authorized": {name: code(name) for name in ("AccessDeniedException", "ExpiredToken")},
    "unknown task": GONE,
    "refused": REFUSALS,
}
#: As the agent counts them; all of a class are alike, so one call is enough.
OUTCOMES = {
    **dict.fromkeys(THROTTLED, "unreachable"),
    **dict.fromkeys(NO_PERMISSION, "not_authorized"),
    **dict.fromkeys(GONE, "refused"),
    **dict.fromkeys(REFUSALS, "refused"),
    "too long": "unreachable",
}
#: What is said again and again until it is heard is measured once: each is hundreds of calls.
TRIALS = [
    pytest.param(
        *(call, budget, words, reply),
        id=f"{call}-{column}-{name}",
        marks=[pytest.mark.no_cover] if column == "unreachable" and name != "throttled" else [],
    )
    for call, budget, column, words in DOCUMENTED
    for name, reply in SOME[column].items()
]


@pytest.mark.parametrize(("call", "budget", "words", "reply"), TRIALS)
def test_each_answer_to_each_call(
    desk: AttemptServices, call: str, budget: str, words: str, reply: Reply
) -> None:
    CELLS[call, budget][words](desk, reply)


@pytest.mark.parametrize(("name", "outcome"), OUTCOMES.items())
def test_each_code_is_of_its_class(desk: AttemptServices, name: str, outcome: str) -> None:
    every = {**THROTTLED, **NO_PERMISSION, **GONE, **REFUSALS, "too long": TOO_LONG}
    desk.server.answer("PollForTask", every[name])
    desk.poller.ask("wg")
    assert desk.watched.polls["wg"].outcome == outcome


def test_nothing_is_tested_that_is_not_documented() -> None:
    tested = {(call, words) for (call, _), cells in CELLS.items() for words in cells}
    assert tested == {(call, words) for call, _, _, words in DOCUMENTED}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_deadlines_and_tries_are_as_listed(row: tuple[str, ...]) -> None:
    found = re.fullmatch(r"(\d+) s, (once|\d+)", row[1])
    assert found
    assert BUDGETS[row[0]].deadline_s == float(found[1])
    assert BUDGETS[row[0]].attempts == (1 if found[2] == "once" else int(found[2]))
    assert BUDGETS.keys() == {name for name, *_ in ROWS}


# -- what becomes of the process -----------------------------------------------------------------


@contextmanager
def service() -> Iterator[FakeService]:
    service = FakeService()
    try:
        yield service
    finally:
        service.close()


@pytest.mark.parametrize("operation", BUDGETS)
def test_a_refusal_of_the_credentials_by_any_call_ends_the_process_with_77(
    tmp_path: Path, operation: str
) -> None:
    with service() as fake:
        fake.refused.add(operation)
        # A heartbeat is sent at the start; the others need a task.
        with running_agent(fake, tmp_path / "agent", "--drain-timeout", "1") as agent:
            fake.tasks.put(task_json("t", "sleep 0.5"))
            assert agent.wait() == ExitCode.NOT_AUTHORIZED
            assert f"answered {operation} with AccessDeniedException" in agent.log


def test_terminate_ends_the_process_with_0_after_a_drain(tmp_path: Path) -> None:
    with (
        service() as fake,
        running_agent(fake, tmp_path / "agent", "--heartbeat-interval", "1") as agent,
    ):
        fake.tasks.put(task_json("t", "sleep 1; echo done"))
        fake.wait("the task", lambda: fake.calls("ReportTaskProgress", "t"))
        fake.terminate = True
        assert agent.wait() == ExitCode.OK
        assert fake.verdict("t")["taskStatus"] == "FINISHED"
